"""The page, in NiceGUI: it asks the microscope and shows what it says; nothing else is fetched."""

from typing import Any

from probes.texts.app.steer_panel import SteerPanel
from probes.texts.app.talk_panel import TalkPanel
from probes.texts.app.text_panel import TextPanel
from probes.texts.app.toolkit import Slider, emotion_picker, ui
from probes.texts.app.view import View


class Page:
    """One visitor's page."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.text, self.talk, self.steer = TextPanel(view), TalkPanel(view), SteerPanel(view)

    def build(self) -> None:
        """Lay the page out."""
        view = self.view
        dark = ui.dark_mode(None)
        with ui.column().classes("w-full max-w-5xl mx-auto p-2 gap-4"):
            with ui.row().classes("w-full items-center justify-between"):
                ui.html("<h1 style='font-size:1.5rem;margin:0'>emotion-lens</h1>", sanitize=False)
                ui.button("dark or light", on_click=dark.toggle).props("flat dense no-caps")
            model = view.microscope.model.name
            ui.label(f"{model}, {len(view.emotions)} emotions, {len(view.layers)} layers")
            with ui.row().classes("w-full items-center gap-6"):
                emotion_picker(view.emotions, view.emotion, "emotion", self._pick_emotion).classes(
                    "w-48"
                ).mark("emotion")
                with ui.column().classes("gap-0 w-64"):
                    self.layer_label = ui.label()
                    self.layer = Slider(min=0, max=len(view.layers) - 1, value=view.place)
                    self.layer.props('aria-label="layer"').mark("layer")
                    self.layer.tell(self._pick_layer, self.steer.again)
                as_z = ui.switch("z-scores", value=view.as_z, on_change=self._pick_unit)
                as_z.set_enabled(view.neutral is not None)
            self.explained = ui.label(view.explained).classes("text-sm caption")
            with ui.tabs().props("no-caps") as tabs:
                panels = {"Text": self.text, "Conversation": self.talk, "Steer": self.steer}
                for name in panels:
                    ui.tab(name)
            with ui.tab_panels(tabs, value="Text", keep_alive=True).classes("w-full"):
                for name, panel in panels.items():
                    with ui.tab_panel(name):
                        panel.build()
        self._say_layer()

    def _pick_emotion(self, event: Any) -> None:
        self.view.emotion = event.value
        self._show()

    def _pick_unit(self, event: Any) -> None:
        self.view.as_z = event.value
        self.explained.text = self.view.explained
        self._show()

    def _show(self) -> None:
        for panel in (self.text, self.talk, self.steer):
            panel.show()

    def _pick_layer(self) -> None:
        self.view.layer = self.view.layers[int(self.layer.at)]
        self._say_layer()
        self._show()
        self.talk.doses.refresh()
        self.steer.doses.refresh()

    def _say_layer(self) -> None:
        layers = self.view.layers
        self.layer_label.text = f"layer {self.view.layer} of {layers[0]} to {layers[-1]}"
