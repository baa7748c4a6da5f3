"""`emotion-probes shift` on two tiny models, of which one has a known vector in its weights."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import hooks
from hooks.generation.last_token import at_end
from probes.commands import Shift
from probes.commands.shift import shown_prompts
from probes.report import scorecard
from probes.report.scorecard_file import read_lines
from probes.run import main
from probes.stimuli import challenges
from probes.vectors.emotion_vectors import EmotionVectors

DOSE = 0.2


@pytest.fixture
def trained(finished, subject, tmp_path):
    """A copy of the subject whose last block also adds the vector of *happy*, in its bias."""
    vectors = EmotionVectors.load(finished.folder)
    layer = vectors.provenance.target_layer
    vector = vectors["happy"][vectors.layer_index(layer)]
    norm = vectors.norm_by_layer[layer]
    folder = tmp_path / "tiny-chat"
    shutil.copytree(subject, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.transformer.h[layer].mlp.c_proj.bias += DOSE * norm * vector / vector.norm()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def twin(subject, tmp_path):
    """A copy of the subject in another folder."""
    return shutil.copytree(subject, tmp_path / "twin")


@pytest.fixture
def shift(finished, capsys):
    """``shift(other, ...)``: run the command; returns its JSON."""

    def run(other, *words):
        capsys.readouterr()
        assert main(["shift", finished.config, f"--other={other}", "--json", *words]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def of_emotion(result, emotion, name="challenging"):
    return result["shifts"][name]["shift"][result["emotions"].index(emotion)]


def test_what_the_weights_add_is_the_shift_on_every_prompt(shift, trained, finished):
    result = shift(trained)
    vectors = EmotionVectors.load(finished.folder)
    unit = vectors.at(result["layer"]) / vectors.at(result["layer"]).norm(dim=1, keepdim=True)
    cosine = unit @ unit[vectors.emotions.index("happy")]
    for name in ("challenging", "neutral"):
        for emotion, expected in zip(vectors.emotions, (DOSE * cosine).tolist(), strict=True):
            estimate = of_emotion(result, emotion, name)
            assert estimate["value"] == pytest.approx(expected, abs=1e-5)
            assert estimate["high"] - estimate["low"] < 1e-4
    assert result["shift_r"]["r"]["value"] == pytest.approx(1)
    assert result["n_pairs"] == 40
    assert not any(limit.startswith("Emotion shift:") for limit in result["limits"])


def test_a_person_reads_a_table_and_finds_a_file_a_figure_and_the_scorecard(
    finished, trained, capsys
):
    assert main(["shift", finished.config, f"--other={trained}"]) == 0
    printed = capsys.readouterr()
    table = " ".join(printed.out.replace("│", " ").split())
    assert "what does a second training do to emotions?" in table
    assert f"up happy {DOSE:+.4f}" in table
    told = " ".join(printed.err.split())
    assert "report --restart=report" in told
    [file] = (finished.folder / "analysis").glob("shift_tiny-chat-*.json")
    for suffix in ("png", "html"):
        assert (finished.folder / "figures" / f"{file.stem}.{suffix}").stat().st_size > 5_000
    lines = {it.name: it for it in scorecard.from_json(read_lines(finished.folder))}
    stored = json.loads(file.read_text())["paper_numbers"]
    for name in ("neutral_r", "challenging_r", "shift_r"):
        line = lines[f"post_training.{name}"]
        assert line.ours == stored[f"post_training.{name}"]["value"]
        assert line.paper is not None


@pytest.mark.slow
def test_the_run_itself_is_as_it_was(finished, trained, shift):
    assert main([finished.config, "--quiet"]) == 0
    shift(trained)
    assert main([finished.config, "--quiet"]) == 0
    assert list((finished.folder / "analysis").glob("*.changed")) == []
    assert main(["status", finished.config, "--quiet"]) == 0
    [file] = (finished.folder / "analysis").glob("shift_*.json")
    assert main([finished.config, "report", "--restart=report", "--quiet"]) == 0
    assert file.is_file()
    assert "tiny-chat less" in (finished.folder / "report.md").read_text()


def test_the_same_weights_in_another_folder_shift_by_exactly_nothing(shift, twin, tmp_path):
    result = shift(twin, f"--output={tmp_path / 'twin.json'}")
    assert result["same_weights"]
    assert {it["value"] for it in result["shifts"]["challenging"]["shift"]} == {0.0}
    [[_, line]] = result["rows"]
    assert "exactly 0" in line and "both models have the same weights" in line
    assert result["files"] == [str(tmp_path / "twin.json")]
    assert json.loads((tmp_path / "twin.json").read_text())["rows"] == result["rows"]


def test_layers_below_what_was_trained_do_not_shift(shift, trained):
    result = shift(trained, "--layer=1")
    assert not result["same_weights"]
    [[_, line]] = result["rows"]
    assert "the same up to layer 1" in line


def test_files_of_other_choices_stand_side_by_side(shift, trained, finished):
    shift(trained)
    shift(trained)
    shift(trained, "--layer=2")
    assert len(list((finished.folder / "analysis").glob("shift_*.json"))) == 2


def test_a_second_time_gives_the_same(shift, trained):
    assert shift(trained) == shift(trained)


class TestTemplates:
    def test_both_models_read_the_same_words_up_to_the_reply(self, tiny_tokenizer):
        pairs = challenges()
        [own, other] = shown_prompts("plain", [tiny_tokenizer(), tiny_tokenizer(chat=True)])
        assert own == other
        assert len(own) == 80
        decoded = tiny_tokenizer().decode(own[40])
        assert decoded == f"<s>Person: {pairs[0].neutral}\nAssistant:"

    @pytest.mark.parametrize("chat", [(False, True), (True, False)])
    def test_a_chat_template_is_one_models_in_both(self, tiny_tokenizer, chat):
        [own, other] = shown_prompts("chat", [tiny_tokenizer(chat=it) for it in chat])
        assert own == other
        text = f"<s><|start|>user\n{challenges()[0].text}<|end|>\n<|start|>assistant\n"
        assert tiny_tokenizer().decode(own[0]) == text

    def test_the_last_token_is_what_is_read(self, shift, finished, tiny_folder, capsys):
        other = tiny_folder("gpt2", seed=5, chat=True)
        result = shift(other, "--template=chat")
        assert result["template"] == "chat"
        model = hooks.load(other, backend="huggingface", dtype="float32", device="cpu")
        vectors = EmotionVectors.load(finished.folder)
        layer, place = result["layer"], vectors.layer_index(result["layer"])
        prompts = [model.encode_prompt(pair.neutral) for pair in challenges()]
        residual = at_end(model, prompts, [layer])[:, 0] - vectors.global_mean[place]
        unit = vectors.at(layer) / vectors.at(layer).norm(dim=1, keepdim=True)
        expected = (residual @ unit.T).mean(dim=0) / vectors.residual_norm[place]
        assert result["profiles"]["neutral"][1] == pytest.approx(expected.tolist(), abs=1e-4)


class TestOtherRun:
    @pytest.fixture
    def other_run(self, finished, trained, tmp_path):
        vectors = EmotionVectors.load(finished.folder)
        model = hooks.load(trained, backend="huggingface", dtype="float32", device="cpu")
        about = replace(vectors.provenance, fingerprint=model.fingerprint)
        replace(vectors, provenance=about).save(tmp_path / "other" / "vectors")
        return tmp_path / "other"

    def test_its_own_vectors_are_read_beside(self, shift, trained, other_run):
        own = shift(trained, f"--other-run={other_run}")["own"]
        assert own["run"] == "other"
        assert own["cosine"]["value"] == pytest.approx(1)
        assert own["shift_r"]["value"] == pytest.approx(1)

    def test_vectors_of_a_third_model_are_refused(self, finished, trained, capsys):
        words = [f"--other={trained}", f"--other-run={finished.folder}"]
        assert main(["shift", finished.config, *words]) == 1
        assert "these vectors were made from" in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def others(subject, tiny_folder, tmp_path):
    """Folders of models by what is the matter with them; configs are enough to refuse one."""

    def changed(name, **settings):
        config = json.loads((subject / "config.json").read_text())
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**config, **settings}))
        return folder

    return {
        "SAME": subject,
        "SPELLED": f"{subject.parent}/./{subject.name}/",
        "LLAMA": tiny_folder("llama"),
        "SHALLOW": changed("shallow", n_layer=3),
        "WIDE": changed("wide", n_embd=64),
        "BASE": tiny_folder("gpt2", seed=5),
        "NOWHERE": tmp_path / "nowhere",
    }


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "--other: expected the model that a second training made of the run's"),
        (["--other=SAME"], 2, "expected another model than the run's, got the same"),
        (["--other=SPELLED"], 2, "expected another model than the run's, got the same"),
        (["--other=LLAMA"], 2, "gpt2, 4 layers, d_model 32), got "),
        (["--other=LLAMA"], 2, ": llama, 4 layers, d_model 32"),
        (["--other=SHALLOW"], 2, "gpt2, 3 layers, d_model 32"),
        (["--other=WIDE"], 2, "gpt2, 4 layers, d_model 64"),
        (["--other=NOWHERE"], 1, "could not read the config of model"),
        (
            ["--other=BASE", "--template=chat"],
            2,
            "neither model has a chat template; leave the flag out",
        ),
        (["--other=BASE", "--template=llama"], 2, "--template: expected plain or chat"),
        (["--other=BASE", "--layer=9"], 2, "no vectors at layer 9"),
        (["--other=BASE", "--output=a.csv"], 2, "expected a file that ends in .json, got a.csv"),
        (["--other=BASE", "--other-run=NOWHERE"], 1, "no emotion_vectors.safetensors"),
        (["--other=BASE", "--vectors=said"], 2, "these were made of texts in which emotions are"),
    ],
)
def test_what_cannot_be_compared_is_refused(finished, others, capsys, words, code, message):
    for name, folder in others.items():
        words = [word.replace(f"={name}", f"={folder}") for word in words]
    assert main(["shift", finished.config, *words]) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert list((finished.folder / "analysis").glob("shift_*")) == []


def test_other_tokens_of_a_chat_template_are_refused(tiny_tokenizer):
    cut = tiny_tokenizer()
    cut.add_tokens(["user"])
    with pytest.raises(hooks.InvalidInput, match="other tokens of it. Leave the flag out"):
        shown_prompts("chat", [cut, tiny_tokenizer(chat=True)])
    [own, other] = shown_prompts("plain", [cut, tiny_tokenizer(chat=True)])
    assert [a == b for a, b in zip(own, other, strict=True)].count(False) < 80


def test_a_run_without_vectors_is_told_what_is_missing(small_run, twin, capsys):
    assert main(["shift", small_run().config, f"--other={twin}"]) == 1
    assert "no emotion_vectors.safetensors" in " ".join(capsys.readouterr().err.split())


def test_flags_have_defaults_that_need_no_thought():
    flags = Shift.read({"other": "gpt2"})
    assert (flags.template, flags.layer, flags.other_run) == ("plain", None, None)
    assert Path(flags.other).name == "gpt2"
