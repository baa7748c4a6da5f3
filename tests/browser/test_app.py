"""The microscope as a visitor uses it: type, switch emotion and layer, move a slider, talk."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import small_runs
import tiny_models
import yaml
from playwright.sync_api import expect
from small_runs import SmallRun

from probes.experiments import find_entries
from probes.storage import write_json

ROOT = Path(__file__).parents[2]
WIDTHS = [1280, 390]
HOSTILE = '"><img src=x onerror=alert(1)><a href="http://x">'
"""Also what plotly takes for a tag."""
EMOTIONS = ["angry", "happy", "sad", HOSTILE]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A run of a tiny model, with vectors."""
    folder = tmp_path_factory.mktemp("app")
    subject = tiny_models.save_tiny_model(folder / "subject", "gpt2")
    values = small_runs.small_settings(
        subject,
        folder / "out",
        corpus=small_runs.write_corpus(folder, emotions=EMOTIONS),
        generation={"emotions_subset": None},
    )
    made = SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    made.run().prepare()
    made.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    [experiment] = find_entries(["steering-dose-response"])
    measured = {"layers": [{"layer": 3, "usable": 0.2}]}
    write_json(folder / "out" / experiment.file, measured)
    return made


@contextmanager
def served(made: SmallRun) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address of the app, served by its command, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "probes.run", "app", made.config, f"--port={port}"]
    log = made.folder.parent / f"log-{port}"
    with log.open("w") as written:
        # NiceGUI changes its behavior when it finds itself in a test.
        visitor = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=written,
            stderr=written,
            env=visitor,
            # A shell that runs the suite in the background leaves SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, log)
        yield address, server
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def address(made: SmallRun) -> Iterator[str]:
    with served(made) as (address, _):
        yield address


def test_the_page_opens_before_the_model_is_loaded_and_says_so(made, open_page):
    with served(made) as (address, _):
        page = open_page(address)
        page.get_by_text(f"Loading {made.run().config.model.name}").wait_for(timeout=60_000)
        part(page, "tokens").locator(".token").first.wait_for(timeout=60_000)
        assert page.get_by_text("Loading").count() == 0


def test_what_cannot_be_loaded_is_said_on_the_page_and_ends_the_command(made, open_page, tmp_path):
    values = yaml.safe_load(Path(made.config).read_text())
    values["output_dir"] = str(tmp_path / "empty")
    other = SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "empty")
    with served(other) as (address, server):
        opened = open_page(address)
        opened.get_by_text("no emotion_vectors.safetensors").wait_for(timeout=60_000)
        opened.close()  # or it would miss its server, aloud
        assert server.wait(timeout=60) == 1
    log = tmp_path / f"log-{address.rpartition(':')[2]}"
    assert "no emotion_vectors.safetensors" in " ".join(log.read_text().split())


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=2).read()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"no answer from {address}: {log.read_text()}")


def part(page, name: str):
    return page.locator(f'[data-part="{name}"]')


@pytest.fixture
def page(open_page, address):
    opened = open_page(address)
    opened.set_default_timeout(60_000)
    part(opened, "tokens").locator(".token").first.wait_for(timeout=60_000)
    return opened


def pick(page, label: str, typed: str, whole: str | None = None) -> None:
    """Type a part of an emotion's name where emotions are chosen, and take the one offered."""
    page.get_by_label(label, exact=True).click()
    page.get_by_label(label, exact=True).fill(typed)
    page.get_by_role("option", name=whole or typed, exact=True).click()


def wait_for_replies(page) -> None:
    page.wait_for_function("document.querySelectorAll('.reply .tokens')[1]?.innerText.length > 3")
    expect(page.locator(".q-spinner:visible")).to_have_count(0, timeout=60_000)


def talked(page):
    """The same page, after a word in the conversation."""
    part(page, "tokens").locator(".token").first.wait_for(timeout=60_000)
    page.get_by_role("tab", name="Conversation").click()
    say(page, "Who is there?")
    return page


def slide(page, label: str) -> None:
    """Put the keyboard on a slider, once it can be seen: what is folded away takes no focus."""
    handle = page.get_by_label(label).locator("[tabindex='0']")
    handle.wait_for()
    handle.focus()
    expect(handle).to_be_focused()


def scores(page) -> list[float]:
    tokens = part(page, "tokens").locator(".token")
    return [float(s) for s in tokens.evaluate_all("all => all.map(e => e.dataset.score)")]


def test_a_text_is_read_as_it_is_typed(page):
    page.get_by_label("text", exact=True).fill("<b>rain</b> and <script>alert(1)</script>")
    tokens = part(page, "tokens").locator(".tokens")
    page.wait_for_function(
        "document.querySelector('[data-part=tokens]')?.innerText.includes('alert')", timeout=60_000
    )
    assert tokens.inner_text().strip() == "<b>rain</b> and <script>alert(1)</script>"
    assert tokens.locator("b, script").count() == 0
    page.get_by_text("z-scores").click()
    page.get_by_text("Scores are cosines").wait_for()
    page.wait_for_function("document.querySelector('[data-part=key]').innerText.includes('cosine')")
    assert all(-1 <= score <= 1 for score in scores(page))


@pytest.mark.parametrize("posted", [{"a": 1}, 7, ["x"]])
def test_a_post_that_is_no_text_gets_a_notice(page, posted):
    element = page.get_by_label("text", exact=True).evaluate("box => box.closest('[id^=c]').id")
    page.evaluate(
        "([id, value]) => getElement(Number(id.slice(1))).$emit('update:value', value)",
        [element, posted],
    )
    page.get_by_text(f"Expected a text, got {type(posted).__name__}.").wait_for()
    page.get_by_label("text", exact=True).fill("It still reads rain.")
    page.wait_for_function(
        "document.querySelector('[data-part=tokens]')?.innerText.includes('rain')"
    )


def test_the_key_of_the_colors_is_that_of_the_tokens(page):
    largest = max(abs(score) for score in scores(page))
    first, last = re.findall(r"[+-]\d+\.\d", part(page, "key").inner_text())
    assert (float(first), float(last)) == pytest.approx((-largest, largest), abs=0.06)


def test_the_highest_emotions_of_a_text_have_a_z_that_explains_itself(page):
    highest = page.get_by_text("whole text, highest:")
    assert len(re.findall(r" [+-]0\.\d\d \(z [+-]\d+\.\d\)", highest.inner_text())) == len(EMOTIONS)
    highest.hover()
    page.get_by_text("standard deviations above neutral text").wait_for()
    titles = part(page, "tokens").locator(".token").evaluate_all("all => all.map(e => e.title)")
    assert not any("(z " in title for title in titles)


def test_another_emotion_and_another_layer_give_other_scores(page):
    first = scores(page)
    pick(page, "emotion", "sad")
    page.wait_for_function(
        "before => document.querySelector('.token').dataset.score != before", arg=f"{first[0]:.4f}"
    )
    second = scores(page)
    assert second != first
    slide(page, "layer")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.body.innerText.includes('layer 2 of 0 to 3')")
    page.wait_for_function(
        "before => document.querySelector('.token').dataset.score != before", arg=f"{second[0]:.4f}"
    )
    third = scores(page)
    assert len(third) == len(second) > 10


def test_emotions_are_searched_by_typing(page):
    page.get_by_label("emotion", exact=True).click()
    assert page.get_by_role("option").count() == len(EMOTIONS)
    page.get_by_label("emotion", exact=True).fill("pp")
    expect(page.get_by_role("option")).to_have_count(1)
    page.get_by_role("option", name="happy").click()
    page.wait_for_function("document.querySelector('[data-part=key]').innerText.includes('happy')")


def test_under_each_token_stand_its_strongest_emotions_and_it_copies_as_it_was(page):
    tokens = part(page, "tokens").locator(".token")
    under = tokens.nth(2).evaluate("token => getComputedStyle(token, '::after').content")
    shown = [json.loads(f'"{name}"') for name in under.strip('"').split("\\a ")]
    title = tokens.nth(2).get_attribute("title")
    best = re.findall(r"(?:highest: |, )(.+?) [+-]\d+\.\d", title.partition("; ")[2])
    assert shown == best[:3]
    text = page.get_by_label("text", exact=True).input_value()
    assert part(page, "tokens").locator(".tokens").inner_text().replace("\n", "") == text


def heat_rows(page) -> list[str]:
    return part(page, "heat").first.locator("tbody th").all_inner_texts()


def test_the_heat_map_has_a_row_for_each_emotion_chosen_and_a_column_for_each_token(page):
    heat, tokens = part(page, "heat"), part(page, "tokens").locator(".token")
    assert heat_rows(page)[0] == "angry"
    assert len(heat_rows(page)) == len(EMOTIONS)
    words = [token.strip() for token in tokens.all_inner_texts()]
    assert heat.locator("thead th").all_inner_texts() == words
    pick(page, "rows of the heat map", "sa", "sad")
    expect(heat.locator("tbody th")).to_have_text(["sad"])
    assert heat.locator("td.toward, td.away").count() == len(words)
    pick(page, "rows of the heat map", "hap", "happy")
    expect(heat.locator("tbody th")).to_have_text(["sad", "happy"])


def test_two_texts_stand_side_by_side_in_one_scale_of_colors(page):
    page.get_by_text("compare two texts").click()
    expect(part(page, "tokens")).to_have_count(2)
    page.get_by_label("other text").fill("Rain rain rain.")
    page.wait_for_function(
        "document.querySelectorAll('[data-part=tokens]')[1]?.innerText.startsWith('Rain rain')"
    )
    left, right = (part(page, "tokens").nth(n).bounding_box() for n in (0, 1))
    assert left["x"] + left["width"] <= right["x"]
    keys = part(page, "key").all_inner_texts()
    assert keys[0] == keys[1]
    first, second = (part(page, "heat").nth(n).locator("tbody th") for n in (0, 1))
    assert first.all_inner_texts() == second.all_inner_texts()
    assert "the text is above the other in" in page.inner_text("body")
    page.get_by_text("compare two texts").click()
    expect(part(page, "tokens")).to_have_count(1)
    expect(page.get_by_text("the text is above the other in")).to_have_count(0)


def test_scores_come_with_the_tokens_while_the_model_writes(page):
    page.get_by_role("tab", name="Steer").click()
    part(page, "baseline").evaluate("""card => {
      window.seen = [];
      const count = () => window.seen.push(card.querySelectorAll(".token").length);
      new MutationObserver(count).observe(card, { childList: true, subtree: true });
    }""")
    page.get_by_label("tokens", exact=True).fill("120")
    page.get_by_role("button", name="Generate").click()
    wait_for_replies(page)
    seen = page.evaluate("window.seen")
    assert seen == sorted(seen)
    assert len(set(seen)) > 2  # it grew before it was whole
    assert part(page, "baseline").locator(".token[data-score]").count() == seen[-1] > 20
    assert re.match(r"angry, z -\d", part(page, "steer-key").inner_text())


def test_the_slider_changes_the_steered_reply_and_not_the_baseline(page):
    page.get_by_role("tab", name="Steer").click()
    page.get_by_role("button", name="Generate").click()
    wait_for_replies(page)
    baseline, steered = page.locator(".reply .tokens").all_inner_texts()
    assert steered != baseline
    slide(page, "dose")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.get_by_text("dose +0.30").wait_for()
    page.wait_for_function(
        "before => document.querySelectorAll('.reply .tokens')[1].innerText != before", arg=steered
    )
    wait_for_replies(page)
    assert page.locator(".reply .tokens").first.inner_text() == baseline
    page.wait_for_function("document.body.innerText.includes('past the usable range')")
    assert "usable range at layer 3: -0.2 to +0.2" in page.inner_text("body")


def test_a_slider_that_is_dragged_asks_the_model_once_it_is_let_go(page):
    page.get_by_role("tab", name="Steer").click()
    page.get_by_role("button", name="Generate").click()
    steered = page.locator(".reply .tokens").nth(1)
    wait_for_replies(page)
    before = steered.inner_text()
    box = page.get_by_label("dose of angry").bounding_box()
    y = box["y"] + 16
    page.mouse.move(box["x"] + box["width"] * 0.6, y)
    page.mouse.down()
    for share in (0.7, 0.8, 0.9, 0.98):
        page.mouse.move(box["x"] + box["width"] * share, y)
    page.wait_for_function("document.body.innerText.includes('past the usable range')")
    page.wait_for_timeout(500)
    assert steered.inner_text() == before
    page.mouse.up()
    page.wait_for_function(
        "before => document.querySelectorAll('.reply .tokens')[1].innerText != before", arg=before
    )


def test_several_emotions_steer_together(page):
    page.get_by_role("tab", name="Steer").click()
    page.get_by_role("button", name="add an emotion").click()
    slide(page, "dose of happy")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("document.body.innerText.includes('together a dose of 0.')")
    page.get_by_role("button", name="Generate").click()
    wait_for_replies(page)
    before = page.locator(".reply .tokens").nth(1).inner_text()
    page.get_by_role("button", name="remove this emotion").click()
    page.wait_for_function(
        "before => document.querySelectorAll('.reply .tokens')[1].innerText != before", arg=before
    )
    assert "together a dose of" not in page.inner_text("body")


def test_a_token_says_its_highest_emotions_to_mouse_and_keyboard(page):
    tokens, detail = part(page, "tokens").locator(".token"), part(page, "tokens").locator(".detail")
    tokens.nth(3).click()
    assert detail.inner_text() == tokens.nth(3).get_attribute("title")
    assert re.search(r"highest: .+ [+-]\d+\.\d, .+ [+-]\d+\.\d", detail.inner_text())
    page.keyboard.press("ArrowRight")
    assert detail.inner_text() == tokens.nth(4).get_attribute("title")
    page.keyboard.press("Home")
    assert detail.inner_text() == tokens.nth(0).get_attribute("title")
    assert part(page, "tokens").locator(".token[tabindex='0']").count() == 1


def test_names_that_look_like_tags_are_names(page):
    pick(page, "emotion", HOSTILE)
    page.wait_for_function(
        "name => document.querySelector('.token')?.title.startsWith(`“She”  ${name} `)", arg=HOSTILE
    )
    page.get_by_role("tab", name="Conversation").click()
    say(page, HOSTILE)
    page.locator(".js-plotly-plot:visible .plot-container").first.wait_for()
    assert page.locator("img, a[href='http://x']").count() == 0


def test_a_conversation_is_scored_turn_by_turn(page):
    page.get_by_role("tab", name="Conversation").click()
    say(page, "Where were you <i>yesterday</i>?")
    assert said(page, 0) == "Where were you <i>yesterday</i>?"
    heads = [text for text in page.locator(".font-bold").all_inner_texts() if ": " in text]
    assert len(re.findall(r" [+-]\d+\.\d", heads[0])) == len(EMOTIONS)
    assert heads[0].startswith("user: ")
    assert heads[1].startswith("assistant: ")
    assert re.fullmatch(r"angry, z -(\d+\.\d)\s+\+\1", part(page, "conversation-key").inner_text())
    assert "selected, angry; beside it" in page.locator(".caption:visible").last.inner_text()
    page.locator(".xtick:visible").first.wait_for()
    assert page.locator(".xtick:visible").all_text_contents() == ["1", "2"]


def say(page, message: str, reply: int = 1) -> None:
    page.get_by_label("message").fill(message)
    page.keyboard.press("Enter")
    part(page, f"turn-{reply}").wait_for(timeout=60_000)


def said(page, turn: int) -> str:
    return part(page, f"turn-{turn}").locator(".tokens").inner_text().strip()


def test_two_quick_messages_are_one_turn_and_a_message_that_fails_stays(page):
    page.get_by_role("tab", name="Conversation").click()
    page.get_by_label("message").fill("One?")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    part(page, "turn-1").wait_for(timeout=60_000)
    too_long = "Two? " * 400  # more than the model has positions
    page.get_by_label("message").fill(too_long)
    page.keyboard.press("Enter")
    page.get_by_text("positions; shorten").wait_for()
    assert page.get_by_label("message").input_value() == too_long
    say(page, "Three?", reply=3)
    assert (said(page, 0), said(page, 2)) == ("One?", "Three?")
    assert part(page, "turn-4").count() == 0
    expect(page.get_by_label("message")).to_have_value("", timeout=60_000)


def test_a_conversation_can_be_steered_and_taken_away(page):
    page.get_by_role("tab", name="Conversation").click()
    page.get_by_text("Steer the replies").click()
    slide(page, "dose of angry")
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    page.get_by_text("dose +0.30").wait_for()
    say(page, "Where were you?")
    page.get_by_text("steered at layer 3: angry +0.30").wait_for()
    without = page.locator(".reply-without").inner_text()
    assert without.removeprefix("without steering: ") != said(page, 1)
    with page.expect_download() as told:
        page.get_by_role("button", name="JSON").click()
    content = json.loads(Path(told.value.path()).read_text())
    assert [turn["speaker"] for turn in content["turns"]] == ["user", "assistant"]
    assert content["turns"][1]["steered"]["doses"] == {"angry": pytest.approx(0.3)}
    own = "".join(token["text"] for token in content["tokens"] if token["turn"] == 1)
    assert own.strip() == content["turns"][1]["text"]
    with page.expect_download() as told:
        page.get_by_role("button", name="PNG").click()
    assert Path(told.value.path()).read_bytes().startswith(b"\x89PNG")


def test_what_is_shown_can_be_taken_away(page, tmp_path):
    with page.expect_download() as told:
        page.get_by_role("button", name="JSON").first.click()
    content = json.loads(Path(told.value.path()).read_text())
    assert content["layer"] == 3
    inside = [token for token in content["tokens"] if token["turn"] == 0]
    assert "".join(token["text"] for token in inside) == content["turns"][0]["text"]
    cosines = [token["scores"][0] for token in inside]
    neutral = content["neutral_tokens"]
    z = [(cosine - neutral["mean"][0]) / neutral["sd"][0] for cosine in cosines]
    assert neutral["n"] > 2
    assert scores(page) == pytest.approx(z, abs=1e-3)
    with page.expect_download() as told:
        page.get_by_role("button", name="PNG").first.click()
    assert Path(told.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_desktop_and_a_phone(open_page, address, width, scheme):
    page = open_page(address, width=width, color_scheme=scheme)
    part(page, "tokens").locator(".token").first.wait_for(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


CONTRASTS = """() => {
  const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
  const part = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = (color) => color.slice(0, 3).map((value) => part(value / 255))
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0.05);
  const paper = numbers(getComputedStyle(document.querySelector(".q-tab-panels")).backgroundColor);
  const against = (selector) => {
    const style = getComputedStyle(document.querySelector(selector));
    const opacity = Number(style.strokeOpacity);
    const seen = numbers(style.stroke).slice(0, 3)
      .map((value, i) => value * opacity + paper[i] * (1 - opacity));
    const [less, more] = [light(seen), light(paper)].sort((one, other) => one - other);
    return more / less;
  };
  return [".js-line", ".gridlayer path", ".zerolinelayer path"].map(against);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_curve_stands_out_from_the_page_and_its_rules_do_not(open_page, address, scheme):
    page = talked(open_page(address, color_scheme=scheme))
    page.locator(".zerolinelayer path").first.wait_for(state="attached", timeout=60_000)
    curve, *rules = page.evaluate(CONTRASTS)
    assert curve >= 3
    assert all(1.1 < rule < curve / 1.5 for rule in rules)


def test_a_phone_shows_a_plot_as_wide_as_its_page(open_page, address):
    page = talked(open_page(address, width=390))
    page.locator(".js-plotly-plot .plot-container").first.wait_for(timeout=60_000)
    inside, whole = (
        page.locator(f".js-plotly-plot {part}").first.bounding_box()["width"]
        for part in (".nsewdrag", ".main-svg")
    )
    assert inside > 0.7 * whole


@pytest.mark.parametrize("loaded", [True, False])
def test_ctrl_c_ends_it_at_once_and_says_how_to_go_on(made, open_page, loaded):
    with served(made) as (address, server):
        if loaded:
            opened = open_page(address)
            part(opened, "tokens").wait_for(timeout=60_000)
            opened.close()
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=5) == 130
    log = made.folder.parent / f"log-{address.rpartition(':')[2]}"
    assert "To go on: emotion-probes app" in " ".join(log.read_text().split())
