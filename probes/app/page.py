"""The page, in NiceGUI: it asks the microscope and shows what it says.

Contract
--------
* Binds to one address, 127.0.0.1 by default. Nothing is fetched from anywhere else.
* Models run in worker threads, one call at a time; a newer input replaces an older one that still
  waits. An error is shown where it happened and ends nothing.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from hooks import EmotionLensError
from probes.app import pictures
from probes.app.microscope import ASSISTANT, USER, Microscope, Reading, Turn
from probes.figures import Lines, png, webpage

# NiceGUI would otherwise make a folder of its own wherever the command is typed.
os.environ.setdefault("NICEGUI_STORAGE_PATH", tempfile.mkdtemp(prefix="emotion-lens-"))

from nicegui import run, ui  # noqa: E402

_STYLE = """
.tokens { line-height: 1.9; white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0; }
.token { border-radius: 3px; padding: .12em 0; }
.reply { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 4em; }
.numbers { border-collapse: collapse; }
.numbers td, .numbers th { padding: .15rem .7rem .15rem 0; text-align: left; }
"""
_GRAY = "#767676"
"""Readable on white and on black alike."""
MAX_DOSE = 0.4
EXAMPLE = "She read the letter twice, put it down and looked out of the window for a long time."


def serve(
    microscope: Microscope,
    *,
    usable: Mapping[int, float],
    host: str = "127.0.0.1",
    port: int = 8080,
    show: bool = True,
) -> None:
    """Serve the page until interrupted.

    Parameters
    ----------
    usable
        Largest dose within the budget, for each layer at which the run measured it.
    """

    @ui.page("/")
    def index() -> None:
        Page(microscope, usable).build()

    ui.run(
        host=host,
        port=port,
        title="emotion-lens",
        show=show,
        reload=False,
        show_welcome_message=False,
        reconnect_timeout=30,  # a busy laptop answers late; its pages should not start anew
        uvicorn_logging_level="warning",
    )


class Page:
    """One visitor's page."""

    def __init__(self, microscope: Microscope, usable: Mapping[int, float]) -> None:
        self.microscope = microscope
        self.usable = usable
        self.emotions = microscope.vectors.emotions
        self.layers = microscope.vectors.layers
        self.layer = microscope.vectors.provenance.target_layer
        self.emotion = self.emotions[0]
        self.text = EXAMPLE
        self.reading: Reading | None = None
        self.turns: list[Turn] = []
        self.conversation: Reading | None = None
        self.lock = asyncio.Lock()
        self.asked = 0

    # ------------------------------------------------------------------ parts of the page

    def build(self) -> None:
        """Lay the page out."""
        ui.add_css(_STYLE)
        dark = ui.dark_mode(None)
        with ui.column().classes("w-full max-w-5xl mx-auto p-2 gap-4"):
            with ui.row().classes("w-full items-center justify-between"):
                ui.html("<h1 style='font-size:1.5rem;margin:0'>emotion-lens</h1>", sanitize=False)
                ui.button("dark or light", on_click=dark.toggle).props("flat dense no-caps")
            name = self.microscope.model.name
            ui.label(f"{name}, {len(self.emotions)} emotions, {len(self.layers)} layers")
            with ui.row().classes("w-full items-center gap-6"):
                ui.select(
                    self.emotions, value=self.emotion, label="emotion", on_change=self._pick_emotion
                ).classes("w-48").mark("emotion")
                with ui.column().classes("gap-0 w-64"):
                    self.layer_label = ui.label()
                    ui.slider(
                        min=0,
                        max=len(self.layers) - 1,
                        value=self.layers.index(self.layer),
                        on_change=self._pick_layer,
                    ).props('aria-label="layer"').mark("layer")
            with ui.tabs().props("no-caps") as tabs:
                text_tab = ui.tab("Text")
                talk_tab = ui.tab("Conversation")
                steer_tab = ui.tab("Steer")
            with ui.tab_panels(tabs, value=text_tab).classes("w-full"):
                with ui.tab_panel(text_tab):
                    self._text_panel()
                with ui.tab_panel(talk_tab):
                    self._conversation_panel()
                with ui.tab_panel(steer_tab):
                    self._steer_panel()
        self._say_layer()
        ui.timer(0.05, self._read_text, once=True)

    def _text_panel(self) -> None:
        ui.textarea("text", value=self.text, on_change=self._type).props(
            "autogrow outlined debounce=150"
        ).classes("w-full").mark("text")
        self.text_view = ui.column().classes("w-full gap-2")
        with ui.row():
            ui.button("JSON", on_click=self._download_text).props("outline no-caps")
            ui.button("PNG", on_click=self._download_curve).props("outline no-caps")

    def _conversation_panel(self) -> None:
        self.talk_view = ui.column().classes("w-full gap-2")
        with ui.row().classes("w-full items-end"):
            self.message = ui.input("message").classes("grow").mark("message")
            self.message.on("keydown.enter", self._send)
            ui.button("Send", on_click=self._send).props("no-caps")
        with ui.row():
            ui.button("Start again", on_click=self._start_again).props("outline no-caps")
            ui.button("JSON", on_click=self._download_talk).props("outline no-caps")
            ui.button("PNG", on_click=self._download_talk_curve).props("outline no-caps")

    def _steer_panel(self) -> None:
        self.prompt = (
            ui.textarea("prompt", value="He opened the door and")
            .props("autogrow outlined")
            .classes("w-full")
            .mark("prompt")
        )
        with ui.row().classes("w-full items-center gap-6"):
            with ui.column().classes("gap-0 w-72"):
                self.dose_label = ui.label()
                self.dose = (
                    ui.slider(min=-MAX_DOSE, max=MAX_DOSE, step=0.02, value=0.1)
                    .props('aria-label="dose" debounce=200')
                    .mark("dose")
                )
                self.dose.on_value_change(self._steer)
                self.range_label = ui.label().classes("text-sm mt-4")
            self.length = ui.number("tokens", value=30, min=1, max=200, step=1).classes("w-24")
            self.seed = ui.number("seed", value=0, min=0, step=1).classes("w-24")
            ui.button("Generate", on_click=self._steer).props("no-caps")
        with ui.row().classes("w-full gap-4"):
            with ui.card().classes("grow basis-64"):
                ui.label("baseline").classes("font-bold")
                self.baseline = ui.label().classes("reply").mark("baseline")
            with ui.card().classes("grow basis-64"):
                ui.label("steered").classes("font-bold")
                self.steered = ui.label().classes("reply").mark("steered")
        self._say_dose()

    # ------------------------------------------------------------------ what a visitor does

    async def _pick_emotion(self, event: Any) -> None:
        self.emotion = event.value
        self._show_text()
        self._show_talk()
        if self.baseline.text:
            await self._steer()

    async def _pick_layer(self, event: Any) -> None:
        self.layer = self.layers[int(event.value)]
        self._say_layer()
        self._say_dose()
        self._show_text()
        self._show_talk()
        if self.baseline.text:
            await self._steer()

    async def _type(self, event: Any) -> None:
        self.text = event.value or ""
        await self._read_text()

    async def _read_text(self) -> None:
        reading = await self._ask(lambda: self.microscope.read(self.text), "text")
        if reading is not None:
            self.reading = reading
            self._show_text()

    async def _send(self) -> None:
        said = (self.message.value or "").strip()
        if not said:
            return
        self.message.value = ""
        turns = [*self.turns, Turn(USER, said)]
        reply = await self._ask(lambda: self.microscope.reply(turns, max_new_tokens=60), "talk")
        if reply is None:
            return
        self.turns = [*turns, Turn(ASSISTANT, reply or "...")]
        self.conversation = await self._ask(
            lambda: self.microscope.read_conversation(self.turns), "talk"
        )
        self._show_talk()

    def _start_again(self) -> None:
        self.turns, self.conversation = [], None
        self._show_talk()

    async def _steer(self) -> None:
        self._say_dose()
        prompt, emotion, dose, layer = (
            self.prompt.value or "",
            self.emotion,
            float(self.dose.value or 0),
            self.layer,
        )
        shared: dict[str, Any] = {
            "max_new_tokens": int(self.length.value or 1),
            "seed": int(self.seed.value or 0),
        }
        baseline = await self._ask(lambda: self.microscope.reply(prompt, **shared), "steer")
        steered = await self._ask(
            lambda: self.microscope.reply(
                prompt, emotion=emotion, dose=dose, layer=layer, **shared
            ),
            "steer",
        )
        if baseline is not None and steered is not None:
            self.baseline.text, self.steered.text = baseline, steered

    # ------------------------------------------------------------------ work and its results

    async def _ask(self, work: Callable[[], Any], what: str) -> Any:
        """Run work on the model in a thread; None when something newer was asked meanwhile."""
        self.asked += 1
        number = self.asked
        async with self.lock:
            if number != self.asked and what == "text":
                return None
            try:
                return await run.io_bound(work)
            except EmotionLensError as error:
                ui.notify(str(error), type="negative", multi_line=True)
                return None

    def _say_layer(self) -> None:
        self.layer_label.text = f"layer {self.layer} of {self.layers[0]} to {self.layers[-1]}"

    def _say_dose(self) -> None:
        dose, limit = float(self.dose.value or 0), self.usable.get(self.layer)
        past = limit is not None and abs(dose) > limit
        self.dose_label.text = f"dose {dose:+.2f}" + (" (past the usable range)" if past else "")
        marks = [{"value": 0, "label": "0"}]
        if limit is None:
            self.range_label.text = "usable range not measured here (experiment dose-response)"
        else:
            self.range_label.text = f"usable range at layer {self.layer}: {-limit:+g} to {limit:+g}"
            marks += [{"value": at, "label": f"{at:+g}"} for at in (-limit, limit)]
        self.dose.props["marker-labels"] = marks
        self.dose.update()

    def _where(self) -> str:
        return f"{self.microscope.model.name}, layer {self.layer}"

    def _place(self) -> tuple[int, int]:
        return self.layers.index(self.layer), self.emotions.index(self.emotion)

    def _show_text(self) -> None:
        if self.reading is None or 0 not in self.reading.turn:
            self.text_view.clear()
            return
        place, emotion = self._place()
        self.text_view.clear()
        with self.text_view:
            _html(pictures.colored_tokens(self.reading, place, emotion, self.emotions), "tokens")
            best = pictures.top_emotions(self.reading.of_turn(0, place), self.emotions)
            ui.label("highest: " + ", ".join(f"{n} {v:+.2f}" for n, v in best)).mark("highest")
            _plot(self._curve())

    def _curve(self) -> Any:
        assert self.reading is not None
        return pictures.token_curve(self.reading, *self._place(), self.emotions, self._where())

    def _show_talk(self) -> None:
        self.talk_view.clear()
        if self.conversation is None:
            return
        place, emotion = self._place()
        with self.talk_view:
            for number, turn in enumerate(self.turns):
                best = pictures.top_emotions(
                    self.conversation.of_turn(number, place), self.emotions
                )
                ui.label(f"{turn.speaker}: " + ", ".join(f"{n} {v:+.2f}" for n, v in best)).classes(
                    "font-bold"
                )
                _html(
                    pictures.colored_tokens(
                        self.conversation, place, emotion, self.emotions, number
                    ),
                    f"turn-{number}",
                )
            _plot(self._talk_curve())

    def _talk_curve(self) -> Any:
        assert self.conversation is not None
        place, _ = self._place()
        return pictures.conversation_curves(
            self.conversation, self.turns, place, self.emotions, self._where()
        )

    # ------------------------------------------------------------------ downloads

    def _download_text(self) -> None:
        if self.reading is not None:
            _download_json("text.json", self._described(self.reading, [Turn(USER, self.text)]))

    def _download_talk(self) -> None:
        if self.conversation is not None:
            _download_json("conversation.json", self._described(self.conversation, self.turns))

    def _download_curve(self) -> None:
        if self.reading is not None and 0 in self.reading.turn:
            ui.download(png.render(self._curve()), "text.png")

    def _download_talk_curve(self) -> None:
        if self.conversation is not None:
            ui.download(png.render(self._talk_curve()), "conversation.png")

    def _described(self, reading: Reading, turns: list[Turn]) -> dict[str, Any]:
        place, _ = self._place()
        return {
            "model": self.microscope.model.name,
            "fingerprint": self.microscope.model.fingerprint,
            "layer": self.layer,
            "emotions": self.emotions,
            "turns": [{"speaker": turn.speaker, "text": turn.text} for turn in turns],
            "tokens": [
                {"text": token, "turn": owner, "scores": scores}
                for token, owner, scores in zip(
                    reading.tokens, reading.turn, reading.scores[place].tolist(), strict=True
                )
            ],
        }


def _html(content: str, mark: str) -> None:
    # Every text in it was escaped where it was made.
    ui.html(content, sanitize=False).props(f'data-part="{mark}"').classes("w-full")


def _plot(figure: Lines) -> None:
    """Show curves as wide as the page, in colors that both of its schemes carry."""
    drawn = webpage.plotly_figure(figure)
    drawn.update_layout(
        width=None,
        height=300,
        autosize=True,
        margin={"t": 20},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font_color=_GRAY,
    )
    # Plotly measures a hidden tab and fails; drawn once, at the width it is shown at, is enough.
    config = {"responsive": False, "displayModeBar": False}
    ui.plotly({**json.loads(str(drawn.to_json())), "config": config}).classes("w-full").style(
        "height: 300px"
    )


def _download_json(name: str, content: dict[str, Any]) -> None:
    ui.download(json.dumps(content, ensure_ascii=False, indent=1).encode(), name)
