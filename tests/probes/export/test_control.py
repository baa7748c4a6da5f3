"""A control vector: strength s is dose s * D, and nothing that has no meaning is exported."""

import dataclasses

import pytest
import torch

import hooks
from hooks.errors import InvalidInput
from probes.export import control_vector

TEXT = "The old man sat by the window."


def logits(model) -> torch.Tensor:
    """Next-token logits of the text, through the model's own forward pass."""
    resid = hooks.resid_post(model, TEXT, layers=[model.n_layers - 1]).resid
    return model.unembed(resid)


def test_each_direction_is_the_dose_times_the_norm_of_its_layer(vectors):
    made = control_vector(vectors, "sad", layers=[3, 1], dose=0.2)
    lengths = made.tensors.norm(dim=1)
    assert made.layers == [1, 3]
    assert torch.allclose(lengths, 0.2 * torch.tensor([5.0, 11.0]))
    cosines = torch.cosine_similarity(made.tensors, vectors["sad"][[1, 3]])
    assert torch.allclose(cosines, torch.ones(2))


def test_alone_it_is_the_target_layer_at_a_tenth(vectors):
    made = control_vector(vectors, "at ease")
    assert (made.layers, made.dose) == ([2], 0.1)
    assert made.tensors.norm() == pytest.approx(0.7)


@pytest.mark.parametrize("strength", [1.0, -2.5])
def test_strength_s_steers_as_dose_s_times_d_does(model, vectors, strength):
    made = control_vector(vectors, "happy", layers=[1, 2], dose=0.3)
    norms = vectors.residual_norm
    with hooks.steer(
        model, vectors["happy"], layers=[1, 2], dose=0.3 * strength, residual_norm=norms
    ):
        by_dose = logits(model)
    plain = logits(model)
    # What another tool does: the tensor as it is, times the strength.
    with (
        hooks.steer(
            model,
            made.tensors[0],
            layers=[1],
            strength=float(made.tensors[0].norm()) * strength,
        ),
        hooks.steer(
            model,
            made.tensors[1],
            layers=[2],
            strength=float(made.tensors[1].norm()) * strength,
        ),
    ):
        by_strength = logits(model)
    assert (by_dose - by_strength).abs().max() <= 1e-5
    assert (by_dose - plain).abs().max() > 0.05


def test_the_description_says_the_formula_with_its_numbers(vectors):
    said = control_vector(vectors, "sad", layers=[1, 2], dose=0.25).description
    assert "'sad'" in said
    assert "5 at 1, 7 at 2" in said
    assert "strength s is dose s * 0.25 per layer" in said


def test_it_says_what_it_was_made_from(vectors, model):
    told = control_vector(vectors, "at ease", layers=[1, 3]).made_from
    assert told["fingerprint"] == model.fingerprint
    assert (told["n_stories"], told["n_neutral_components"]) == ([6], [2, 4])
    assert told["model_type"] == "llama"


def test_of_a_folder_only_the_name_is_told(vectors, model):
    told = control_vector(vectors, "sad").made_from["model"]
    assert told in model.name
    assert "/" not in told


@pytest.mark.parametrize(
    ("emotion", "options", "message"),
    [
        ("glum", {}, "no vector for 'glum'; these vectors have: sad, at ease, happy"),
        ("sad", {"layers": [9]}, r"no vectors at layer 9; expected one of \[0, 1, 2, 3\]"),
        ("sad", {"layers": []}, "at least one layer"),
        ("sad", {"dose": 0.0}, "expected a positive fraction"),
        ("sad", {"dose": -0.1}, "expected a positive fraction"),
        ("sad", {"dose": float("nan")}, "expected a positive fraction"),
    ],
)
def test_what_has_no_meaning_is_refused(vectors, emotion, options, message):
    with pytest.raises(InvalidInput, match=message):
        control_vector(vectors, emotion, **options)


def test_a_vector_of_length_zero_is_refused(vectors):
    vectors.vectors[1, 0] = 0
    with pytest.raises(InvalidInput, match="'sad' at layer 1 is zero"):
        control_vector(vectors, "sad", layers=[2, 1])


def test_vectors_of_folded_weights_are_refused(vectors):
    folded = dataclasses.replace(vectors.provenance, weight_processing="folded")
    with pytest.raises(InvalidInput, match=r"another basis. Make the vectors again from the raw"):
        control_vector(dataclasses.replace(vectors, provenance=folded), "sad")
