"""Reading of dialogues: every turn's own tokens, and none of names, colons and setup."""

import pytest
import torch

from hooks import resid_post
from hooks.reading.token_offsets import content_pieces
from probes.experiments.dialogues.reading import (
    gram_of,
    grams_of_words,
    read_turns,
    shown_vectors,
    why_too_long,
)
from probes.stimuli import Script, crossed_dialogues, deflected_dialogues

TURNS = ["Is it yours?", "No, look: mine is red.", "Well then."]


@pytest.fixture
def script():
    return Script.of(["Ana", "Bo"], TURNS, "They sat there.")


def test_each_turn_is_the_mean_of_its_own_tokens(dialogue_materials, script):
    model, layer = dialogue_materials.subject(), dialogue_materials.layer
    read = read_turns(dialogue_materials, [script, script], lambda _n: None)
    tokens = resid_post(model, script.text, layers=[layer]).resid[0]
    pieces = content_pieces(model, script.text)
    tokens = tokens[len(tokens) - len(pieces) :]
    bundle = dialogue_materials.vectors
    norm = bundle.residual_norm[bundle.layer_index(layer)]
    for number, (start, stop) in enumerate(script.turns):
        inside = [start < last and first < stop for first, last in pieces]
        said = "".join(
            script.text[a:b] for (a, b), there in zip(pieces, inside, strict=True) if there
        )
        assert said.strip() == TURNS[number]
        assert read.n_tokens[0, number] == sum(inside)
        own = tokens[torch.tensor(inside)].mean(dim=0) / norm
        assert torch.allclose(read.mean[0, number].float(), own, atol=1e-4)


def test_several_turns_weigh_as_many_tokens_as_they_have(dialogue_materials, script):
    three = Script.of(["Ana", "Bo"], [*TURNS, "A fourth one, which is longer than the others."])
    read = read_turns(dialogue_materials, [three])
    both = read.over([1, 3])[0]
    n = read.n_tokens[0]
    expected = (n[1] * read.mean[0, 1] + n[3] * read.mean[0, 3]) / (n[1] + n[3])
    assert torch.allclose(both, expected)


def test_what_stands_before_changes_what_is_read_of_the_same_words(dialogue_materials):
    it = deflected_dialogues()[0]
    told, untold = (
        read_turns(dialogue_materials, [each]) for each in (it.script, it.without_setup)
    )
    assert torch.equal(told.n_tokens, untold.n_tokens)
    assert not torch.allclose(told.mean, untold.mean, atol=1e-3)


def test_a_model_with_too_short_a_context_says_what_it_needs(tiny_model, script):
    model = tiny_model("gpt2")
    assert why_too_long(model, [script]) is None
    why = why_too_long(model, [script, crossed_dialogues()[0].script])
    assert f"at most {model.n_positions}" in why
    assert "needs a model that reads a dialogue of" in why


def test_readers_of_words_know_the_same_words_again(dialogue_materials):
    texts = ["a red door", "a red door", "nothing here"]
    for gram in grams_of_words(dialogue_materials.subject(), texts).values():
        assert gram.shape == (3, 3)
        assert gram[0, 0] == pytest.approx(gram[0, 1]) and gram[0, 0] > gram[0, 2]
    rows = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(gram_of(rows), (rows @ rows.T).double())


def test_vectors_are_those_of_stories_whatever_the_run_has_in_use(dialogue_materials):
    bundle = dialogue_materials.vectors
    shown = bundle.using("shown").at(dialogue_materials.layer)
    assert torch.equal(shown_vectors(dialogue_materials), shown)
    assert not torch.equal(bundle.using("said").at(dialogue_materials.layer), shown)
