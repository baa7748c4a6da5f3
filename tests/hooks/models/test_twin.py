"""A twin shares every tensor and nothing else."""

from torch import nn

from hooks.models.twin import shared_twin


def test_every_tensor_is_shared_and_no_module_is(tiny_hf_model):
    hf = tiny_hf_model("llama")
    twin = shared_twin(hf)
    mine, its = dict(hf.named_parameters()), dict(twin.named_parameters())
    assert mine.keys() == its.keys()
    assert all(its[name] is parameter for name, parameter in mine.items())
    assert not {id(module) for module in hf.modules()} & {id(it) for it in twin.modules()}


def test_a_module_may_be_another_in_the_twin(tiny_hf_model):
    hf = tiny_hf_model("llama")
    other = nn.Identity()
    twin = shared_twin(hf, {hf.model.norm: other})
    assert twin.model.norm is other
    assert hf.model.norm is not other
    assert twin.model.layers is not hf.model.layers
