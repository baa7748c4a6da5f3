"""Small runs with emotions that a test names, and vectors put in place of their own."""

import pytest
from planted_runs import materials as materials_of


@pytest.fixture
def of(reading_run):
    """``of(emotions)``: materials of a small run with these emotions."""

    def make(emotions, **settings):
        run = reading_run(corpus={"emotions": list(emotions)})
        run.run().prepare()
        run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
        return materials_of(run, **settings)

    return make


@pytest.fixture
def materials(finished):
    """Of a finished run of three emotions."""
    return materials_of(finished)


@pytest.fixture
def put_vectors():
    """``put_vectors(materials, vectors)``: at the target layer, in place of the run's own."""

    def put(materials, vectors):
        bundle = materials.vectors
        bundle.vectors[bundle.layer_index(materials.layer)] = vectors

    return put
