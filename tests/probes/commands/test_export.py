"""``emotion-probes export``: files of every format, and refusals before any work."""

import json

import pandas as pd
import pytest
import torch

from probes import EmotionVectors, run, stages
from probes.export import read_gguf, read_safetensors
from probes.export.hub_folder import hub_files
from probes.export.source import find_source
from probes.report import summary
from probes.runs.models import Models


def main(*words) -> int:
    return run.main([str(word) for word in words])


def printed(capsys) -> tuple[str, str]:
    """Standard output and errors, without the terminal's line breaks."""
    captured = capsys.readouterr()
    return " ".join(captured.out.split()), " ".join(captured.err.split())


class TestFiles:
    @pytest.mark.slow
    def test_gguf_is_one_file_per_emotion_at_the_target_layer(self, finished, capsys):
        assert main("export", finished.config, "--to=gguf") == 0
        folder = finished.folder / "export" / "gguf"
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["angry.gguf", "happy.gguf", "sad.gguf"]
        read = read_gguf(folder / "sad.gguf")
        bundle = EmotionVectors.load(finished.folder)
        assert (read.emotion, read.layers, read.dose) == ("sad", [3], 0.1)
        cosine = torch.cosine_similarity(read.tensors[0], bundle["sad"][3], dim=0)
        assert cosine == pytest.approx(1.0, abs=1e-6)
        assert read.tensors.norm() == pytest.approx(0.1 * float(bundle.residual_norm[3]), rel=1e-6)
        assert "strength s is dose s * 0.1 at each of the layers 3" in printed(capsys)[1]

    def test_emotions_layers_and_dose_are_chosen(self, finished, tmp_path):
        words = ["--emotions=sad,happy", "--layers=1,2", "--dose=0.2", f"--output={tmp_path / 'o'}"]
        assert main("export", finished.folder, "--to", "safetensors", *words) == 0
        names = sorted(path.name for path in (tmp_path / "o").iterdir())
        assert names == ["happy.safetensors", "sad.safetensors"]
        read = read_safetensors(tmp_path / "o" / "sad.safetensors")
        assert (read.layers, read.dose) == ([1, 2], 0.2)
        assert not (finished.folder / "export").exists()

    def test_block_0_is_left_out_of_gguf_with_a_notice(self, finished, capsys):
        words = ["--layers=all", "--emotions=sad"]
        assert main("export", finished.folder, "--to=gguf", *words) == 0
        assert "block 0 was left out" in printed(capsys)[1]
        assert read_gguf(finished.folder / "export" / "gguf" / "sad.gguf").layers == [1, 2, 3]

    def test_parquet_holds_vectors_and_corpus(self, finished):
        assert main("export", finished.folder, "--to=parquet", "--emotions=sad") == 0
        folder = finished.folder / "export" / "parquet"
        tables = {path.stem: pd.read_parquet(path) for path in folder.iterdir()}
        assert {name: len(table) for name, table in tables.items()} == {
            "vectors": 4,
            "stories": 6,
            "neutral": 6,
        }
        assert set(tables["stories"]["emotion"]) == {"sad"}

    def test_a_steered_model_of_the_harness_is_said_how_to_call(self, finished, capsys):
        assert main("export", finished.folder, "--to=lm-eval", "--emotions=sad") == 0
        said, made = printed(capsys)[1], finished.run().config.model.name
        assert f"--model steered --model_args pretrained={made},dtype=float32" in said
        assert "steer_path=sad.pt" in said.replace(" ", "")
        assert (finished.folder / "export" / "lm-eval" / "sad.pt").is_file()

    def test_a_bundle_at_half_the_size_is_one_file_that_scores(self, finished, tmp_path):
        output = tmp_path / "o"
        assert main("export", finished.folder, "--to=embedded", f"--output={output}") == 0
        [path] = output.iterdir()
        run, text = finished.run(), "The old man sat by the window."
        model, whole = Models(run.config).subject(), EmotionVectors.load(run.root)
        kept = EmotionVectors.load(path)
        scores = [vectors.score(model, [text]) for vectors in (whole, kept)]
        torch.testing.assert_close(*scores, atol=1e-3, rtol=0)

    def test_the_same_run_gives_the_same_bytes(self, finished, tmp_path):
        for to in ("gguf", "parquet", "lm-eval", "embedded"):
            for name in ("a", "b"):
                output = tmp_path / to / name
                assert main("export", finished.folder, f"--to={to}", f"--output={output}") == 0
            for path in (tmp_path / to / "a").iterdir():
                assert path.read_bytes() == (tmp_path / to / "b" / path.name).read_bytes()

    def test_an_exported_run_is_still_complete(self, finished):
        assert main("export", finished.folder, "--to=parquet") == 0
        made = finished.run()
        assert all(stages.is_complete(made, stage) for stage in stages.STAGES)


class TestDryRun:
    def test_of_the_hub_shows_files_sizes_and_cards_and_writes_nothing(self, finished, capsys):
        made = finished.run()
        made.write_summary(stages.NAMES)
        summary.write_summary(made)
        assert main("export", finished.folder, "--to=hub", "--dry-run") == 0
        shown = printed(capsys)[0]
        files = hub_files(find_source(str(finished.folder)), "user/name")
        for name, content in files.items():
            assert f"{name} │ {len(content) / 1e3:.1f} kB" in shown
        assert "# Emotion vectors of gpt2" in shown
        assert "# Stories that convey an emotion" in shown
        assert not (finished.folder / "export").exists()

    def test_as_json_it_is_one_object(self, finished, capsys):
        words = ["--to=gguf", "--emotions=sad", "--dry-run", "--json"]
        assert main("export", finished.folder, *words) == 0
        printed = json.loads(capsys.readouterr().out)
        assert list(printed["bytes"]) == ["sad.gguf"]
        assert (printed["exit_code"], printed["written"]) == (0, False)

    @pytest.mark.parametrize("to", ["gguf", "safetensors", "parquet"])
    def test_of_files_writes_nothing(self, finished, capsys, to):
        assert main("export", finished.folder, f"--to={to}", "--dry-run") == 0
        assert "what would be written" in printed(capsys)[0]
        assert not (finished.folder / "export").exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "--to: expected gguf (llama.cpp, repeng), safetensors, parquet, hub, lm-eval"),
            (["--to=onnx"], "hub, lm-eval, vllm or embedded, got 'onnx'"),
            (["--to=gguf", "--emotions=sad,hapy"], "no vector for 'hapy'; did you mean 'happy'?"),
            (["--to=gguf", "--layers=9"], "no vectors at layer 9; expected one of [0, 1, 2, 3]"),
            (["--to=gguf", "--layers=last"], "expected numbers, as in --layers=10,12, or 'all'"),
            (["--to=gguf", "--layers=0"], "no slot for block 0"),
            (["--to=gguf", "--dose=0"], "expected a positive fraction"),
            (["--to=gguf", "--dose=high"], "--dose: expected a number, got 'high'"),
            (["--to=parquet", "--dose=0.1"], "--dose has no meaning for parquet"),
            (["--to=hub", "--emotions=sad", "--dry-run"], "--emotions has no meaning for hub"),
            (["--to=embedded", "--layers=1"], "expected the target layer, 3, among them"),
            (["--to=embedded", "--dose=0.1"], "--dose has no meaning for embedded"),
            (["--to=gguf", "--repo=me/mine"], "it belongs to hub"),
            (["--to=hub"], "expected --repo=user/name"),
            (["--to=hub", "--repo=mine"], "expected a repository user/name, got 'mine'"),
            (["--to=hub", "--repo=me/mi ne"], "expected a repository user/name"),
            (["--to=gguf", "--emotion=sad"], "did you mean --emotions?"),
            (["--to=gguf", "more"], "expected one run"),
        ],
    )
    def test_wrong_words_are_refused_and_nothing_is_written(self, finished, capsys, words, message):
        assert main("export", finished.folder, *words) == 2
        assert message in printed(capsys)[1]
        assert not (finished.folder / "export").exists()

    def test_a_run_without_vectors_is_refused_with_the_cure(self, reading_run, capsys):
        made = reading_run()
        assert main("export", made.config, "--to=gguf") == 2
        assert f"Run the pipeline first: python -m probes.run {made.config}" in printed(capsys)[1]

    def test_no_run_is_refused_with_what_is_expected(self, capsys):
        assert main("export", "no-such-run", "--to=gguf") == 2
        assert "expected a run's folder (as output/demo), or a config" in printed(capsys)[1]

    @pytest.mark.parametrize("file", ["run.json", "analysis/summary.json"])
    def test_a_card_needs_what_it_is_written_from(self, finished, capsys, file):
        made = finished.run()
        made.write_summary(stages.NAMES)
        summary.write_summary(made)
        (finished.folder / file).unlink()
        assert main("export", finished.config, "--to=hub", "--repo=me/mine") == 1
        errors = printed(capsys)[1]
        assert f"has no {file}, which a card is written from" in errors
        assert f"python -m probes.run {finished.config}" in errors
        assert not (finished.folder / "export").exists()

    def test_a_damaged_text_is_refused(self, finished, capsys):
        path = next(finished.folder.glob("stories/*/*.json"))
        path.write_text(json.dumps({"emotion": "sad"}))
        assert main("export", finished.folder, "--to=parquet") == 1
        assert "is not a file of texts" in printed(capsys)[1]
        assert not (finished.folder / "export").exists()
