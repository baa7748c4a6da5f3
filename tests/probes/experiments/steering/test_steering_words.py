"""Steering words: finds what was planted, and nothing in noise."""

import pytest
import torch
from planted_runs import materials
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from probes.experiments import find_experiment, to_json
from probes.experiments.steering import steering_words
from probes.experiments.steering.controls import Controls
from probes.experiments.steering.doses import Dosing

# Single letters follow a sentence as words of their own in a byte-level vocabulary.
WORDS = ["angry", "sad", "calm", "joyful", "proud"]


@pytest.fixture(scope="module")
def model():
    return hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend="huggingface")


@pytest.fixture(scope="module")
def words(model):
    """Words whose first tokens differ in the tiny vocabulary."""
    heads = [ids[0] for ids in steering_words.first_tokens(model, WORDS)]
    distinct = [word for word, head in zip(WORDS, heads, strict=True) if heads.count(head) == 1]
    return distinct if len(distinct) >= 3 else ["hill", "rain", "window", "letter", "train"]


def _run(model, vectors, words, **changes):
    last = model.n_layers - 1
    options = {
        "target": last,
        "residual_norm": {last: 10.0},
        "controls": Controls(),
        "doses": [0.5],
        "n_random": 20,
        "seed": 0,
    }
    options.update(changes)
    layers = options.pop("layers", [options["target"]])
    options["dosing"] = Dosing(layers, options.pop("doses"), options.pop("residual_norm"))
    by_layer = vectors if isinstance(vectors, dict) else {options["target"]: vectors}
    return steering_words.run(model, by_layer, words, **options)


def _planted(model, words):
    """Directions that the unembedding reads as each word, and as no other one."""
    ids = [tokens[0] for tokens in steering_words.first_tokens(model, words)]
    columns = model.W_U.T[ids].float()
    return columns - columns.mean(dim=0)


def test_planted_directions_raise_their_own_word_and_beat_every_random_one(model, words):
    result = _run(model, _planted(model, words), words)
    [dose] = result.doses
    assert dose.matching > dose.other
    assert dose.matching_interval[0] > dose.other_interval[1]
    assert dose.top_3 == 1.0
    assert sorted(dose.random.beats_all) == sorted(words)


def test_noise_does_not_beat_the_random_directions(model, words):
    beaten = 0
    for seed in range(5):
        noise = torch.randn(
            len(words), model.d_model, generator=torch.Generator().manual_seed(100 + seed)
        )
        beaten += len(_run(model, noise, words).doses[0].random.beats_all)
    # One in 21 by chance for each of 5 times the words.
    assert beaten <= 5


def test_a_subset_has_the_effects_that_it_has_among_all(finished):
    measure, asked = find_experiment("steering").measure, ["sad", "angry"]
    every = measure(materials(finished))
    few = measure(materials(finished, validation__steered_emotions=asked))
    kept = [name for name in every.emotions if name in asked]
    assert (every.n_not_steered, few.n_not_steered) == (0, 1)
    assert few.emotions == kept == ["angry", "sad"]
    rows = [every.emotions.index(name) for name in kept]
    among_all = torch.tensor(every.doses[0].matrix)[rows][:, rows]
    assert torch.allclose(torch.tensor(few.doses[0].matrix), among_all, atol=1e-5)
    assert not any("not steered" in limit for limit in every.limits())


def test_the_matrix_is_vector_by_word(model, words):
    vectors = _planted(model, words)
    matrix = torch.tensor(_run(model, vectors, words).doses[0].matrix)
    swapped = torch.tensor(_run(model, vectors.flip(0), words).doses[0].matrix)
    assert torch.allclose(matrix.flip(0), swapped, atol=1e-5)


def test_the_change_is_that_of_the_models_own_next_token(model, words):
    vectors = _planted(model, words)
    result = _run(model, vectors, words)
    ids = [tokens[0] for tokens in steering_words.first_tokens(model, words)]
    changes = []
    for carrier in steering_words.CARRIERS:
        tokens = torch.tensor([model.encode(carrier)])
        plain = model.hf(tokens).logits[0, -1].log_softmax(dim=-1)
        with hooks.steer(
            model, vectors[0], layers=[model.n_layers - 1], dose=0.5, residual_norm=10.0
        ):
            steered = model.hf(tokens).logits[0, -1].log_softmax(dim=-1)
        changes.append((steered - plain)[ids])
    expected = torch.stack(changes)
    assert torch.allclose(torch.tensor(result.doses[0].matrix[0]), expected.mean(dim=0), atol=1e-4)
    [layer] = result.layers
    by_carrier = torch.tensor(layer.doses[0].effects)[:, 0]
    assert torch.allclose(by_carrier, expected, atol=2e-4)
    own = result.doses[0].by_carrier
    assert list(own) == list(steering_words.CARRIERS)
    for number, carrier in enumerate(steering_words.CARRIERS):
        matrix = torch.tensor(layer.doses[0].effects[number])
        assert own[carrier].matching.value == pytest.approx(
            float(matrix.diagonal().mean()), abs=1e-3
        )
        assert own[carrier].matching.low <= own[carrier].matching.value


def test_every_layer_and_dose_is_kept_and_each_layer_uses_its_own_vectors(model, words):
    planted = _planted(model, words)
    last = model.n_layers - 1
    by_layer, norms = {0: planted.flip(0), last: planted}, {0: 3.0, last: 10.0}
    result = _run(model, by_layer, words, doses=[0.2, 0.5], residual_norm=norms)
    assert [(entry.layer, [d.dose for d in entry.doses]) for entry in result.layers] == [
        (0, [0.2, 0.5]),
        (last, [0.2, 0.5]),
    ]
    for entry, vectors in zip(result.layers, by_layer.values(), strict=True):
        alone = _run(model, vectors, words, target=entry.layer, residual_norm=norms)
        kept, by_itself = (torch.tensor(it.doses[-1].effects) for it in (entry, alone.layers[0]))
        assert torch.allclose(kept, by_itself, atol=1e-3)


def test_controls_are_reported_and_counted(model, words):
    vectors = _planted(model, words)
    controls = Controls(
        matched=torch.randn(5, model.d_model, generator=torch.Generator().manual_seed(9)),
        shuffled=vectors.roll(1, dims=0),
        rivals={"valence": {words[0]: vectors[0] + vectors[1], words[1]: vectors[0] - vectors[1]}},
        off_plane={words[0]: vectors[0]},
    )
    seen = []
    result = _run(model, vectors, words, controls=controls, progress=seen.append)
    [dose] = result.doses
    assert dose.off_plane.value > 0
    assert dose.shuffled.matching < dose.matching
    assert dose.shuffled.n_directions == len(words)
    assert len(dose.matched.effects) == 5
    # The second word's axis pushes it down, the first one's up: own vectors do better on both.
    assert dose.valence.beats == words[:2]
    assert dose.valence.excess == pytest.approx(dose.valence.own - dose.valence.rival, abs=1e-5)
    assert dose.other_vectors.excess_interval[0] > 0
    assert sum(seen) == len(words) + 20 + 5 + len(words) + 2 + 1


def test_words_that_share_a_first_token_are_left_out(model, words):
    vectors = _planted(model, [*words, words[0]][:-1])
    twice = torch.cat([vectors, vectors[:1]])
    result = _run(model, twice, [*words, words[0] + words[0]])
    assert words[0] in result.left_out
    assert len(result.emotions) == len(words) - 1


def test_too_few_words_are_refused(model, words):
    with pytest.raises(InvalidInput, match="at least two words"):
        _run(model, torch.ones(1, model.d_model), words[:1])


def test_the_papers_way_splits_the_dose_over_a_range_of_layers(finished):
    measure = find_experiment("steering").measure
    paper = measure(materials(finished, validation__paper=True))
    assert [tried.dose for tried in paper.doses] == [0.5]
    assert (paper.steered_layers, [it.layer for it in paper.layers]) == ([2], [paper.layer])
    own = measure(materials(finished))
    assert 0.5 not in [tried.dose for tried in own.doses]
    assert own.steered_layers == [own.layer]


def test_directions_are_added_at_every_layer_of_the_range(model, words):
    vectors, norms = _planted(model, words), {0: 5.0, 1: 10.0, model.n_layers - 1: 10.0}
    layers = [0, 1]
    result = _run(model, vectors, words, layers=layers, residual_norm=norms)
    for row, vector in enumerate(vectors):
        steered = []
        for carrier in result.carriers:
            with hooks.steer(
                model, vector, layers=layers, dose=0.5, residual_norm=norms, split=True
            ):
                after = steering_words.last_residuals(model, [carrier])
            steered.append(steering_words.log_probs(model, after)[0])
        before = steering_words.log_probs(
            model, steering_words.last_residuals(model, result.carriers)
        )
        ids = [ids[0] for ids in steering_words.first_tokens(model, words)]
        change = (torch.stack(steered) - before)[:, ids].mean(dim=0)
        torch.testing.assert_close(
            torch.tensor(result.doses[0].matrix[row]), change, atol=2e-3, rtol=1e-3
        )
    assert "at layers 0 to 1, in equal parts, with a dose of 0.5" in result.paragraph()


@pytest.mark.parametrize(
    ("doses", "judged"), [([0.1, 0.3, 0.5], 0.1), ([0.2, 0.3, 0.5], 0.3)], ids=["0.1", "middle"]
)
def test_line_claim_paragraph_and_figure_name_the_same_dose_and_number(model, words, doses, judged):
    result = _run(model, _planted(model, words), words, doses=doses)
    [headline] = [finding for finding in result.findings() if finding.headline]
    tried = next(dose for dose in result.doses if dose.dose == judged)
    assert headline.estimate == tried.own
    assert f"at dose {judged:g};" in headline.line
    number = f"{tried.matching:+.2f}"
    assert number in headline.line and headline.number == f"{number} nats"
    assert f"dose of {judged:g} " in result.paragraph() and number in result.paragraph()
    figure = result.figures()["steering_matrix"]
    assert f"dose {judged:g} " in figure.subtitle and number in figure.caption
    assert figure.values == tuple(map(tuple, tried.matrix))


def test_steering_is_shown_only_beyond_every_control(model, words):
    vectors = _planted(model, words)
    noise = torch.randn(8, model.d_model, generator=torch.Generator().manual_seed(9))
    beyond = _run(model, vectors, words, controls=Controls(matched=noise)).findings()[0]
    assert beyond.verdict == "shown"
    # The valence axis is the own vector: what steering does is not the emotion's alone.
    axes = dict(zip(words, vectors, strict=True))
    controls = Controls(matched=noise, rivals={"valence": axes})
    result = _run(model, vectors, words, controls=controls)
    [headline, *_] = result.findings()
    assert headline.verdict == "not shown"
    assert headline.control is not None and headline.control.name == "the valence axis"
    assert "all controls but the valence axis" in result.paragraph()


def test_there_is_one_finding_for_each_dose(model, words):
    result = _run(model, _planted(model, words), words, doses=[0.1, 0.2, 0.3])
    names = [finding.name for finding in result.findings()]
    assert names == ["Steering", "steering at dose 0.2", "steering at dose 0.3"]


def test_the_papers_numbers_are_taken_at_the_dose_nearest_to_the_papers(model, words):
    result = _run(model, _planted(model, words), words, doses=[0.1, 0.4])
    numbers = result.paper_numbers()
    after = result.doses[1].by_carrier["He feels"].matching
    number = numbers["steering_words.he_feels.matching"]
    assert not isinstance(number, str)
    assert (number.value, number.interval) == (after.value, after.ends)
    assert number.n == len(words)
    assert not number.comparable and "ours at dose 0.4" in number.note
    assert set(numbers) == {
        f"steering_words.{prefill}.{which}"
        for prefill in ("he_feels", "i_feel")
        for which in ("matching", "other")
    }


def test_a_result_is_read_back_as_it_was(model, words):
    result = _run(model, _planted(model, words), words)
    assert find_experiment("steering").read(to_json(result)) == result
