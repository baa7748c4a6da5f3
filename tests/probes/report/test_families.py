"""Families have names, the run's own after what is central in them; importance has an order."""

from dataclasses import replace

from made_up_analysis import synthetic_geometry, words_171

from probes.analysis.results import Rated
from probes.report.families import (
    by_importance,
    central_first,
    paper_families,
    run_families,
)
from probes.stimuli import paper_clusters

LINE = [[1.0, 0.9, 0.6, 0.0], [0.9, 1.0, 0.9, 0.0], [0.6, 0.9, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
"""b lies between a and c; d is far from all."""


def small(**changes):
    geometry = synthetic_geometry(["happy", "angry", "calm", "sad"], clusters=2)
    kmeans = replace(geometry.kmeans, labels=[0, 0, 0, 1])
    return replace(geometry, emotions=list("abcd"), cosine=LINE, kmeans=kmeans, human={}, **changes)


def test_a_cluster_is_named_after_its_most_central_emotions():
    assert central_first(LINE, (0, 0, 0, 1)) == [[1, 0, 2], [3]]
    families = run_families(small())
    assert families is not None
    assert families.names == ("b, a", "d")
    assert families.of == (0, 0, 0, 1)
    assert run_families(replace(small(), kmeans=None)) is None


def test_the_papers_clusters_partition_its_words_and_no_others():
    words = words_171()
    families = paper_families(words)
    assert families is not None
    assert families.names == tuple(paper_clusters())
    for name, members in paper_clusters().items():
        listed = {word for word, it in zip(words, families.of, strict=True)
                  if families.names[it] == name}  # fmt: skip
        assert listed == set(members)
    some = paper_families(["sad", "happy", "lonely"])
    assert some is not None
    assert some.names == ("exuberant joy", "despair and shame")
    assert some.of == (1, 0, 1)
    assert paper_families(["sad", "happier than ever"]) is None


def test_central_and_extreme_emotions_come_first_then_rated_ones_then_the_outer():
    words = [f"w{number}" for number in range(8)]
    x = [-5.0, 5.0, 0.0, 0.0, 0.5, 1.0, 2.0, 0.1]
    y = [0.0, 0.0, -5.0, 5.0, 0.5, 1.0, 2.0, 0.1]
    cosine = [[1.0 if one == other else 0.5 for other in words] for one in words]
    human = {"w5": Rated(0.1, 0.1)}
    geometry = replace(small(), emotions=words, cosine=cosine, human=human, kmeans=None)
    order = by_importance(geometry, None, x, y)
    assert set(order[:4]) == {0, 1, 2, 3}
    assert order[4:] == (5, 6, 4, 7)
    cosine[7] = [0.9] * 7 + [1.0]
    families = replace(run_families(small()), of=(0,) * 8, names=("all",))
    assert set(by_importance(geometry, families, x, y)[:5]) == {0, 1, 2, 3, 7}


def test_points_in_one_place_have_an_order():
    geometry = small()
    order = by_importance(geometry, run_families(geometry), [0.0] * 4, [0.0] * 4)
    assert sorted(order) == [0, 1, 2, 3]
