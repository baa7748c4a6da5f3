"""The panel of a text, or of two side by side: tokens in color, and a heat map of emotions."""

from collections.abc import Callable
from typing import Any

from probes.figures import png
from probes.texts.app import pictures
from probes.texts.app.look import Z_OF_TEXT, Look, difference, largest_of, strongest_of
from probes.texts.app.newest import Newest
from probes.texts.app.reading import Reading
from probes.texts.app.toolkit import (
    download_buttons,
    download_json,
    emotion_picker,
    html_part,
    posted_text,
    ui,
)
from probes.texts.app.view import View
from probes.texts.dialogue import USER, Turn

EXAMPLES = {
    "text": "She read the letter twice, put it down and looked out of the window for a long time.",
    "other text": "She read the letter twice, laughed out loud and ran to tell everybody.",
}
_ROWS = 8  # of a heat map for which no emotions are chosen


class TextBox:
    """One text as it is typed; `on_read` is called when it has been read anew."""

    def __init__(self, view: View, label: str, on_read: Callable[[], None]) -> None:
        self.view, self.label, self.on_read = view, label, on_read
        self.newest = Newest(view.taking_turns)
        self.typed = EXAMPLES[label]
        self.read: tuple[str, Reading] | None = None  # what is typed may be ahead of it

    def build(self) -> None:
        """Lay it out and read the example."""
        with ui.column().classes("w-full gap-2 min-w-0"):
            ui.textarea(self.label, value=self.typed, on_change=self._type).props(
                "autogrow outlined debounce=150"
            ).classes("w-full").mark(self.label)
            self.shown = ui.column().classes("w-full gap-2 min-w-0")
        ui.timer(0.05, self._read, once=True)

    async def _type(self, event: Any) -> None:
        self.typed = posted_text(event.value)
        await self._read()

    async def _read(self) -> None:
        text, microscope = self.typed, self.view.microscope
        reading = await self.newest(lambda: self.view.in_thread(lambda: microscope.read(text)))
        if reading is not None:
            self.read = text, reading
            self.on_read()

    @property
    def look(self) -> Look | None:
        """The reading for the emotion and layer looked at; None where there is no token."""
        if self.read is None or 0 not in self.read[1].turn:
            return None
        return self.view.look(self.read[1])

    def show(self, looks: list[Look], rows: list[int]) -> None:
        """Draw the text and its heat map, in colors that compare with those of all `looks`."""
        self.shown.clear()
        if (seen := self.look) is None:
            return
        largest = largest_of(looks)
        with self.shown:
            html_part(pictures.colored_tokens(seen, largest=largest), "tokens")
            html_part(pictures.color_key(seen, largest), "key")
            highest = ui.label(f"whole text, highest: {seen.spelled_text()}").mark("highest")
            if seen.reading.z is not None:
                highest.tooltip(Z_OF_TEXT)
            html_part(pictures.heat_table(seen, rows, largest_of(looks, rows)), "heat")


class TextPanel:
    """A text, another one beside it if wanted, and which emotions their heat maps show."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.text, self.other = (TextBox(view, label, self.show) for label in EXAMPLES)
        self.chosen: list[str] = []

    @property
    def boxes(self) -> list[TextBox]:
        """The texts that are compared, or the one there is."""
        return [self.text, self.other] if self.comparing.value else [self.text]

    @property
    def looks(self) -> list[Look]:
        """The texts that have a token, for the emotion and layer looked at."""
        return [seen for box in self.boxes if (seen := box.look)]

    @property
    def rows(self) -> list[int]:
        """The emotions that heat maps show."""
        if self.chosen or not self.looks:
            return [self.view.emotions.index(name) for name in self.chosen]
        return strongest_of(self.looks, _ROWS)

    def build(self) -> None:
        """Lay the panel out."""
        with ui.row().classes("w-full items-center gap-6"):
            self.comparing = ui.switch("compare two texts", on_change=self._lay_out)
            emotion_picker(
                self.view.emotions,
                self.chosen,
                "rows of the heat map",
                self._choose,
            ).classes("w-96 max-w-full").props('hint="the highest, unless you choose"')
        self.beside = ui.element("div").classes("grid grid-cols-1 gap-6 w-full pt-2")
        self.compared = ui.label().mark("compared")
        with ui.row():
            download_buttons(self._download, self._download_heat_map)
        self._lay_out()

    def _lay_out(self) -> None:
        """Lay the texts out anew: a box does not grow by itself when it gets narrower."""
        columns = "md:grid-cols-2" if self.comparing.value else "md:grid-cols-1"
        self.beside.classes(remove="md:grid-cols-1 md:grid-cols-2", add=columns)
        self.beside.clear()
        with self.beside:
            for box in self.boxes:
                box.build()

    def _choose(self, event: Any) -> None:
        self.chosen = list(event.value or [])
        self.show()

    def show(self) -> None:
        """Draw the readings for the emotion and layer looked at."""
        looks, rows = self.looks, self.rows
        for box in self.boxes:
            box.show(looks, rows)
        self.compared.text = ""
        if len(looks) == 2:
            above, below = difference(looks[0], looks[1])
            self.compared.text = (
                f"By the mean over tokens, the text is above the other in {above}; "
                f"the other is above it in {below}."
            )

    def _download(self) -> None:
        for box in self.boxes:
            if box.read is not None:
                text, reading = box.read
                name = box.label.replace(" ", "-")
                download_json(f"{name}.json", self.view.described(reading, [Turn(USER, text)]))

    def _download_heat_map(self) -> None:
        for box in self.boxes:
            if (seen := box.look) is not None:
                drawn = png.render(pictures.heat_map(seen, self.rows))
                ui.download(drawn, f"{box.label.replace(' ', '-')}.png")
