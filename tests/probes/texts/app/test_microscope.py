"""What the page shows: every token's turn and scores, replies with and without steering."""

import pytest
import torch

import hooks
from probes.texts.app.microscope import Microscope
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


def reply(seen: Microscope, *asked, **settings) -> str:
    return seen.reply(*asked, **settings).text


class TestReplies:
    def test_no_dose_is_the_baseline_and_a_dose_is_not(self, microscope):
        seen = microscope()
        plain = reply(seen, "He opened the door and")
        assert reply(seen, "He opened the door and", doses={"sad": 0.0}) == plain
        assert reply(seen, "He opened the door and", doses={"sad": 2.0}) != plain

    def test_several_emotions_push_together(self, microscope):
        seen = microscope()
        both = {"sad": 1.5, "happy": 1.5}
        said = {reply(seen, "He opened", doses={e: d}) for e, d in both.items()}
        assert reply(seen, "He opened", doses=both) not in said
        a, b = (seen.vectors[emotion][1] for emotion in both)
        expected = (1.5 * a / a.norm() + 1.5 * b / b.norm()).norm()
        assert seen.combined_dose(both, 2) == pytest.approx(float(expected), rel=1e-5)
        assert seen.combined_dose({"sad": -0.2}, 2) == pytest.approx(0.2)
        assert seen.combined_dose({}, 2) == 0

    def test_scores_of_a_reply_are_those_it_has_when_it_is_read_afterwards(self, microscope):
        seen = microscope()
        ids = seen.model.encode_prompt("He opened the door and")
        [written] = seen.model.generate([ids], max_new_tokens=12, temperature=0.8, top_k=50, seed=0)
        told = seen.reply("He opened the door and", max_new_tokens=12)
        afterwards = hooks.resid_post(seen.model, [*ids, *written.tokens], layers=[0, 2, 3]).resid
        for place, layer in enumerate([0, 2, 3]):
            expected = seen.vectors.cosine(afterwards[place, len(ids) :], layer)
            n_read = len(told.tokens)
            torch.testing.assert_close(told.scores[place], expected[:n_read], atol=1e-4, rtol=0)
        assert n_read == len(written.tokens) - (not written.finished)

    def test_a_reply_is_watched_as_it_grows_at_no_further_pass(self, microscope):
        seen, grown, passes = microscope(), [], []
        embeddings = seen.model.hf.get_input_embeddings()
        handle = embeddings.register_forward_pre_hook(lambda *_: passes.append(1))
        told = seen.reply("He opened the door and", max_new_tokens=8, watch=grown.append)
        handle.remove()
        assert len(passes) == 1 + len(told.tokens)  # the prompt, then token by token
        assert [len(part.tokens) for part in grown] == list(range(1, len(told.tokens) + 1))
        assert all(told.text in part.text or part.text.strip() in told.text for part in grown)
        assert torch.equal(grown[-1].scores, told.scores)
        seen.reply("He opened the door and", max_new_tokens=8, watch=grown.append)
        assert len(grown) == len(told.tokens)  # what was written once is not written again

    def test_what_is_pushed_is_in_the_scores_of_the_pass_that_writes(self, microscope):
        seen = microscope()
        pushed = seen.reply("He opened", doses={"happy": 3.0}, layer=2)
        assert pushed.of_turn(0, 1)[1] > seen.reply("He opened").of_turn(0, 1)[1] + 0.3

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
        assert reply(seen, [Turn(USER, "Where?")]) == "Home."  # two empty answers are not taken

    def test_an_answer_that_never_comes_is_empty(self, microscope, monkeypatch):
        seen = microscope()
        nothing = [hooks.Generation("Person: me", [], True)]
        monkeypatch.setattr(seen.model, "generate", lambda prompts, **sampling: nothing)
        assert reply(seen, [Turn(USER, "Where?")]) == ""

    def test_a_prompt_is_continued_also_into_a_dialogue(self, microscope, monkeypatch):
        seen = microscope()
        play = [hooks.Generation(" said:\nPerson: no", [], True)]
        monkeypatch.setattr(seen.model, "generate", lambda prompts, **sampling: play)
        assert reply(seen, "He") == "said:\nPerson: no"


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
