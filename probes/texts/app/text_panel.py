"""A text, read as it is typed."""

from typing import Any

from probes.figures import Lines, png
from probes.texts.app import pictures
from probes.texts.app.microscope import Reading
from probes.texts.app.newest import Newest
from probes.texts.app.toolkit import download_json, html_part, plot, ui
from probes.texts.app.view import View
from probes.texts.dialogue import USER, Turn

EXAMPLE = "She read the letter twice, put it down and looked out of the window for a long time."


class TextPanel:
    """One text: its tokens in color, its highest emotions, a curve."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.newest = Newest(view.taking_turns)
        self.typed = EXAMPLE
        self.read: tuple[str, Reading] | None = None
        """A text and its own reading: what is typed may be ahead of both."""

    def build(self) -> None:
        """Lay the panel out and read the example."""
        ui.textarea("text", value=self.typed, on_change=self._type).props(
            "autogrow outlined debounce=150"
        ).classes("w-full").mark("text")
        self.shown = ui.column().classes("w-full gap-2")
        with ui.row():
            ui.button("JSON", on_click=self._download).props("outline no-caps")
            ui.button("PNG", on_click=self._download_curve).props("outline no-caps")
        ui.timer(0.05, self._read, once=True)

    async def _type(self, event: Any) -> None:
        self.typed = event.value or ""
        await self._read()

    async def _read(self) -> None:
        text = self.typed
        microscope = self.view.microscope
        reading = await self.newest(lambda: self.view.in_thread(lambda: microscope.read(text)))
        if reading is not None:
            self.read = text, reading
            self.show()

    def show(self) -> None:
        """Draw the reading for the emotion and layer looked at."""
        self.shown.clear()
        if self.read is None or 0 not in self.read[1].turn:
            return
        view, reading = self.view, self.read[1]
        with self.shown:
            html_part(
                pictures.colored_tokens(reading, view.place, view.emotion_index, view.emotions),
                "tokens",
            )
            key = pictures.color_key(reading, view.place, view.emotion_index, view.emotions)
            html_part(key, "key")
            best = pictures.top_emotions(reading.of_turn(0, view.place), view.emotions)
            ui.label(f"whole text, highest: {pictures.ranked(best)}").mark("highest")
            plot(self._curve(reading))

    def _curve(self, reading: Reading) -> Lines:
        view = self.view
        return pictures.token_curve(
            reading, view.place, view.emotion_index, view.emotions, view.where
        )

    def _download(self) -> None:
        if self.read is not None:
            text, reading = self.read
            download_json("text.json", self.view.described(reading, [Turn(USER, text)]))

    def _download_curve(self) -> None:
        if self.read is not None and 0 in self.read[1].turn:
            ui.download(png.render(self._curve(self.read[1])), "text.png")
