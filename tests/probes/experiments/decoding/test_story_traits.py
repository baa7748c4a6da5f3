"""Story traits: who tells a story."""

import pytest
import torch

from probes.corpus.cells import read_cell, write_cell
from probes.experiments.decoding.story_traits import attempts, narrator
from probes.runs.materials import Materials, StoryRows
from probes.runs.models import Models
from probes.runs.reporting import Silent


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("I'd left my keys. She had my map.", "first"),
        ('He said, "I told you I lost my map." He left.', "third"),
        ("“I know,” she said, and we laughed; our train left.", "first"),
        ("The bell rang.", "neither"),
    ],
)
def test_the_narrator_is_told_by_pronouns_outside_quoted_speech(text, who):
    assert narrator(text) == who


def test_stories_that_were_written_here_have_the_round_in_which_they_were_kept(small_run):
    made = small_run()
    made.run().prepare()
    materials = Materials(made.run(), Models(made.run().config), Silent())
    for number, cell in enumerate(materials.run.story_cells):
        text = {"index": 0, "attempt": 1 + number % 3, "text": "She went home."}
        write_cell(materials.run.root, cell, {"texts": [text], "requested": 1, "rejected": []})
    kept = [
        (materials.emotions.index(cell.emotion), materials.topics.index(cell.topic), text)
        for cell in materials.run.story_cells
        for text in read_cell(materials.run.root, cell)["texts"]
    ]
    columns = zip(*[(emotion, topic, text["index"]) for emotion, topic, text in kept], strict=True)
    emotion, topic, index = map(torch.tensor, columns)
    once = torch.ones_like(index)
    rows = StoryRows(emotion=emotion, topic=topic, index=index, n_tokens=once, n_texts=once)
    assert attempts(materials, rows) == [text["attempt"] for *_, text in kept]
    assert {*attempts(materials, rows)} == {1, 2, 3}
