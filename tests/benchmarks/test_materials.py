"""Experiments read each layer once and decompose each layer's neutral text once."""

import dataclasses

import pytest

from benchmarks import materials


@pytest.fixture(scope="module")
def costs():
    return materials.measure(materials.QUICK)


@pytest.mark.parametrize("name", materials.EXPERIMENTS)
def test_no_layer_is_read_twice_and_no_text_decomposed_twice(costs, name):
    assert 0 < costs[name].n_bytes <= 1.2 * materials.QUICK.n_bytes
    assert max(costs[name].whole.values(), default=1) == 1


def test_what_sweeps_all_layers_reads_all_of_them_and_what_does_not_does_not(costs):
    size = materials.QUICK
    assert costs["held-out-topics"].n_bytes == size.n_bytes
    assert costs["sample-size"].n_bytes * size.n_layers == size.n_bytes
    # Single folds and pairs of four, at each layer.
    assert costs["held-out-topics"].parts.total() == size.n_layers * (4 + 6)
    assert costs["sample-size"].whole.total() == 1


def test_the_counter_sees_what_is_read_again(tmp_path):
    size = dataclasses.replace(materials.QUICK, n_layers=3)
    run, models = materials.make(tmp_path, size)
    with materials.counting(size) as cost:
        for _ in range(2):
            again = materials.Materials(run, models, materials.Silent())
            for layer in again.layers:
                again.stories(layer)
                again.neutral_components(layer)
    assert cost.n_bytes == 2 * size.n_bytes
    assert set(cost.whole.values()) == {2}


def test_the_section_tells_every_experiment(costs):
    text = materials.section(costs, materials.QUICK)
    assert all(f"| {name} | " in text for name in materials.EXPERIMENTS)
    assert len(materials.ratios(costs, materials.QUICK)) == 2 * len(materials.EXPERIMENTS)
