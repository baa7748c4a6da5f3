"""Stories for another run's vectors: none that they were made from, none of another model."""

import pytest
import torch
from compared_runs import EMOTIONS, TOPICS, bundle, write_stories

from hooks.errors import DataError, StaleArtifact
from probes.commands.others_stories import Side, in_both, own_accuracy, read_by, rows_of, stories_of
from probes.storage import read_object, write_json

OPTIONS = {"n_resamples": 50, "seed": 0}


@pytest.fixture
def side(tmp_path):
    """Write a run with stories; `seed` decides their texts and noise."""

    def make(name, seed, *, corpus_hash=None, **how):
        root = tmp_path / name
        vectors = bundle(corpus_hash=corpus_hash or name)
        vectors.save(root / "vectors")
        write_stories(root, vectors.vectors, seed=seed, **how)
        return Side(name, root, vectors, 1)

    return make


def test_rows_of_all_shards_are_read_at_one_layer(side):
    stories = stories_of(side("a", 1, noise=0.0))
    assert len(stories.rows) == len(stories.mean) == len(EMOTIONS) * len(TOPICS) * 2
    first, *_, last = stories.rows
    assert (first.emotion, first.topic, first.index) == (EMOTIONS[0], TOPICS[0], 0)
    assert (last.emotion, last.topic, last.index) == (EMOTIONS[-1], TOPICS[-1], 1)
    # Without noise two stories of a cell are equal, and others differ by their vectors.
    torch.testing.assert_close(stories.mean[0], stories.mean[1])
    vectors = bundle().vectors[1]
    torch.testing.assert_close(stories.mean[2] - stories.mean[0], vectors[1] - vectors[0])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"per_cell": True}, "kept per cell"),
        ({"fingerprint": "b"}, "another model"),
        ({"layers": [0, 7]}, r"no activations at layer 1, only at \[0, 7\]"),
        ({"stories": {"n_shards": 0}}, "no activations are there"),
        ({"stories": {"n_shards": 3}}, "missing, damaged or truncated"),
    ],
)
def test_what_cannot_be_read_is_named(side, how, message):
    with pytest.raises(DataError, match=message):
        stories_of(side("a", 1, **how))


def test_a_folder_of_vectors_alone_has_no_stories(tmp_path):
    with pytest.raises(DataError, match="no activations are there"):
        stories_of(Side("a", tmp_path, bundle(), 1))


def test_shards_of_another_extraction_are_refused(side):
    with pytest.raises(StaleArtifact, match="not made by this run"):
        stories_of(side("a", 1, made_from={"fingerprint": "other"}))


def test_stories_that_both_have_are_left_out(side):
    # The same topics with other texts; then two topics with the same texts.
    reader, other = side("a", 1), side("b", 2)
    assert in_both(reader, other, stories_of(other).rows) == set()
    part = side("c", 1, topics=TOPICS[:2])
    left_out = in_both(part, reader, stories_of(reader).rows)
    assert {row.topic for row in left_out} == set(TOPICS[:2])
    assert len(left_out) == 2 * len(EMOTIONS) * 2
    [read] = read_by(part, reader, EMOTIONS, **OPTIONS)
    assert (read["n"], read["n_topics"], read["n_left_out"]) == (80, 4, 40)
    [(_, line)] = rows_of([read], {"a": None})
    assert "80 stories on 4 topics (40 that both have left out)" in line


def test_where_all_stories_are_the_readers_own_none_is_read(side):
    whole, part = side("a", 1), side("b", 1, topics=TOPICS[:2])
    with pytest.raises(DataError, match="those that the vectors were made from"):
        read_by(whole, part, EMOTIONS, **OPTIONS)
    first, second = side("c", 2, corpus_hash="same"), side("d", 3, corpus_hash="same")
    with pytest.raises(DataError, match="those that the vectors were made from"):
        read_by(first, second, EMOTIONS, **OPTIONS)


def test_a_runs_own_accuracy_stands_beside_where_it_was_measured(validated, tmp_path):
    root = validated.folder
    measured = read_object(root / "analysis" / "held_out_topics.json")
    layer = measured["layers"].index(measured["layer"])
    own = own_accuracy(Side("a", root, bundle(), measured["layer"]))
    assert own is not None
    assert own["top_1"] == measured["nearest"][layer]["top_1"]
    assert own["n_emotions"] == len(measured["emotions"])
    [(name, line)] = rows_of([], {"a": own, "b": None})
    assert name == "stories of a, by its own on held-out topics"
    assert f"of {own['n_emotions']} emotions, chance 12.5%" in line
    assert own_accuracy(Side("a", root, bundle(), 99)) is None
    assert own_accuracy(Side("a", tmp_path, bundle(), 1)) is None


def test_an_accuracy_that_chose_its_layer_is_replaced_by_the_nested_one(validated, tmp_path):
    measured = read_object(validated.folder / "analysis" / "held_out_topics.json")
    measured["layer_rule"] = "held-out topics"
    write_json(tmp_path / "analysis" / "held_out_topics.json", measured)
    own = own_accuracy(Side("a", tmp_path, bundle(), measured["layer"]))
    assert own is not None
    assert own["top_1"] == measured["nested"]["top_1"]
