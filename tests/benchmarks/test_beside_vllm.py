"""The benchmark beside vLLM runs, at small sizes, and says who is faster at what."""

import pages
import pytest

from benchmarks import beside_vllm

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.embedded,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]


def test_reading_and_writing_have_rates_and_a_ratio(monkeypatch):
    if not (pages.ROOT / beside_vllm.PYTHON).exists():
        pytest.skip("there is no .venv-vllm: `make vllm` builds one")
    monkeypatch.chdir(pages.ROOT)
    made = beside_vllm.measure(4, 4, 1, "float32")
    for work in ("reading", "writing"):
        assert len(made.ours[work]) == 2  # before vLLM and after
        assert len(made.theirs[work]) == 1
        assert made.ratio(work) > 0
    text = beside_vllm.section(made)
    assert made.version in text
    assert all(f"| {work} | " in text for work in made.ours)
    assert [line[0] for line in beside_vllm.ratios(made)] == [
        f"{work}, smollm2-135m-instruct: ours / vLLM" for work in ("reading", "writing")
    ]
