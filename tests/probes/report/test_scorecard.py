"""The scorecard: every number of the paper has a line, and a verdict only where one is fair."""

import json
import re
from dataclasses import dataclass, replace

import made_up_analysis
import numpy as np
import pytest

from hooks.errors import DataError
from probes.analysis.findings import Estimate, RunNumber
from probes.analysis.results import Geometry, Pca, Rated
from probes.analysis.statistics import Correlation
from probes.experiments import NotMeasured
from probes.experiments.messages.intensity import Intensity
from probes.experiments.messages.trends import TrendNull
from probes.experiments.preferences.links import Coupling, Link
from probes.experiments.preferences.orders import OrderAgreement
from probes.experiments.preferences.preferences import Preferences
from probes.report.scorecard import (
    COLUMNS,
    DIFFERENT,
    NOT_COMPARABLE,
    SAME,
    difference,
    from_json,
    grid,
    in_short,
    scorecard,
    side_by_side,
    table,
    to_json,
)

RATED = {"happy": 0.9, "sad": -0.7, "angry": -0.5, "proud": 0.7, "bored": -0.6, "kind": 0.6}


def _geometry(sign=1.0, noise=0.0) -> Geometry:
    bumps = [0.3, -0.2, 0.25, -0.3, 0.2, -0.25]
    coordinates = [
        [sign * valence + noise * bump, bump]
        for valence, bump in zip(RATED.values(), bumps, strict=True)
    ]
    return replace(
        made_up_analysis.synthetic_geometry(list(RATED), clusters=2),
        human={
            name: Rated(valence, index * 0.1) for index, (name, valence) in enumerate(RATED.items())
        },
        pca=Pca(coordinates, [0.3, 0.2], ([0.25, 0.15], [0.35, 0.25])),
        kmeans=None,
    )


def _intensity(n_expected, n) -> Intensity:
    return Intensity(
        trend=[0.5] * n,
        control=[0.0] * n,
        n_expected=n_expected,
        n_control_expected=6,
        estimate=Estimate(0.5, 0.4, 0.6),
        control_mean=0.0,
        gain=Estimate(0.5, 0.4, 0.6),
        renamed=TrendNull(0.0, 6.0, 0.01, 0.01, 2000),
        shuffled=TrendNull(0.0, 6.0, 0.01, 0.01, 30),
        p_flips=0.01,
        n_flips=4095,
        model="m",
        layer=12,
        read="at the last token",
        n_asked=12,
        n=n,
        expectations=[],
        stand_ins=["grateful for calm"],
        n_stand_ins=3,
        numbers={},
        scores=[],
        control_scores=[],
    )


@dataclass(frozen=True)
class Measured:
    """A result that has these of the paper's numbers."""

    numbers: dict[str, RunNumber | str]

    def paper_numbers(self):
        return self.numbers


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
    why = "experiment speakers was not run"
    assert lines["speakers.other_to_present_arousal_r"].why == why
    assert lines["post_training.shift_r"].why == "the command shift was not run"


@pytest.mark.parametrize(("ours", "verdict"), [(0.92, SAME), (0.4, DIFFERENT)])
def test_a_range_that_the_paper_gives_stands_for_an_interval(ours, verdict):
    number = RunNumber(ours, (ours - 0.1, ours + 0.1), 12)
    others = dict.fromkeys(("across_role_cosine", "other_to_present_arousal_r"), "not measured")
    numbers = {"within_role_cosine": number, **others}
    measured = Measured({f"speakers.{name}": it for name, it in numbers.items()})
    line = _lines(speakers=measured)["speakers.within_role_cosine"]
    assert line.paper_interval == (0.9, 1.0)
    assert line.verdict == verdict


def test_a_correlation_is_judged_by_its_difference_to_the_papers_and_has_no_sign():
    for sign in (1.0, -1.0):
        line = _lines(geometry=_geometry(sign, noise=2.0))["geometry.pc1_vs_human_valence"]
        low, high = line.difference
        assert low < line.ours - 0.81 < high
        assert line.verdict == (SAME if low <= 0 <= high else DIFFERENT)
        assert line.interval is not None
        assert line.interval[0] < line.ours < line.interval[1]
        assert line.n == 6
    perfect = _lines(geometry=_geometry(noise=0.1))["geometry.pc1_vs_human_valence"]
    assert perfect.ours > 0.89
    assert perfect.difference[0] > 0
    assert perfect.verdict == DIFFERENT


@pytest.mark.parametrize(("r", "n", "paper_n"), [(0.81, 24, 45), (0.81, 45, 45), (0.3, 12, 64)])
def test_an_exact_replication_is_called_different_in_five_of_a_hundred(r, n, paper_n):
    """By the paper's interval alone it was in a quarter of them."""
    generator = np.random.default_rng(0)

    def drawn(size):
        x = generator.normal(size=(4000, size))
        y = r * x + np.sqrt(1 - r**2) * generator.normal(size=x.shape)
        x, y = (it - it.mean(axis=1, keepdims=True) for it in (x, y))
        rs = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        half = 1.959964 / np.sqrt(size - 3)
        return rs, np.tanh(np.arctanh(rs) - half), np.tanh(np.arctanh(rs) + half)

    ours, paper = drawn(n), drawn(paper_n)
    different = alone = 0
    for (one, low, high), (other, from_, to) in zip(
        zip(*ours, strict=True), zip(*paper, strict=True), strict=True
    ):
        ends = difference((one, (low, high)), (other, (from_, to)))
        different += not ends[0] <= 0 <= ends[1]
        alone += not from_ <= one <= to
    assert 0.03 < different / 4000 < 0.07
    assert alone / 4000 > 0.1


@pytest.mark.parametrize(("ours", "verdict"), [((0.25, 0.35), SAME), ((0.28, 0.35), DIFFERENT)])
def test_a_value_without_an_interval_is_taken_as_exact_and_says_so(ours, verdict):
    geometry = _geometry()
    shares = replace(
        geometry.pca, explained_variance_ratio_interval=([ours[0], 0.1], [ours[1], 0.3])
    )
    line = _lines(geometry=replace(geometry, pca=shares))["geometry.pc1_variance_share"]
    assert (line.ours, line.interval, line.paper, line.paper_interval) == (0.3, ours, 0.26, None)
    assert line.verdict == verdict
    assert line.difference == pytest.approx([end - 0.26 for end in ours])
    assert "taken as exact" in line.why


@pytest.mark.parametrize(("n_expected", "verdict"), [(12, SAME), (8, SAME), (3, DIFFERENT)])
def test_twelve_signs_of_twelve_have_the_exact_binomial_interval(n_expected, verdict):
    line = _lines(intensity=_intensity(n_expected, 12))["intensity.expected_signs"]
    assert "in 3 a near emotion stands in" in line.why
    assert line.paper_interval == pytest.approx((12 * 0.025 ** (1 / 12), 12.0), abs=1e-6)
    assert line.verdict == verdict


def test_fewer_expectations_are_scaled_to_the_papers_twelve():
    line = _lines(intensity=_intensity(6, 8))["intensity.expected_signs"]
    assert (line.ours, line.n) == (9.0, 8)
    assert "6 of 8 testable expectations, scaled to 12" in line.why


def test_intervals_of_the_papers_correlations_follow_from_n():
    line = _lines()["preferences.probe_vs_elo_r.blissful"]
    assert line.paper_n == 64
    assert line.paper_interval == pytest.approx((0.562, 0.814), abs=0.001)


def _preferences(dose, **changes) -> Preferences:
    coupling = Coupling(r=0.8, low=0.7, high=0.9, n=24, p=0.01)
    made = Preferences(
        model="m",
        layer=12,
        chat=True,
        dose=dose,
        n_activities=64,
        n_pairs=96,
        n_pairs_all=2016,
        n_steered_pairs=8,
        activities=[],
        orders=OrderAgreement(0.5, 0.3, 0.7, 0.8, 0.5, 0.01, 0.1, 1.0),
        n_directions=8.0,
        emotions={"blissful": Link(0.6, 0.4, 0.7, 0.01, 200.0, 150.0, 250.0)},
        coupling=coupling,
        coupling_shuffled=None,
        length_r=None,
        valence=Correlation(r=0.8, n=24, low=0.7, high=0.9, p=0.01),
    )
    return replace(made, **changes)


def test_an_emotion_that_the_run_lacks_is_named():
    preferences = _preferences(0.1, emotions={}, coupling=None, valence=None)
    line = _lines(preferences=preferences)["preferences.probe_vs_elo_r.hostile"]
    assert line.verdict == NOT_COMPARABLE
    assert "'hostile'" in line.why


def test_what_a_run_has_too_little_for_is_told_in_its_words():
    why = "needs two of its twelve emotions"
    lines = _lines(scenarios=NotMeasured("Implicit scenarios", why))
    assert lines["scenarios.diagonal"].why == why


def test_what_steering_did_is_judged_at_the_papers_dose_alone():
    for dose, verdict in ((0.1, NOT_COMPARABLE), (0.5, SAME)):
        line = _lines(preferences=_preferences(dose))["preferences.coupling_r"]
        assert line.verdict == verdict
        assert ("ours at dose 0.1, the paper's at 0.5" in line.why) == (dose == 0.1)
    pushed = _lines(preferences=_preferences(0.1))["preferences.steering_delta_elo.blissful"]
    assert pushed.ours == 200.0
    assert pushed.verdict == NOT_COMPARABLE
    read = _lines(preferences=_preferences(0.1))["preferences.probe_vs_elo_r.blissful"]
    assert read.verdict == SAME
    assert "96 of 2016 pairs" in read.why


def test_few_rated_words_beside_all_171_are_named():
    line = _lines(preferences=_preferences(0.5))["preferences.valence_vs_probe_elo_r"]
    assert (line.ours, line.verdict) == (0.8, SAME)
    assert "24 emotions that people rated, the paper's over 171" in line.why


def test_what_was_read_off_a_chart_is_known_as_well_as_it_could_be_read():
    names = ["he_feels.matching", "i_feel.matching", "he_feels.other", "i_feel.other"]
    numbers = {f"steering_words.{name}": RunNumber(2.3, (2.2, 2.4)) for name in names}
    lines = _lines(steering=Measured(numbers))
    line = lines["steering_words.he_feels.matching"]
    assert line.paper_interval == pytest.approx((1.6, 2.4))
    assert line.verdict == SAME
    line = lines["steering_words.he_feels.other"]
    assert line.paper_interval == pytest.approx((-5.16, -3.44))
    assert line.verdict == DIFFERENT


def test_what_depends_on_the_width_is_shown_and_not_judged():
    cosine = Measured({"scenarios.diagonal": RunNumber(0.1, (0.08, 0.12))})
    line = _lines(scenarios=cosine)["scenarios.diagonal"]
    assert (line.ours, line.verdict, line.difference) == (0.1, NOT_COMPARABLE, None)
    assert "shrinks as the stream widens" in line.why


def test_what_the_paper_states_in_words_is_not_judged():
    line = _lines(geometry=_geometry(noise=2.0))[
        "replications.Apertus-8B and Gemma-4-E4B (arXiv 2606.26987).arousal"
    ]
    assert (line.paper, line.verdict) == ("up to 0.45 by corpus", NOT_COMPARABLE)
    assert "states it in words" in line.why


def test_ours_without_an_interval_is_not_judged():
    numbers = {
        f"preferences.probe_vs_elo_r.{name}": RunNumber(0.7) for name in ("blissful", "hostile")
    }
    numbers |= {
        f"preferences.{name}": "not here"
        for name in (
            "steering_delta_elo.blissful", "steering_delta_elo.hostile",
            "coupling_r", "valence_vs_probe_elo_r",
        )
    }  # fmt: skip
    line = _lines(preferences=Measured(numbers))["preferences.probe_vs_elo_r.blissful"]
    assert (line.ours, line.verdict) == (0.7, NOT_COMPARABLE)
    assert "our value has no interval" in line.why


def test_a_replication_stands_beside_ours():
    lines = _lines(geometry=_geometry(noise=2.0))
    for scale, ours in (("valence", "pc1_vs_human_valence"), ("arousal", "pc2_vs_human_arousal")):
        line = lines[f"replications.Gemma-4-31B base.{scale}"]
        assert line.ours == lines[f"geometry.{ours}"].ours
        assert line.interval is not None
        assert line.verdict in (SAME, DIFFERENT)
        assert "taken as exact" in line.why
        assert "how many, is not recorded" in line.why


def test_the_table_shows_both_sides_and_names_the_rest():
    lines = scorecard({"geometry": _geometry(noise=2.0)})
    rows = dict(table(lines))
    shown = rows["paper: geometry.pc1_vs_human_valence"]
    assert shown.startswith("ours 0.")
    assert "paper 0.81 [0.68, 0.89], n=45" in shown
    words = " ".join([*rows, *rows.values()])
    assert all(line.name.partition(".")[2] in words for line in lines)
    assert table([]) == []


def test_in_short_every_number_is_counted_once():
    lines = scorecard({"geometry": _geometry(noise=2.0)})
    counted = [
        int(n)
        for n in re.findall(r"(\d+) (?:no different|different|not comparable)", in_short(lines))
    ]
    assert len(counted) == 3
    assert sum(counted) == len(lines)
    assert counted[0] + counted[1] == sum(line.verdict != NOT_COMPARABLE for line in lines)


def test_the_grid_has_a_row_for_every_number_and_all_of_its_sides():
    lines = scorecard({"geometry": _geometry(noise=2.0)})
    rows = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in grid(lines)}
    assert list(rows) == [line.name for line in lines]
    row = rows["geometry.pc1_vs_human_valence"]
    assert (row["paper"], row["its interval"], row["its n"], row["n"]) == (
        "0.81",
        "[0.68, 0.89]",
        "45",
        "6",
    )
    assert rows["speakers.within_role_cosine"]["paper"] == "0.9 to 1"
    for row in rows.values():
        verdict, _, why = row["verdict"].partition(": ")
        assert verdict in (SAME, DIFFERENT, NOT_COMPARABLE)
        assert why or verdict != NOT_COMPARABLE


def test_runs_stand_side_by_side_under_their_names_and_what_is_compared_is_counted():
    lines = scorecard({"geometry": _geometry(noise=2.0)})
    rows = side_by_side({"one": lines, "none": scorecard({})})
    assert rows[0] == ("", "paper", "one", "none")
    cells = {row[0]: row[1:] for row in rows[1:-1]}
    paper, one, none = cells["geometry.pc1_vs_human_valence"]
    assert paper == "0.81 [0.68, 0.89]"
    assert re.fullmatch(r"0\.\d+ \[-?0\.\d+, 0\.\d+\]: (no )?different", one)
    assert none == NOT_COMPARABLE
    n = sum(line.verdict != NOT_COMPARABLE for line in lines)
    assert rows[-1] == ("", "compared", f"{n} of {len(lines)}", f"0 of {len(lines)}")


def test_lines_go_to_their_file_and_back():
    lines = scorecard({"geometry": _geometry(noise=2.0)})
    content = json.loads(json.dumps(to_json(lines)))
    assert json.loads(json.dumps(to_json(from_json(content["lines"])))) == content
    del content["lines"][0]["verdict"]
    with pytest.raises(DataError, match="verdict is wrong"):
        from_json(content["lines"])
