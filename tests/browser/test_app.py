"""The microscope as a visitor uses it: type, switch emotion and layer, move a slider, talk."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_runs
import tiny_models
from small_runs import SmallRun

from probes.experiments import find_entries
from probes.storage import write_json

ROOT = Path(__file__).parents[2]
WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app, served by its command for a run of a tiny model."""
    folder = tmp_path_factory.mktemp("app")
    subject = tiny_models.save_tiny_model(folder / "subject", "gpt2")
    values = small_runs.small_settings(
        subject,
        folder / "out",
        corpus=small_runs.write_corpus(folder),
        generation={"emotions_subset": None},
    )
    made = SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    [experiment] = find_entries(["steering-dose-response"])
    measured = {"layers": [{"layer": 3, "usable": 0.2}]}
    write_json(folder / "out" / experiment.file, measured)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "probes.run", "app", made.config, f"--port={port}"]
    with (folder / "log").open("w") as log:
        # NiceGUI changes its behavior when it finds itself in a test.
        visitor = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=visitor)
    found = f"http://127.0.0.1:{port}"
    try:
        _wait_for(found, server, folder / "log")
        yield found
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=2).read()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"no answer from {address}: {log.read_text()}")


def part(page, name: str):
    return page.locator(f'[data-part="{name}"]')


@pytest.fixture
def page(open_page, address):
    opened = open_page(address)
    opened.set_default_timeout(60_000)
    part(opened, "tokens").locator(".token").first.wait_for(timeout=60_000)
    return opened


def slide(page, label: str) -> None:
    """Put the keyboard on a slider."""
    page.get_by_label(label).locator("[tabindex='0']").focus()


def scores(page) -> list[float]:
    tokens = part(page, "tokens").locator(".token")
    return [float(s) for s in tokens.evaluate_all("all => all.map(e => e.dataset.score)")]


def test_a_text_is_read_as_it_is_typed(page):
    page.get_by_label("text").fill("<b>rain</b> and <script>alert(1)</script>")
    tokens = part(page, "tokens")
    page.wait_for_function(
        "document.querySelector('[data-part=tokens]')?.innerText.includes('alert')", timeout=60_000
    )
    assert tokens.inner_text().strip() == "<b>rain</b> and <script>alert(1)</script>"
    assert tokens.locator("b, script").count() == 0
    assert all(-1 <= score <= 1 for score in scores(page))


def test_another_emotion_and_another_layer_give_other_scores(page):
    first = scores(page)
    page.get_by_label("emotion").click()
    page.get_by_role("option", name="sad").click()
    page.wait_for_function(
        "before => document.querySelector('.token').dataset.score != before", arg=f"{first[0]:.4f}"
    )
    second = scores(page)
    assert second != first
    slide(page, "layer")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.body.innerText.includes('layer 2 of 0 to 3')")
    assert scores(page) != second


def test_the_slider_changes_the_steered_reply_and_not_the_baseline(page):
    page.get_by_role("tab", name="Steer").click()
    page.get_by_role("button", name="Generate").click()
    page.wait_for_function("document.querySelectorAll('.reply')[1]?.innerText.length > 3")
    baseline, steered = page.locator(".reply").all_inner_texts()
    assert steered != baseline
    slide(page, "dose")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelectorAll('.reply')[1].innerText != before", arg=steered
    )
    assert page.locator(".reply").first.inner_text() == baseline
    page.wait_for_function("document.body.innerText.includes('past the usable range')")
    assert "usable range at layer 3: -0.2 to +0.2" in page.inner_text("body")


def test_a_conversation_is_scored_turn_by_turn(page):
    page.get_by_role("tab", name="Conversation").click()
    page.get_by_label("message").fill("Where were you <i>yesterday</i>?")
    page.keyboard.press("Enter")
    part(page, "turn-1").wait_for(timeout=60_000)
    assert part(page, "turn-0").inner_text().strip() == "Where were you <i>yesterday</i>?"
    heads = [text for text in page.locator(".font-bold").all_inner_texts() if ": " in text]
    assert re.match(r"user: (\w+ [+-]0\.\d\d(, )?){3}$", heads[0])
    assert heads[1].startswith("assistant: ")


def test_what_is_shown_can_be_taken_away(page, tmp_path):
    with page.expect_download() as told:
        page.get_by_role("button", name="JSON").first.click()
    content = json.loads(Path(told.value.path()).read_text())
    assert content["layer"] == 3
    inside = [token for token in content["tokens"] if token["turn"] == 0]
    assert "".join(token["text"] for token in inside) == content["turns"][0]["text"]
    shown = [token["scores"][0] for token in inside]
    assert scores(page) == pytest.approx(shown, abs=1e-4)
    with page.expect_download() as told:
        page.get_by_role("button", name="PNG").first.click()
    assert Path(told.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_desktop_and_a_phone(open_page, address, width, scheme):
    page = open_page(address, width=width, color_scheme=scheme)
    part(page, "tokens").locator(".token").first.wait_for(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
