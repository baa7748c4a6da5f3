"""Every notebook runs from beginning to end, and says the same as its script twin.

A twin is scripts/NAME.py, in jupytext's percent format. After a change to either:
``jupytext --sync notebooks/NAME.ipynb``.
"""

import base64
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
import read_once
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROMISED = {
    *("steering", "hooks", "quickstart", "explore_hooks", "own_corpus", "scenarios", "same_words"),
}


def _twin(path):
    return path.parent / "scripts" / f"{path.stem}.py"


def _is_figure(output):
    return "image/png" in output.get("data", {})


def _said(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_there_are_notebooks_and_no_script_is_without_its_notebook():
    assert {path.stem for path in NOTEBOOKS} >= PROMISED
    scripts = {path.stem for path in (ROOT / "notebooks" / "scripts").glob("*.py")}
    assert scripts == {path.stem for path in NOTEBOOKS}


def test_nothing_beside_the_notebooks_stands_in_for_the_package():
    # Jupyter looks into the notebook's own folder before it looks into installed packages.
    code = "import hooks, probes; print(hooks.__file__); print(probes.__file__)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command,
        cwd=ROOT / "notebooks",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [ROOT / name / "__init__.py" for name in ("hooks", "probes")]
    assert [Path(line) for line in result.stdout.split()] == expected


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_and_twin_say_the_same(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert _said(notebook) == _said(jupytext.read(_twin(path)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_shown_was_computed_in_one_go_and_has_a_figure(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(_is_figure(out) for cell in code for out in cell.outputs)
    errors = [out for cell in code for out in cell.outputs if out.output_type == "error"]
    assert not errors


@pytest.fixture(scope="module")
def kernel():
    """One kernel for all notebooks: what they import is imported once, a tokenizer read once."""
    folders = [str(ROOT), str(Path(read_once.__file__).parent), os.environ.get("PYTHONPATH")]
    here = os.pathsep.join(filter(None, folders))
    manager = KernelManager()
    manager.start_kernel(cwd=str(ROOT / "notebooks"), env={**os.environ, "PYTHONPATH": here})
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    client.execute_interactive(
        "from read_once import once; from transformers import AutoTokenizer\n"
        "AutoTokenizer.from_pretrained = once(AutoTokenizer.from_pretrained)",
        timeout=120,
    )
    client.stop_channels()
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.embedded
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs(path, kernel):
    notebook = nbformat.read(path, as_version=4)
    forget = nbformat.v4.new_code_cell("%reset -f")
    notebook.cells.insert(0, forget)
    client = NotebookClient(notebook, timeout=300, km=kernel)
    client.execute()
    client.kc.stop_channels()
    notebook.cells.remove(forget)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.get("execution_count") for cell in code)
    shown = [out["data"]["image/png"] for cell in code for out in cell.outputs if _is_figure(out)]
    assert shown
    assert all(base64.b64decode(figure).startswith(b"\x89PNG") for figure in shown)
