"""The scorecard: every number of the paper has a line, and a verdict only where one is fair."""

import pytest

from probes.scorecard import INSIDE, NOT_COMPARABLE, OUTSIDE, scorecard, table, to_json

RATED = {"happy": 0.9, "sad": -0.7, "angry": -0.5, "proud": 0.7, "bored": -0.6, "kind": 0.6}


def _geometry(sign=1.0, noise=0.0):
    bumps = [0.3, -0.2, 0.25, -0.3, 0.2, -0.25]
    coordinates = [
        [sign * valence + noise * bump, bump]
        for valence, bump in zip(RATED.values(), bumps, strict=True)
    ]
    return {
        "emotions": list(RATED),
        "human": {
            name: {"valence": valence, "arousal": place * 0.1}
            for place, (name, valence) in enumerate(RATED.items())
        },
        "pca": {"coordinates": coordinates, "explained_variance_ratio": [0.3, 0.2]},
        "kmeans": None,
    }


def _intensity(found, n):
    return {"expectations": [{}] * n, "n_expected": found, "n": n}


def _lines(**results):
    return {line.name: line for line in scorecard(results)}


def test_every_number_of_the_paper_has_a_line():
    lines = _lines()
    for name in (
        "geometry.pc1_vs_human_valence",
        "intensity.expected_signs",
        "preferences.probe_vs_elo_r.blissful",
        "behaviour.blackmail_rate.plus_desperate_0.05",
        "steering_words.he_feels.matching",
        "replications.Gemma-4-31B base.valence",
    ):
        assert name in lines
    assert all(line.paper is not None for line in lines.values())


def test_what_was_not_run_is_not_comparable_and_says_so():
    lines = _lines()
    assert {line.verdict for line in lines.values()} == {NOT_COMPARABLE}
    assert lines["intensity.expected_signs"].why == "experiment intensity was not run"
    assert lines["geometry.pc1_vs_human_valence"].why == "analyze was not run"
    assert "measures it" in lines["speakers.other_to_present_arousal_r"].why


def test_a_correlation_is_judged_by_the_papers_interval_and_has_no_sign():
    for sign in (1.0, -1.0):
        line = _lines(geometry=_geometry(sign, noise=2.0))["geometry.pc1_vs_human_valence"]
        assert line.verdict == (INSIDE if 0.68 <= line.ours <= 0.89 else OUTSIDE)
        assert line.interval is not None
        assert line.interval[0] < line.ours < line.interval[1]
        assert line.n == 6
    perfect = _lines(geometry=_geometry(noise=0.1))["geometry.pc1_vs_human_valence"]
    assert perfect.ours > 0.89
    assert perfect.verdict == OUTSIDE


def test_a_value_without_an_interval_is_shown_and_not_judged():
    line = _lines(geometry=_geometry())["geometry.pc1_variance_share"]
    assert line.ours == 0.3
    assert line.verdict == NOT_COMPARABLE
    assert "no interval" in line.why


@pytest.mark.parametrize(("found", "verdict"), [(12, INSIDE), (9, INSIDE), (8, OUTSIDE)])
def test_twelve_signs_of_twelve_have_the_exact_binomial_interval(found, verdict):
    line = _lines(intensity=_intensity(found, 12))["intensity.expected_signs"]
    assert line.paper_interval == pytest.approx((12 * 0.025 ** (1 / 12), 12.0), abs=1e-6)
    assert line.verdict == verdict


def test_intervals_of_the_papers_correlations_follow_from_n():
    line = _lines()["preferences.probe_vs_elo_r.blissful"]
    assert line.paper_n == 64
    assert line.paper_interval == pytest.approx((0.562, 0.814), abs=0.001)


def test_an_emotion_that_the_run_lacks_is_named():
    preferences = {"emotions": {}, "coupling": None, "valence": None, "dose": 0.1}
    line = _lines(preferences=preferences)["preferences.probe_vs_elo_r.hostile"]
    assert line.verdict == NOT_COMPARABLE
    assert "'hostile'" in line.why


def test_the_table_shows_both_sides_and_counts_the_rest():
    lines = to_json(scorecard({"geometry": _geometry(noise=2.0)}))
    rows = dict(table(lines))
    shown = rows["paper: geometry.pc1_vs_human_valence"]
    assert shown.startswith("ours 0.")
    assert "paper 0.81 [0.68, 0.89], n=45" in shown
    assert len(rows) - 1 + int(rows["paper: other numbers"].split(",")[0]) == len(lines)
    assert table([]) == []
