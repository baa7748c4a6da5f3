"""Agreement under steering: what a model that knows nothing is not credited with, and what is."""

import json
from dataclasses import replace

import pytest
import torch
from planted_runs import materials as materials_of

from probes.analysis.findings import Control, Estimate
from probes.analysis.rating_plane import valence_axis
from probes.experiments import NotMeasured, find_experiment, to_json
from probes.experiments.steering.agreement import EXPERIMENT, chosen, measure, valence_axes_of
from probes.experiments.steering.claim_answers import WORDINGS, ask
from probes.experiments.steering.claim_slopes import ALONE, AXIS

WIDE = {"validation__max_kl": 1e6, "validation__max_perplexity_ratio": 1e6}


@pytest.fixture
def materials(finished_original):
    return materials_of(finished_original, **WIDE, validation__n_random=8)


@pytest.fixture(scope="module")
def result(finished_original):
    return measure(materials_of(finished_original, **WIDE, validation__n_random=8))


@pytest.fixture
def knowing(result):
    """The same of a model that knows, is moved by happy, and not by angry."""
    moved = replace(
        result.emotions["happy"],
        false=Estimate(0.5, 0.4, 0.6),
        q_false=0.01,
        controls=[Control(ALONE, Estimate(0.1), Estimate(0.4, 0.3, 0.5))],
    )
    still = replace(result.emotions["angry"], false=Estimate(-0.1, -0.2, 0.1), q_false=0.6)
    knows = {"discrimination": Estimate(1.0, 0.8, 1.2), "agrees": (0.9, 0.3), "mass": 0.4}
    return replace(result, emotions={"happy": moved, "angry": still}, **knows)


def _verdicts(result):
    return {
        it.name.split()[-1]: it.verdict for it in result.findings() if "false claims" in it.name
    }


def test_line_paragraph_and_figure_say_the_same(result):
    assert list(result.emotions) == ["happy", "angry", "sad"]
    happy = result.emotions["happy"]
    number = f"{happy.false.value:+.2f}"
    [finding] = [it for it in result.findings() if it.name.endswith("toward happy")][:1]
    figure = result.figures()["agreement"]
    for text in (finding.line, result.paragraph(), figure.caption):
        assert number in text
    [line] = [line for line in figure.panels[0].lines if line.name == "happy"]
    assert line.y == (0.0, *(it.value for it in happy.curve))
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result


def test_random_weights_know_nothing_and_nothing_is_called_shown(result):
    assert not result.knows
    assert {it.verdict for it in result.findings()} == {"not shown"}
    assert "does not tell them apart" in result.paragraph()
    assert any("no agreement with what is false" in limit for limit in result.limits())


def test_what_moves_a_model_that_knows_is_shown(knowing):
    assert _verdicts(knowing) == {"happy": "shown", "angry": "not shown"}
    assert not any("does not tell true" in limit for limit in knowing.limits())
    # The same where the model knows nothing is not agreement with what is false.
    ignorant = replace(knowing, discrimination=Estimate(0.1, -0.1, 0.3))
    assert _verdicts(ignorant) == {"happy": "not shown", "angry": "not shown"}


def test_controls_that_move_as_far_take_the_verdict_away(knowing):
    happy = knowing.emotions["happy"]
    none = Estimate(0.0, -0.1, 0.1)

    def verdict(*controls):
        emotions = {"happy": replace(happy, controls=controls)}
        return _verdicts(replace(knowing, emotions=emotions))["happy"]

    beyond = happy.controls[0]
    assert verdict(Control(ALONE, Estimate(0.5), none)) == "not shown"
    assert verdict(beyond, Control(AXIS, Estimate(0.5), none)) == "shown in part"
    assert verdict(beyond, Control(AXIS, Estimate(0.1), beyond.excess)) == "shown"


def test_floors_and_ceilings_are_named(knowing):
    assert not any("choices hardly" in limit for limit in knowing.limits())
    for agrees in ((1.0, 0.97), (0.0, 0.03)):
        assert any("choices hardly" in it for it in replace(knowing, agrees=agrees).limits())
    assert any("something else" in it for it in replace(knowing, mass=0.01).limits())
    few = [it for it in knowing.limits() if "8 random directions" in it]
    assert len(few) == 1
    assert not any("random directions" in it for it in replace(knowing, n_random=99).limits())


def test_a_vector_that_promotes_the_words_moves_the_question_alone_as_far(materials):
    model, bundle = materials.subject(), materials.vectors
    answers = [ask(model, "", wording, swapped=False) for wording in WORDINGS]
    columns = model.W_U.T.float()
    promoted = sum(columns[it.agree] - columns[it.disagree] for it in answers)
    row = materials.emotions.index("happy")
    bundle.vectors[bundle.layer_index(materials.layer), row] = promoted
    happy = measure(materials).emotions["happy"]
    assert happy.false.low > 0 and happy.true.low > 0
    [alone] = [it for it in happy.controls if it.name == ALONE]
    assert alone.reached.value > happy.false.value / 2


def test_doses_beyond_the_budget_are_left_out(finished_original):
    tight = {"validation__max_kl": 0.1, "validation__max_perplexity_ratio": 1e6}
    some = measure(materials_of(finished_original, **tight, validation__doses=[0.01, 4.0]))
    assert (list(some.doses), list(some.beyond_budget)) == ([0.01], [4.0])
    assert any("doses of 4 are beyond" in limit for limit in some.limits())
    none = measure(materials_of(finished_original, validation__max_kl=1e-9))
    assert isinstance(none, NotMeasured)
    assert "needs a dose within the budget" in none.paragraph()


def test_a_run_without_the_emotions_says_so(reading_run):
    run = reading_run(corpus={"emotions": ["smug", "vigilant"]})
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    result = measure(materials_of(run))
    assert isinstance(result, NotMeasured) and "none of loving" in result.paragraph()


def test_the_first_of_each_group_is_chosen():
    assert chosen(["kind", "loving", "relaxed", "enraged", "bored"]) == [
        "loving",
        "relaxed",
        "enraged",
    ]


def test_the_valence_axis_points_to_the_emotions_side_and_leaves_its_vector_out(materials):
    generator = torch.Generator().manual_seed(3)
    bundle = materials.vectors
    vectors = torch.randn(3, bundle.vectors.shape[2], generator=generator)
    bundle.vectors[bundle.layer_index(materials.layer)] = vectors
    axes = valence_axes_of(materials, ["happy", "angry", "sad"])
    assert list(axes) == ["angry", "sad"]  # without happy there is no pleasant one
    happy, sad = (vectors[materials.emotions.index(name)] for name in ("happy", "sad"))
    torch.testing.assert_close(axes["angry"], sad - happy)
    assert valence_axis(vectors, materials.emotions, {"happy": 0.8}) is None


def test_it_is_listed():
    assert find_experiment("agreement") is EXPERIMENT
