"""Vectors that come with the package: of the corpus as it is, small, and used without a run."""

import json

import pytest

from hooks.errors import InvalidInput, StaleArtifact
from probes import EmotionVectors
from probes.commands.app import load_views
from probes.commands.call import run_of
from probes.corpus import reference
from probes.corpus.cells import Text, digest_of_texts
from probes.run import main
from probes.runs.shipped import ShippedRun
from probes.vectors import bundle_file

NAMES = ["embedded:gemma-3-270m", "embedded:smollm2-135m-instruct"]
TEXT = "My dog has been missing for three days and nobody has seen him."


def test_those_of_both_embedded_models_come_along_and_are_small():
    assert bundle_file.shipped_names() == NAMES
    sizes = [bundle_file.locate(name).stat().st_size for name in NAMES]
    assert sum(sizes) < 3e6


@pytest.mark.parametrize("name", NAMES)
class TestVectors:
    def test_they_are_of_the_corpus_that_comes_along(self, name):
        """Fails where a text was changed: then `make vectors` makes them again."""
        run, made = ShippedRun(name, {}), EmotionVectors.load(name).provenance
        texts = [
            Text(cell.emotion, cell.topic, index, passage)
            for cell in run.texts.all_cells
            for index, passage in enumerate(passages_of(run, cell))
        ]
        assert made.corpus == f"reference {reference.VERSION}"
        assert made.corpus_hash == digest_of_texts(texts)
        assert made.model == name

    def test_they_have_their_ways_norms_and_zeros(self, name):
        vectors = EmotionVectors.load(name)
        assert len(vectors.emotions) == 171
        assert (vectors.ways, vectors.way) == (["shown", "said", "both"], "both")
        target = vectors.provenance.target_layer
        assert vectors.layers == [target - 1, target, target + 1]
        assert (vectors.residual_norm > 0).all()
        for way in vectors.ways:
            used = vectors.using(way)
            assert (used.zero.sd > 0).all()
            assert (used.token_zeros[way].sd > 0).all()

    def test_budgets_are_taken_on_the_corpus_own_neutral_texts(self, name):
        texts = ShippedRun(name, {}).neutral_texts()
        assert texts == list(reference.dialogues().values())


def passages_of(run, cell):
    kind = "said" if cell.topic in run.texts.frames else "stories" if cell.emotion else "neutral"
    return run.texts.corpus(kind).texts[cell]


def test_settings_and_the_folder_of_what_is_written_may_be_chosen(tmp_path):
    run = run_of(
        NAMES[0], {"output_dir": str(tmp_path), "validation.max_kl": "0.5"}, or_shipped=True
    )
    assert (run.root, run.config.validation.max_kl, run.vectors_at) == (tmp_path, 0.5, NAMES[0])
    assert ShippedRun(NAMES[0], {}).root.name == "embedded-gemma-3-270m"


@pytest.mark.parametrize("command", ["run-all", "status", "plan", "track"])
def test_stages_have_no_run_of_them(command, capsys):
    assert main([command, NAMES[0]]) == 2
    assert "--model.name=embedded:gemma-3-270m" in " ".join(capsys.readouterr().err.split())


def test_a_model_without_vectors_is_answered_with_those_there_are(capsys):
    for name in ("embedded:gpt2", "embedded:../bundle"):
        with pytest.raises(InvalidInput, match="expected one of: embedded:gemma-3-270m, embedded:"):
            EmotionVectors.load(name)
        assert main(["score", name, "--text=x"]) == 2


def test_another_model_is_refused(tiny_model):
    with pytest.raises(StaleArtifact, match="made from embedded:gemma-3-270m"):
        EmotionVectors.load(NAMES[0]).score(tiny_model("llama"), [TEXT])


@pytest.mark.embedded
class TestCommands:
    def test_score_says_at_once_what_a_text_is_about(self, capsys, tmp_path):
        words = [f"--text={TEXT}", "--json", f"--output_dir={tmp_path}"]
        assert main(["score", NAMES[0], *words]) == 0
        result = json.loads(capsys.readouterr().out)
        [text] = result["texts"]
        z = text["z"]
        assert (z["heartbroken"] > 2, z["heartbroken"] > z["amused"]) == (True, True)
        assert not list(tmp_path.iterdir())

    def test_steer_continues_a_prompt_within_the_budget(self, capsys, tmp_path):
        words = ["--emotion=sad", "--dose=0.1", "--prompt=He opened the letter and", "--json"]
        words += ["--watch=sad", "--max_new_tokens=6", f"--output_dir={tmp_path}"]
        assert main(["steer", NAMES[1], *words]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["steered"][0]["cost"]["kl"] > 0
        assert result["steered"][0]["watched"]["sad"]
        assert [path.suffix for path in (tmp_path / "steered").iterdir()] == [".html"]

    def test_sweep_reads_a_file(self, capsys, tmp_path):
        file = tmp_path / "texts.jsonl"
        file.write_text(json.dumps(TEXT) + "\n")
        words = [f"--file={file}", "--emotions=sad,amused", f"--output_dir={tmp_path / 'out'}"]
        assert main(["sweep", NAMES[1], *words]) == 0
        assert list((tmp_path / "out" / "sweep").iterdir())

    def test_the_app_has_what_it_shows(self, tmp_path):
        view = load_views(ShippedRun(NAMES[1], {"output_dir": str(tmp_path)}), "said")()
        assert view.microscope.vectors.way == "said"
        assert view.as_z
        assert view.neutral.n > 100
        read = view.microscope.read(TEXT)
        assert view.zero.z(read.scores[view.place], 0).isfinite().all()
        assert not list(tmp_path.iterdir())
