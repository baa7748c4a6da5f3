"""The panel of steering: one prompt continued twice from one seed, steered and not."""

from functools import partial

from probes.texts.app import pictures
from probes.texts.app.doses import Doses
from probes.texts.app.look import largest_of
from probes.texts.app.newest import Newest
from probes.texts.app.reading import Reading
from probes.texts.app.toolkit import html_part, posted_text, ui
from probes.texts.app.view import View


class SteerPanel:
    """Sliders, and two continuations, each shown with its scores while it is written."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.newest = Newest(view.taking_turns)
        self.doses = Doses(view, 0.1, self.again)
        self.written: dict[str, Reading] = {}

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
        with ui.element("div").classes("grid grid-cols-1 md:grid-cols-2 gap-4 w-full"):
            self.cards = {name: _reply_card(name) for name in ("baseline", "steered")}
        self.key = html_part("", "steer-key")

    async def again(self) -> None:
        """Write once more what is shown, after a change of doses or layer."""
        self.doses.refresh()
        if self.written:
            await self._write()

    def show(self) -> None:
        """Draw what is written for the emotion and layer looked at, in one scale of colors."""
        looks = {name: self.view.look(reading) for name, reading in self.written.items()}
        if not looks:
            return
        largest = largest_of([*looks.values()])
        for name, look in looks.items():
            self.cards[name].set_content(pictures.colored_tokens(look, largest=largest))
        self.key.set_content(pictures.color_key(next(iter(looks.values())), largest))

    async def _write(self) -> None:
        microscope, layer, doses = self.view.microscope, self.view.layer, self.doses.values()
        prompt = posted_text(self.prompt.value)
        length, seed = int(self.length.value or 1), int(self.seed.value or 0)
        seen = {name: self.view.on_page(partial(self._grow, name)) for name in self.cards}

        def both() -> dict[str, Reading]:
            write = partial(microscope.reply, prompt, max_new_tokens=length, seed=seed)
            return {
                "baseline": write(watch=seen["baseline"]),
                "steered": write(doses=doses, layer=layer, watch=seen["steered"]),
            }

        self.working.visible = True
        if (written := await self.newest(lambda: self.view.in_thread(both))) is not None:
            self.written = written
            self.show()
        self.working.visible = self.newest.waiting

    def _grow(self, name: str, part: Reading) -> None:
        self.written[name] = part
        self.show()


def _reply_card(name: str) -> ui.html:
    with ui.card():
        ui.label(name).classes("font-bold")
        return html_part("", name).classes("reply")
