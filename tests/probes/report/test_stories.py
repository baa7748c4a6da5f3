"""Example stories: chosen without looking, cut where tokens end, scored with their own emotion."""

import dataclasses

import pytest
import torch

from probes import EmotionVectors
from probes.corpus.cells import Cell, story_cells
from probes.report import stories
from probes.report.contents import HeatedStory

TOPICS = ["a key", "a train", "a roof"]


def test_emotions_are_spread_over_the_order_and_topics_take_turns():
    emotions = [f"e{number}" for number in range(12)]
    order = list(reversed(range(12)))
    chosen = stories.choose(emotions, order, story_cells(emotions, TOPICS), n_stories=4)
    assert [cells[0] for cells in chosen] == [
        Cell("e10", "a key"),
        Cell("e7", "a train"),
        Cell("e4", "a roof"),
        Cell("e1", "a key"),
    ]
    assert [cell.topic for cell in chosen[1]] == ["a train", "a roof", "a key"]


def test_fewer_emotions_than_stories_give_one_each():
    chosen = stories.choose(["a", "b"], [1, 0], story_cells(["a", "b"], TOPICS))
    assert [cells[0].emotion for cells in chosen] == ["b", "a"]


class Bytes:
    """A tokenizer whose tokens are bytes, so that one character spans several."""

    def decode(self, ids, clean_up_tokenization_spaces):
        return bytes(ids).decode("utf-8", "replace")


def test_a_character_of_several_tokens_is_one_piece():
    pieces, owners = stories.split(Bytes(), list("né😭!".encode()))
    assert pieces == ["n", "é", "😭", "!"]
    assert owners == [0, 1, 1, 2, 2, 2, 2, 3]


def test_a_text_that_ends_within_a_character_is_still_whole():
    pieces, owners = stories.split(Bytes(), list("é".encode())[:1])
    assert pieces == ["\N{REPLACEMENT CHARACTER}"]
    assert owners == [0]


def test_scores_are_the_cosines_with_the_story_s_own_vector(finished, tiny_model):
    vectors = EmotionVectors.load(finished.folder)
    model = tiny_model("gpt2", backend="huggingface")
    text = "Rain ran down the glass. She waited."
    heated = stories.heat(model, vectors, Cell("sad", "a lost key"), text)
    assert "".join(heated.pieces) == text
    _, scores = vectors.score_tokens(model, text)
    content = [i for i, token in enumerate(model.encode(text)) if token not in model.special_ids]
    expected = scores[content, vectors.emotions.index("sad")]
    assert len(heated.scores) == len(heated.pieces) == len(content)
    torch.testing.assert_close(torch.tensor(heated.scores), expected)
    best = scores[content].mean(dim=0).max().item()
    assert heated.nearest[0][1] == pytest.approx(best)


def test_a_story_has_the_z_that_its_text_has(finished, tiny_model):
    vectors = EmotionVectors.load(finished.folder)
    model = tiny_model("gpt2", backend="huggingface")
    cell, text = Cell("sad", "a lost key"), "Rain ran down the glass. She waited."
    heated = stories.heat(model, vectors, cell, text)
    layer = vectors.provenance.target_layer
    [above] = vectors.z(vectors.score(model, [text]), layer)
    assert heated.z == pytest.approx(float(above[vectors.emotions.index("sad")]))
    said = f"As a whole: sad, z {heated.z:+.1f} (standard deviations above neutral text)."
    assert heated.above_neutral == said
    without = stories.heat(model, dataclasses.replace(vectors, zeros={}), cell, text)
    assert without == dataclasses.replace(heated, z=None)
    assert without.above_neutral == ""


def test_the_strongest_words_are_words():
    story = HeatedStory(
        "sad", "a key", [" the", " rain", ",", " it", " rain"], [1.0, 3.0, 9.0, 8.0, 4.0], []
    )
    assert story.strongest == ["rain", "the"]


def test_the_scale_leaves_the_most_extreme_out():
    story = HeatedStory("sad", "", ["a"] * 100, [0.1] * 98 + [-0.2, 5.0], [])
    assert stories.scale_of([story]) == pytest.approx(0.1)
    assert stories.scale_of([]) == 1.0
