"""Captions say where answers show no preference; axes show zero."""

import pytest

from probes.experiments import NotMeasured
from probes.experiments.preferences.figures import activity_elo, preference_coupling
from probes.experiments.preferences.preferences import EXPERIMENT, Preferences
from probes.figures import png, webpage


def orders(r: float | None, low: float | None) -> dict:
    return {
        "r": r, "low": low, "high": low and 0.6, "same_choice": 0.29,
        "same_choice_by_chance": 0.42, "same_choice_p": 0.5, "says_a": 0.1, "spread": 0.2,
    }  # fmt: skip


def result(agreement: dict) -> Preferences | NotMeasured:
    return EXPERIMENT.read({
        "model": "m", "layer": 1, "dose": 0.1, "n_pairs": 4, "n_pairs_all": 6, "n_steered_pairs": 2,
        "orders": agreement, "chat": True, "n_activities": 2, "n_directions": 2.0,
        "length_r": None, "valence": None,
        "activities": [
            {"text": text, "category": "rest", "elo": elo, "low": elo - 1, "high": elo + 1,
             "n_tokens": 3}
            for text, elo in (("sleep", 3.0), ("walk", -3.0))
        ],
        "emotions": {
            name: {"r": r, "low": 0.0, "high": 0.5, "p_corrected": 0.5,
                   "push": push, "push_low": 0.0, "push_high": 9.0}
            for name, r, push in (("calm", 0.2, 3.0), ("sad", 0.4, 5.0))
        },
        "coupling": {"r": -0.32, "low": -0.64, "high": 0.09, "n": 24, "p": 0.93},
        "coupling_shuffled": {"r": 0.17, "low": -0.2, "high": 0.5, "n": 24, "p": 0.2},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("agreement", "words"),
    [
        (orders(-0.44, -0.55), "(r=-0.44; "),
        (orders(0.1, 0.0), "(r=0.10; "),
        (orders(None, None), "(r is not defined; "),
    ],
)
def test_captions_say_that_answers_in_two_orders_show_no_preference(agreement, words):
    for figure in (activity_elo(result(agreement)), preference_coupling(result(agreement))):
        assert figure.caption.endswith("Elo points measure no preference here.")
        assert f"do not agree beyond chance {words}" in figure.caption
        assert figure.caption.count("29%") == figure.caption.count("42%") == 1


def test_captions_of_orders_that_agree_say_only_how_often():
    agreed = result(orders(0.5, 0.3))
    assert "same choice for 29% (by chance 42%)." in activity_elo(agreed).caption
    for figure in (activity_elo(agreed), preference_coupling(agreed)):
        assert "no preference" not in figure.caption


def test_the_coupling_comes_with_its_p():
    caption = preference_coupling(result(orders(0.5, 0.3))).caption
    assert "r=-0.32 [-0.64, 0.09], n=24, p=0.93; shuffled-label vectors r=0.17." in caption


def test_zero_is_in_sight_on_both_axes_of_both_drawings():
    figure = preference_coupling(result(orders(0.5, 0.3)))
    axes = png.matplotlib_figure(figure).axes[0]
    layout = webpage.plotly_figure(figure).to_plotly_json()["layout"]
    for ends, page in ((axes.get_xlim(), "xaxis"), (axes.get_ylim(), "yaxis")):
        assert ends[0] < 0 < ends[1]
        assert layout[page]["range"][0] < 0 < layout[page]["range"][1]
        assert layout[page]["zeroline"]
