"""A prompt, continued with and without steering, side by side."""

from probes.texts.app.doses import Doses
from probes.texts.app.newest import Newest
from probes.texts.app.toolkit import ui
from probes.texts.app.view import View


class SteerPanel:
    """Sliders, and two continuations of one prompt from one seed."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.newest = Newest(view.taking_turns)
        self.doses = Doses(view, 0.1, self.again)

    def build(self) -> None:
        """Lay the panel out; nothing is written before the visitor asks."""
        self.prompt = (
            ui.textarea("prompt", value="He opened the door and")
            .props("autogrow outlined")
            .classes("w-full")
            .mark("prompt")
        )
        self.doses.build()
        with ui.row().classes("w-full items-center gap-6"):
            self.length = ui.number("tokens", value=30, min=1, max=200, step=1).classes("w-24")
            self.seed = ui.number("seed", value=0, min=0, step=1).classes("w-24")
            ui.button("Generate", on_click=self._write).props("no-caps")
            self.working = ui.spinner(size="sm")
            self.working.visible = False
        with ui.row().classes("w-full gap-4"):
            with ui.card().classes("grow basis-64"):
                ui.label("baseline").classes("font-bold")
                self.baseline = ui.label().classes("reply").mark("baseline")
            with ui.card().classes("grow basis-64"):
                ui.label("steered").classes("font-bold")
                self.steered = ui.label().classes("reply").mark("steered")

    async def again(self) -> None:
        """Write once more what is shown, after a change of doses or layer."""
        self.doses.refresh()
        if self.baseline.text:
            await self._write()

    async def _write(self) -> None:
        microscope, layer, doses = self.view.microscope, self.view.layer, self.doses.values()
        prompt = self.prompt.value or ""
        length, seed = int(self.length.value or 1), int(self.seed.value or 0)

        def both() -> tuple[str, str]:
            plain = microscope.reply(prompt, max_new_tokens=length, seed=seed)
            pushed = microscope.reply(
                prompt, doses=doses, layer=layer, max_new_tokens=length, seed=seed
            )
            return plain, pushed

        self.working.visible = True
        written = await self.newest(lambda: self.view.in_thread(both))
        if written is not None:
            self.baseline.text, self.steered.text = written
        self.working.visible = self.newest.waiting
