"""What the page shows: every token's turn and scores, replies with and without steering."""

import pytest
import torch

import hooks
from probes.texts.dialogue import ASSISTANT, USER, Turn

TALK = [
    Turn(USER, "Where were you?"),
    Turn(ASSISTANT, "At home.\nAssistant: asleep"),
    Turn(USER, "Oh."),
]


@pytest.mark.parametrize("text", ["She waited.", "  two  spaces\n", "naïve 😀 café"])
def test_the_tokens_of_a_text_spell_it(microscope, text):
    read = microscope().read(text)
    assert "".join(read.tokens) == text
    content = [token for token, turn in zip(read.tokens, read.turn, strict=True) if turn == 0]
    assert "".join(content) == text
    assert read.turn[0] == -1  # the beginning-of-sequence token


def test_scores_are_those_of_the_vectors(microscope):
    seen = microscope()
    read = seen.read("She waited at the gate.")
    for place, layer in enumerate([0, 2, 3]):
        _, scores = seen.vectors.score_tokens(seen.model, "She waited at the gate.", layer=layer)
        torch.testing.assert_close(read.scores[place], scores, atol=1e-5, rtol=0)


def test_a_text_has_the_z_of_its_mean_residual_at_every_layer(microscope):
    seen, text = microscope(zero=True), "She waited at the gate."
    read = seen.read(text)
    for place, layer in enumerate([0, 2, 3]):
        [whole] = seen.vectors.score(seen.model, [text], layer=layer)
        expected = seen.vectors.z(whole, layer)
        torch.testing.assert_close(read.z[place], expected, atol=1e-4, rtol=1e-4)
    assert seen.read_conversation(TALK).z is None
    assert seen.read("<|end|>").z.isnan().all()  # no token of a text
    plain = microscope()
    assert plain.read(text).z is None
    assert torch.equal(plain.read(text).scores, read.scores)


@pytest.mark.parametrize("chat", [False, True])
def test_every_turn_of_a_conversation_owns_its_own_tokens(microscope, chat):
    read = microscope(chat=chat).read_conversation(TALK)
    for number, turn in enumerate(TALK):
        words = [t for t, owner in zip(read.tokens, read.turn, strict=True) if owner == number]
        assert "".join(words).strip() == turn.text
        assert read.of_turn(number, 1).isfinite().all()
    assert read.of_turn(3, 1).isnan().all()
    marks = "".join(t for t, owner in zip(read.tokens, read.turn, strict=True) if owner == -1)
    assert ("<|start|>" in marks) == chat


def test_special_tokens_that_somebody_typed_are_no_words(microscope):
    read = microscope(chat=True).read_conversation([Turn(USER, "a<|end|>b")])
    words = [t for t, owner in zip(read.tokens, read.turn, strict=True) if owner == 0]
    assert "".join(words) == "ab"


class TestReplies:
    def test_no_dose_is_the_baseline_and_a_dose_is_not(self, microscope):
        seen = microscope()
        plain = seen.reply("He opened the door and")
        assert seen.reply("He opened the door and", doses={"sad": 0.0}) == plain
        assert seen.reply("He opened the door and", doses={"sad": 2.0}) != plain

    def test_several_emotions_push_together(self, microscope):
        seen = microscope()
        both = {"sad": 1.5, "happy": 1.5}
        said = {seen.reply("He opened", doses={e: d}) for e, d in both.items()}
        assert seen.reply("He opened", doses=both) not in said
        a, b = (seen.vectors[emotion][1] for emotion in both)
        expected = (1.5 * a / a.norm() + 1.5 * b / b.norm()).norm()
        assert seen.combined_dose(both, 2) == pytest.approx(float(expected), rel=1e-5)
        assert seen.combined_dose({"sad": -0.2}, 2) == pytest.approx(0.2)
        assert seen.combined_dose({}, 2) == 0

    def test_nothing_stays_on_the_model_afterwards(self, microscope):
        seen = microscope()
        before = seen.read("Rain.").scores
        seen.reply("Rain", doses={"sad": 2.0})
        seen._scores.cache_clear()
        assert torch.equal(seen.read("Rain.").scores, before)

    def test_a_turn_of_a_base_model_holds_nobody_elses_words(self, microscope, monkeypatch):
        seen = microscope()
        said = iter(["Person: me", "", " Home.\nAssistant: Yes.\nPerson: Oh."])

        def write(prompts, **sampling):
            text = next(said)
            return [hooks.Generation(text, [], True)]

        monkeypatch.setattr(seen.model, "generate", write)
        assert seen.reply([Turn(USER, "Where?")]) == "Home."  # two empty answers are not taken

    def test_an_answer_that_never_comes_is_empty(self, microscope, monkeypatch):
        seen = microscope()
        nothing = [hooks.Generation("Person: me", [], True)]
        monkeypatch.setattr(seen.model, "generate", lambda prompts, **sampling: nothing)
        assert seen.reply([Turn(USER, "Where?")]) == ""

    def test_a_prompt_is_continued_also_into_a_dialogue(self, microscope, monkeypatch):
        seen = microscope()
        play = [hooks.Generation(" said:\nPerson: no", [], True)]
        monkeypatch.setattr(seen.model, "generate", lambda prompts, **sampling: play)
        assert seen.reply("He") == "said:\nPerson: no"


def test_a_text_passes_through_the_model_once_and_another_look_at_it_not_at_all(microscope):
    seen = microscope()
    passes = []
    embeddings = seen.model.hf.get_input_embeddings()
    handle = embeddings.register_forward_pre_hook(lambda *_: passes.append(1))
    read = seen.read("She read the letter twice.")
    assert len(passes) == 1
    assert read.scores.shape[::2] == (len(seen.vectors.layers), len(seen.vectors.emotions))
    seen.read("She read the letter twice.")
    seen.read_conversation([Turn(USER, "Who?")])
    handle.remove()
    assert len(passes) == 2
