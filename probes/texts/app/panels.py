"""The panels of the page: a text as it is typed, a conversation, a prompt steered and not."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from probes.figures import png
from probes.texts.app import pictures
from probes.texts.app.doses import Doses
from probes.texts.app.microscope import Reading
from probes.texts.app.newest import Newest
from probes.texts.app.toolkit import download_json, html_part, plot, posted_text, ui
from probes.texts.app.view import View
from probes.texts.dialogue import ASSISTANT, USER, Turn

EXAMPLE = "She read the letter twice, put it down and looked out of the window for a long time."
_LENGTH = 60  # tokens of a reply, at most


class TextPanel:
    """One text: its tokens in color, its highest emotions, a curve."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.newest = Newest(view.taking_turns)
        self.typed = EXAMPLE
        self.read: tuple[str, Reading] | None = None  # what is typed may be ahead of it

    def build(self) -> None:
        """Lay the panel out and read the example."""
        ui.textarea("text", value=self.typed, on_change=self._type).props(
            "autogrow outlined debounce=150"
        ).classes("w-full").mark("text")
        self.shown = ui.column().classes("w-full gap-2")
        with ui.row():
            _download_buttons(self._download, self._download_curve)
        ui.timer(0.05, self._read, once=True)

    async def _type(self, event: Any) -> None:
        self.typed = posted_text(event.value)
        await self._read()

    async def _read(self) -> None:
        text, microscope = self.typed, self.view.microscope
        reading = await self.newest(lambda: self.view.in_thread(lambda: microscope.read(text)))
        if reading is not None:
            self.read = text, reading
            self.show()

    def show(self) -> None:
        """Draw the reading for the emotion and layer looked at."""
        self.shown.clear()
        if self.read is None or 0 not in self.read[1].turn:
            return
        look = self.view.look(self.read[1])
        with self.shown:
            html_part(pictures.colored_tokens(look), "tokens")
            html_part(pictures.color_key(look), "key")
            highest = ui.label(f"whole text, highest: {look.highest_of_text()}").mark("highest")
            if look.reading.z is not None:
                highest.tooltip(pictures.Z_EXPLAINED)
            plot(pictures.token_curve(look))

    def _download(self) -> None:
        if self.read is not None:
            text, reading = self.read
            download_json("text.json", self.view.described(reading, [Turn(USER, text)]))

    def _download_curve(self) -> None:
        if self.read is not None and 0 in self.read[1].turn:
            curve = pictures.token_curve(self.view.look(self.read[1]))
            ui.download(png.render(curve), "text.png")


@dataclass(frozen=True)
class SteeredTurn:
    """How a turn was written, and what the model would have said without."""

    doses: dict[str, float]
    layer: int
    baseline: str

    @property
    def about(self) -> str:
        """Layer and doses, in words."""
        pushes = ", ".join(f"{emotion} {dose:+.2f}" for emotion, dose in self.doses.items())
        return f"steered at layer {self.layer}: {pushes}"


class TalkPanel:
    """Turns, one after the other: a message is answered before the next can be sent."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.doses = Doses(view, 0.0)
        self.busy = False
        self._forget()

    def _forget(self) -> None:
        self.turns: list[Turn] = []
        self.steered: dict[int, SteeredTurn] = {}
        self.read: tuple[list[Turn], Reading] | None = None

    def build(self) -> None:
        """Lay the panel out."""
        self.shown = ui.column().classes("w-full gap-2")
        with ui.row().classes("w-full items-end"):
            self.message = ui.input("message").classes("grow").mark("message")
            self.message.on("keydown.enter", self._send)
            self.send = ui.button("Send", on_click=self._send).props("no-caps")
            self.working = ui.spinner(size="sm")
            self.working.visible = False
        with ui.expansion("Steer the replies").classes("w-full"):
            self.doses.build()
        with ui.row():
            self.start_again = ui.button("Start again", on_click=self._start_again)
            self.start_again.props("outline no-caps")
            _download_buttons(self._download, self._download_curve)

    async def _send(self) -> None:
        typed = self.message.value
        message = posted_text(typed).strip()
        if not message or self.busy:
            return
        self._set_busy(True)
        try:
            answered = await self._answer([*self.turns, Turn(USER, message)])
            # Until then, and if nothing was said, it is the visitor's; so is what came meanwhile.
            if answered and self.message.value == typed:
                self.message.value = ""
        finally:
            self._set_busy(False)
            self.show()

    async def _answer(self, turns: list[Turn]) -> bool:
        microscope, doses, layer = self.view.microscope, self.doses.values(), self.view.layer

        def work() -> tuple[str, str, Reading | None]:
            answer = partial(microscope.reply, turns, max_new_tokens=_LENGTH)
            plain = answer()
            reply = answer(doses=doses, layer=layer) if doses else plain
            whole = [*turns, Turn(ASSISTANT, reply)]
            return plain, reply, microscope.read_conversation(whole) if reply else None

        async with self.view.taking_turns:
            answered = await self.view.in_thread(work)
        if answered is None:
            return False
        plain, reply, reading = answered
        if reading is None:
            ui.notify("The model had nothing to say; try other words or doses.", type="warning")
            return False
        self.turns = [*turns, Turn(ASSISTANT, reply)]
        self.read = self.turns, reading
        if doses:
            self.steered[len(self.turns) - 1] = SteeredTurn(doses, layer, plain)
        return True

    def _set_busy(self, busy: bool) -> None:
        self.busy = self.working.visible = busy
        for button in (self.send, self.start_again):
            button.set_enabled(not busy)

    def _start_again(self) -> None:
        if not self.busy:
            self._forget()
            self.show()

    def show(self) -> None:
        """Draw the conversation for the emotion and layer looked at."""
        self.shown.clear()
        if self.read is None:
            return
        turns, reading = self.read
        look = self.view.look(reading)
        with self.shown:
            html_part(pictures.color_key(look), "conversation-key")
            for number, turn in enumerate(turns):
                highest = look.highest_of_turn(number)
                ui.label(f"{turn.speaker}: {highest}").classes("font-bold")
                html_part(pictures.colored_tokens(look, number), f"turn-{number}")
                if how := self.steered.get(number):
                    ui.label(how.about).classes("text-sm")
                    without = ui.label(f"without steering: {how.baseline or '(nothing)'}")
                    without.classes("text-sm reply-without")
            plot(pictures.conversation_curves(look, turns))

    def _download(self) -> None:
        if self.read is not None:
            turns, reading = self.read
            content = self.view.described(reading, turns)
            for number, how in self.steered.items():
                content["turns"][number]["steered"] = vars(how)
            download_json("conversation.json", content)

    def _download_curve(self) -> None:
        if self.read is not None:
            turns, reading = self.read
            curves = pictures.conversation_curves(self.view.look(reading), turns)
            ui.download(png.render(curves), "conversation.png")


class SteerPanel:
    """Sliders, and two continuations of one prompt from one seed."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.newest = Newest(view.taking_turns)
        self.doses = Doses(view, 0.1, self.again)

    def build(self) -> None:
        """Lay the panel out; nothing is written before the visitor asks."""
        self.prompt = ui.textarea("prompt", value="He opened the door and").mark("prompt")
        self.prompt.props("autogrow outlined").classes("w-full")
        self.doses.build()
        with ui.row().classes("w-full items-center gap-6"):
            self.length = ui.number("tokens", value=30, min=1, max=200, step=1).classes("w-24")
            self.seed = ui.number("seed", value=0, min=0, step=1).classes("w-24")
            ui.button("Generate", on_click=self._write).props("no-caps")
            self.working = ui.spinner(size="sm")
            self.working.visible = False
        with ui.row().classes("w-full gap-4"):
            self.baseline, self.steered = map(_reply_card, ("baseline", "steered"))

    async def again(self) -> None:
        """Write once more what is shown, after a change of doses or layer."""
        self.doses.refresh()
        if self.baseline.text:
            await self._write()

    async def _write(self) -> None:
        microscope, layer, doses = self.view.microscope, self.view.layer, self.doses.values()
        prompt = posted_text(self.prompt.value)
        length, seed = int(self.length.value or 1), int(self.seed.value or 0)

        def both() -> tuple[str, str]:
            write = partial(microscope.reply, prompt, max_new_tokens=length, seed=seed)
            return write(), write(doses=doses, layer=layer)

        self.working.visible = True
        if (written := await self.newest(lambda: self.view.in_thread(both))) is not None:
            self.baseline.text, self.steered.text = written
        self.working.visible = self.newest.waiting


def _download_buttons(as_json: Any, as_png: Any) -> None:
    ui.button("JSON", on_click=as_json).props("outline no-caps")
    ui.button("PNG", on_click=as_png).props("outline no-caps")


def _reply_card(name: str) -> Any:
    with ui.card().classes("grow basis-64"):
        ui.label(name).classes("font-bold")
        return ui.label().classes("reply").mark(name)
