"""The tree is what CONTRIBUTING says: wings, a test for each module, one name for each thing."""

import ast
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGES = ("hooks", "probes")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in MODULES}
TEST_FILES = sorted(TESTS.rglob("*.py"))
BESIDE = {
    "hooks": {"test_device_map", "test_hooked_transformer", "test_on_gpu"},
    "probes/experiments": {"test_all_emotions", "test_planted_behavior", "test_repeatability"},
    "probes/export": {"test_hub_round_trip"},
    "probes/stimuli": {"test_reference_corpus"},
}
"""Tests of several modules together, by folder."""


ELSEWHERE = {
    "probes/corpus/exchange.py": "one request, tested through a real server in test_endpoint.py",
    "probes/stages/units.py": "units of work, tested through the stages that do them",
    "probes/texts/app/doses.py": "panels of the app, tested in a real browser in test_app.py",
    "probes/texts/app/page.py": "the same",
    "probes/texts/app/server.py": "the same",
    "probes/texts/app/steer_panel.py": "the same",
    "probes/texts/app/talk_panel.py": "the same",
    "probes/texts/app/text_panel.py": "the same",
    "hooks/vllm/inside/emotion_lens_in_vllm.py": "runs in vLLM's environment, test_engine.py",
    "hooks/vllm/inside/emotion_lens_program.py": "the same",
    "hooks/steering/selection.py": "tokens of a pass, tested by steering, test_steer.py",
}
"""Modules without a test file of their own, and where they are tested."""


def test_a_module_has_a_test_file_of_its_name():
    missing = [
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if path.stem not in ("__init__", "__main__")
        and path.relative_to(ROOT).as_posix() not in ELSEWHERE
        and not (TESTS / path.relative_to(ROOT)).with_name(f"test_{path.name}").is_file()
    ]
    assert missing == []


def test_a_test_file_has_a_module_of_its_name():
    stray = []
    for package in PACKAGES:
        for path in sorted((TESTS / package).rglob("test_*.py")):
            folder, name = path.parent.relative_to(TESTS), path.stem.removeprefix("test_")
            module = ROOT / folder / (f"{name}.py" if name != "init" else "__init__.py")
            if not module.is_file() and path.stem not in BESIDE.get(folder.as_posix(), ()):
                stray.append(path.relative_to(TESTS).as_posix())
    assert stray == []


@pytest.mark.parametrize(
    ("package", "modules"),
    [
        ("hooks", {"__init__", "doctor", "errors", "memory"}),
        ("probes", {"__init__", "run", "storage"}),
    ],
)
def test_all_but_a_few_modules_are_in_wings(package, modules):
    assert {path.stem for path in (ROOT / package).glob("*.py")} == modules


def test_no_two_classes_share_a_name():
    names = Counter(
        node.name
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, number in names.items() if number > 1] == []


def test_nothing_is_named_after_having_been_found():
    bound = []
    tests = {it.relative_to(ROOT).as_posix(): ast.parse(it.read_text("utf-8")) for it in TEST_FILES}
    for name, tree in {**TREES, **tests}.items():
        for node in ast.walk(tree):
            names = {
                ast.Name: lambda n: n.id if isinstance(n.ctx, ast.Store) else None,
                ast.arg: lambda n: n.arg,
                ast.Attribute: lambda n: n.attr,
                ast.keyword: lambda n: n.arg,
            }
            read = names.get(type(node))
            if read is not None and read(node) == "found":
                bound.append(f"{name}:{node.lineno}")
    assert bound == []
