"""The highest passages of a file: each once, with what is needed to go on where a sweep was."""

import json
import tracemalloc

import pytest
import torch

from probes.texts.sweeping import Leaders, cut_long, scores_of


def test_memory_holds_the_kept_passages_and_not_the_file():
    peaks = []
    for n_windows in (200, 2000):
        leaders = Leaders(["sad", "angry"], top=3)
        generator = torch.Generator().manual_seed(0)
        tracemalloc.start()
        for number in range(n_windows):
            scores = torch.randn(32, 2, generator=generator)
            leaders.offer("doc", number, [f"{number} "] * 32, scores.mean(dim=0), scores)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert leaders.n == 2000
    assert peaks[1] < 1.3 * peaks[0]


def test_leaders_keep_the_highest_and_survive_json():
    leaders = Leaders(["sad"], top=2)
    scores = [0.1, 0.5, -0.2, 0.4, 0.5]
    for n, value in enumerate(scores):
        leaders.offer(f"doc {n}", 0, [f"word {n}"], torch.tensor([value]), torch.tensor([[value]]))
    assert [one.source for one in leaders.passages[0]] == ["doc 1", "doc 4"]
    spread = torch.tensor(scores).double().std()
    expected = (0.5 - torch.tensor(scores).mean()) / spread
    assert leaders.deviations(0, 0.5) == pytest.approx(float(expected), abs=1e-5)
    again = Leaders.from_json(json.loads(json.dumps(leaders.to_json())))
    assert again == leaders


def test_a_passage_without_others_beside_it_has_no_deviation():
    leaders = Leaders(["sad"], top=2)
    leaders.offer("doc", 0, ["word"], torch.tensor([0.5]), torch.tensor([[0.5]]))
    assert leaders.deviations(0, 0.5) != leaders.deviations(0, 0.5)
    [passage] = leaders.passages[0]
    assert scores_of(passage).tolist() == [[0.5]]


def test_long_texts_are_cut_between_tokens():
    pieces = [(n, n + 1) for n in range(21)]
    assert cut_long(pieces, 10) == [(0, 10), (10, 20), (20, 21)]
    assert cut_long([(0, 4), (4, 4), (4, 4)], 1) == [(0, 4)]  # bytes of one letter
