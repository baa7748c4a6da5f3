"""Every block of code in the documentation works as it stands there."""

from pathlib import Path

import pages
import pytest
from read_once import once
from transformers import AutoTokenizer

import hooks

PAGES = [pages.ROOT / "README.md", *sorted((pages.ROOT / "docs").rglob("*.md"))]
TUTORIAL = pages.ROOT / "docs" / "tutorial.md"
NOT_RUN = {
    "README.md": [
        "make demo",
        ". .venv/bin/activate",
        "python -m probes.run demo --model.name=",
    ],
    "docs/how-to/look-after-runs.md": [
        "cp -r output/demo output/demo-raw",
        "pip install 'emotion-lens[tracking]'",
    ],
    "docs/how-to/own-model.md": ["emotion-probes shift gemma"],
    "docs/how-to/own-text.md": ["pip install 'emotion-lens[app]'"],
    "docs/how-to/servers-and-clusters.md": [
        "vllm serve",
        "python -m probes.run default",
        "ray start --head",
        "#!/bin/bash",
    ],
    "docs/how-to/large-models.md": ["make vllm", "python -m benchmarks gpu"],
    "docs/how-to/serving.md": ["emotion-probes export embedded:smollm2", "import json"],
    "docs/how-to/sharing.md": ["pip install lm_eval", "hf auth login"],
    "docs/results.md": [
        'HALF="demo --generation',
        "cp -r output/half output/said",
        "PAPER=",
        "READ=",
    ],
    "docs/tutorial.md": ["python3 -m venv .venv && . .venv/bin/activate"],
}
"""How the blocks begin that need what no test has: accounts, GPUs, several machines, installs."""
OTHERS = [
    page
    for page in PAGES
    if page != TUTORIAL and any(not block.not_run for block in pages.blocks(page))
]


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """All pages share what they load; a tokenizer may take longer than the weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AutoTokenizer, "from_pretrained", once(AutoTokenizer.from_pretrained))
        patch.setattr(hooks, "load", once(hooks.load))
        yield


@pytest.fixture(scope="module")
def after_tutorial(tmp_path_factory):
    """A reader's folder after the tutorial; the demo of the other pages is its run."""
    folder = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert pages.execute(TUTORIAL, folder) >= 5
    (folder / "output" / "demo").symlink_to(folder / "output" / "quick")
    return folder


@pytest.mark.embedded
@pytest.mark.timeout(1200)
def test_the_tutorial_ends_with_figures(after_tutorial: Path):
    figures = list((after_tutorial / "output" / "quick" / "figures").glob("*.png"))
    assert len(figures) >= 8


@pytest.mark.embedded
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", OTHERS, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_every_block_of_a_page_runs(page, after_tutorial, monkeypatch):
    monkeypatch.chdir(after_tutorial)
    assert pages.execute(page, after_tutorial) > 0


def test_no_more_blocks_are_left_out_than_are_known():
    for page in PAGES:
        left_out = [block.code for block in pages.blocks(page) if block.not_run]
        known = NOT_RUN.get(str(page.relative_to(pages.ROOT)), [])
        assert len(left_out) == len(known), page
        assert all(code.startswith(start) for code, start in zip(left_out, known, strict=True))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_a_block_that_is_not_run_says_why(page):
    for block in pages.blocks(page):
        assert block.not_run is None or len(block.not_run.split()) > 2
