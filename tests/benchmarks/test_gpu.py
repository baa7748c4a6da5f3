"""The benchmark for machines with a GPU runs here too, at tiny shapes, and needs few packages."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pages
import pytest
import torch

import hooks
from benchmarks import gpu

pytestmark = [
    pytest.mark.slow,
    # torch's compiler loads parts of torch that warn of themselves.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SIZE = replace(gpu.QUICK, n_texts=6, n_alone=2, rows=(1, 2), new_tokens=3)
NEEDLESS = ["platformdirs", "plotly", "transformer_lens", "umap", "stamina", "probes"]
"""Those of this project's packages that transformers does not look for by itself."""
ALONE = f"""
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {NEEDLESS}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
import torch
from dataclasses import replace
torch.compiler.set_default_backend("eager")
from benchmarks import gpu
size = replace(gpu.QUICK, n_texts=4, n_alone=2, rows=(1, 2), new_tokens=2, seconds=50)
[numbers] = gpu.measure(size)
assert numbers.share
"""


@pytest.fixture(scope="module")
def measured() -> Iterator[list[gpu.Measured]]:
    """Of blocks that are traced for the compiler, and not compiled: test_compilation does that."""
    torch.compiler.set_default_backend("eager")
    try:
        yield gpu.measure(SIZE)
    finally:
        torch.compiler.set_default_backend(None)


def test_every_recipe_has_a_rate(measured):
    [numbers] = measured
    assert not numbers.not_measured
    assert set(numbers.writing) == {
        f"{who}, {rows}" for who in ("ours", "transformers generate") for rows in SIZE.rows
    }
    rates = [*numbers.reading.values(), *numbers.writing.values(), *numbers.steering.values()]
    four_bits = importlib.util.find_spec("bitsandbytes") is not None
    assert len(numbers.reading) == len(SIZE.batches) + 3 + four_bits
    assert all(rate is not None and rate > 0 for rate in rates)
    assert 0 < (numbers.share or 0) < 1


def test_this_device_agrees_with_the_cpu(measured):
    agreement = measured[0].agreement
    assert agreement["float32"] < 1e-5
    assert 1e-5 < agreement["bfloat16"] < 5e-2


def test_what_was_measured_is_told_and_written_down(measured, tmp_path):
    gpu.write_json(measured, tmp_path / "gpu.json")
    [numbers] = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert numbers["share_of_roofline"] == measured[0].share
    text = gpu.section(measured)
    assert all(name in text for name in (*numbers["reading"], *numbers["writing"]))
    assert any("ours / roofline" in line for line, _, _ in gpu.ratios(measured))


def test_what_no_time_is_left_for_is_named():
    numbers = gpu.Measured("tiny", "cpu", "float32", 1, 2, 64, 1.0, 1.0)
    model = gpu.build("tiny", torch.device("cpu"), torch.float32)
    gpu._read(model, numbers, SIZE, gpu._Clock(-1.0))
    assert not numbers.reading
    assert len(numbers.not_measured) == len(SIZE.batches) + 2
    assert "Not measured: ours, 256 tokens a pass, " in gpu.section([numbers])


def test_the_weights_are_the_seeds_in_every_size():
    first, again = (gpu.build("tiny", torch.device("cpu"), torch.float32) for _ in range(2))
    pairs = zip(first.hf.parameters(), again.hf.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_four_bits_hold_a_quarter_and_read_nearly_the_same():
    pytest.importorskip("bitsandbytes")
    model = gpu.build("tiny", torch.device("cpu"), torch.float32)
    texts = gpu._texts(4, (10, 60), model.d_vocab)
    expected = hooks.pooled_resid_post(model, texts).mean
    before = model.hf.get_decoder().layers[0].mlp.up_proj.weight.nbytes
    small = gpu.in_4bit(model)
    assert small.hf.get_decoder().layers[0].mlp.up_proj.weight.nbytes == before / 8  # of float32
    got = hooks.pooled_resid_post(small, texts).mean
    assert 1e-3 < float((got - expected).norm() / expected.norm()) < 0.3


def test_few_packages_are_enough():
    subprocess.run([sys.executable, "-c", ALONE], check=True, cwd=pages.ROOT)
