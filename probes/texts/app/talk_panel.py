"""A conversation with the model, steered if wanted, scored turn by turn."""

from dataclasses import dataclass

from probes.figures import Lines, png
from probes.texts.app import pictures
from probes.texts.app.doses import Doses
from probes.texts.app.microscope import Reading
from probes.texts.app.toolkit import download_json, html_part, plot, ui
from probes.texts.app.view import View
from probes.texts.dialogue import ASSISTANT, USER, Turn

_LENGTH = 60
"""Tokens of a reply, at most."""


@dataclass(frozen=True)
class _Steered:
    """How a turn was written, and what the model would have said without."""

    doses: dict[str, float]
    layer: int
    baseline: str

    @property
    def about(self) -> str:
        pushes = ", ".join(f"{emotion} {dose:+.2f}" for emotion, dose in self.doses.items())
        return f"steered at layer {self.layer}: {pushes}"


class TalkPanel:
    """Turns, one after the other: a message is answered before the next can be sent."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.doses = Doses(view, 0.0, self._nothing_to_write_again)
        self.busy = False
        self._forget()

    def _forget(self) -> None:
        self.turns: list[Turn] = []
        self.steered: dict[int, _Steered] = {}
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
            ui.button("JSON", on_click=self._download).props("outline no-caps")
            ui.button("PNG", on_click=self._download_curve).props("outline no-caps")

    async def _nothing_to_write_again(self) -> None:
        """Leave what was said; new doses count from the next reply on."""

    async def _send(self) -> None:
        said = (self.message.value or "").strip()
        if not said or self.busy:
            return
        self._set_busy(True)
        try:
            answered = await self._answer([*self.turns, Turn(USER, said)])
            # Until then, and if nothing was said, it is the visitor's; so is what came meanwhile.
            if answered and (self.message.value or "").strip() == said:
                self.message.value = ""
        finally:
            self._set_busy(False)
            self.show()

    async def _answer(self, turns: list[Turn]) -> bool:
        microscope, doses, layer = self.view.microscope, self.doses.values(), self.view.layer

        def work() -> tuple[str, str, Reading | None]:
            plain = microscope.reply(turns, max_new_tokens=_LENGTH)
            reply = plain
            if doses:
                reply = microscope.reply(turns, doses=doses, layer=layer, max_new_tokens=_LENGTH)
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
            self.steered[len(self.turns) - 1] = _Steered(doses, layer, plain)
        return True

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        self.working.visible = busy
        self.send.set_enabled(not busy)
        self.start_again.set_enabled(not busy)

    def _start_again(self) -> None:
        if not self.busy:
            self._forget()
            self.show()

    def show(self) -> None:
        """Draw the conversation for the emotion and layer looked at."""
        self.shown.clear()
        if self.read is None:
            return
        view, (turns, reading) = self.view, self.read
        with self.shown:
            key = pictures.color_key(reading, view.place, view.emotion_index, view.emotions)
            html_part(key, "conversation-key")
            for number, turn in enumerate(turns):
                best = pictures.top_emotions(reading.of_turn(number, view.place), view.emotions)
                ui.label(f"{turn.speaker}: {pictures.ranked(best)}").classes("font-bold")
                html_part(
                    pictures.colored_tokens(
                        reading, view.place, view.emotion_index, view.emotions, number
                    ),
                    f"turn-{number}",
                )
                if number in self.steered:
                    how = self.steered[number]
                    ui.label(how.about).classes("text-sm")
                    ui.label(f"without steering: {how.baseline or '(nothing)'}").classes(
                        "text-sm reply-without"
                    )
            plot(self._curve(turns, reading))

    def _curve(self, turns: list[Turn], reading: Reading) -> Lines:
        view = self.view
        return pictures.conversation_curves(
            reading, turns, view.place, view.emotion_index, view.emotions, view.where
        )

    def _download(self) -> None:
        if self.read is not None:
            turns, reading = self.read
            content = self.view.described(reading, turns)
            for number, how in self.steered.items():
                content["turns"][number]["steered"] = vars(how)
            download_json("conversation.json", content)

    def _download_curve(self) -> None:
        if self.read is not None:
            ui.download(png.render(self._curve(*self.read)), "conversation.png")
