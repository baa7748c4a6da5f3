"""Curves of doses: logarithmic costs, the budget, the usable range."""

import copy
import json

import pytest

from probes.experiments.steering.dose_response import EXPERIMENT
from probes.experiments.steering.figures import dose_response_curves
from probes.figures import png, webpage
from probes.figures.description import Lines

COSTS = {0.0: (0.0, 1.0), 0.05: (0.02, 1.01), 0.1: (0.4, 1.4), 0.2: (3.9, 500.0)}


def dose(value: float, kl: float, ratio: float) -> dict:
    return {
        "dose": value, "own": 10 * value, "own_interval": [8 * value, 12 * value],
        "random": -value, "random_interval": [-2 * value, 0.0],
        "kl": kl, "kl_interval": [0.9 * kl, 1.1 * kl],
        "perplexity_ratio": ratio, "perplexity_interval": [0.9 * ratio, 1.1 * ratio],
    }  # fmt: skip


def curves(values: dict) -> Lines:
    return dose_response_curves(EXPERIMENT.read(values))


@pytest.fixture
def values() -> dict:
    doses = [dose(value, *cost) for value, cost in COSTS.items()]
    return {
        "model": "m", "emotions": ["calm", "sad"], "n_tokens": 8, "n_texts": 3, "n_random": 4,
        "target_layer": 12, "budget": {"max_kl": 1.0, "max_perplexity_ratio": 2.0},
        "layers": [
            {"layer": 9, "usable": None, "doses": copy.deepcopy(doses)},
            {"layer": 12, "usable": 0.1, "doses": doses},
        ],
    }  # fmt: skip


def test_costs_are_logarithmic_and_nothing_at_dose_zero_is_a_gap(values):
    effect, kl, ratio = curves(values).panels
    assert [panel.logarithmic for panel in (effect, kl, ratio)] == [False, True, True]
    assert kl.lines[1].y == (None, 0.02, 0.4, 3.9)
    assert kl.lines[1].low is not None and kl.lines[1].low[0] is None
    assert ratio.lines[1].y == (1.0, 1.01, 1.4, 500.0)
    assert png.render(curves(values)).startswith(b"\x89PNG")


def test_the_budget_is_a_line_of_both_costs_with_its_unit(values):
    figure = curves(values)
    assert [panel.level for panel in figure.panels] == [None, 1.0, 2.0]
    assert [panel.level_label for panel in figure.panels[1:]] == [
        "budget: 1 nat",
        "budget: 2 times",
    ]
    assert "1 nat and 2 times" in figure.caption
    values["budget"]["max_kl"] = 0.5
    assert "0.5 nats and" in curves(values).caption


def test_the_usable_range_names_its_layer(values):
    assert curves(values).mark_label == "layer 12: usable up to 0.1"
    values["layers"][1]["usable"] = None
    assert curves(values).mark_label == ""


def test_both_drawings_have_the_same_ticks_levels_and_axes(values):
    figure = curves(values)
    axes = png.matplotlib_figure(figure).axes
    layout = json.loads(webpage.plotly_figure(figure).to_json() or "")["layout"]
    assert axes[-1].get_xticks().tolist() == list(COSTS) == layout["xaxis3"]["tickvals"]
    assert [tick.get_text() for tick in axes[-1].get_xticklabels()] == layout["xaxis3"]["ticktext"]
    for one, name, level in ((axes[1], "2", 1.0), (axes[2], "3", 2.0)):
        page = layout[f"yaxis{name}"]
        assert one.get_yscale() == page["type"] == "log"
        assert one.get_yticks().tolist() == page["tickvals"]
        assert one.get_ylim() == pytest.approx([10**end for end in page["range"]])
        across = [shape["y0"] for shape in layout["shapes"] if shape["yref"] == f"y{name}"]
        assert level in across
        assert any(list(line.get_ydata()) == [level, level] for line in one.get_lines())
    texts = [note["text"] for note in layout["annotations"]]
    assert texts == ["budget: 1 nat", "budget: 2 times"]
    assert layout["annotations"][0]["y"] == pytest.approx(0.0), "a text lies at the logarithm"


def test_where_the_target_layer_was_not_swept_another_is_shown_with_its_own_range(values):
    values["target_layer"] = 30
    result, figure = EXPERIMENT.read(values), curves(values)
    assert figure.mark == 0.1 and figure.mark_label == "layer 12: usable up to 0.1"
    assert "at layer 12 doses up to 0.1" in result.paragraph()
    assert result.findings()[0].name == "largest usable dose at layer 12"
