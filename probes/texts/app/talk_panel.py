"""The panel of a conversation: turns, one after the other, and how replies are steered."""

from dataclasses import dataclass
from functools import partial

from probes.figures import png
from probes.texts.app import pictures
from probes.texts.app.doses import Doses
from probes.texts.app.microscope import Watch
from probes.texts.app.reading import Reading
from probes.texts.app.toolkit import (
    download_buttons,
    download_json,
    html_part,
    plot,
    posted_text,
    ui,
)
from probes.texts.app.view import View
from probes.texts.dialogue import ASSISTANT, USER, Turn

_LENGTH = 60  # tokens of a reply, at most


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
        self.growing = ui.column().classes("w-full gap-2")
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
            download_buttons(self._download, self._download_curve)

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
            self.growing.clear()
            self.show()

    async def _answer(self, turns: list[Turn]) -> bool:
        microscope, doses, layer = self.view.microscope, self.doses.values(), self.view.layer
        watch = self.view.on_page(self._show_growing(turns[-1].text))

        def work() -> tuple[str, str, Reading | None]:
            answer = partial(microscope.reply, turns, max_new_tokens=_LENGTH)
            reply = answer(doses=doses, layer=layer, watch=watch).text
            plain = answer().text if doses else reply
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

    def _show_growing(self, message: str) -> Watch:
        """Show what is asked; return what shows the reply as the model writes it."""
        with self.growing:
            ui.label(f"{USER}: {message}")
            ui.label(f"{ASSISTANT}, while it is written:").classes("font-bold")
            written = html_part("", "growing")
        return lambda part: written.set_content(pictures.colored_tokens(self.view.look(part)))

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
                highest = look.spelled(look.of_turn(number))
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
