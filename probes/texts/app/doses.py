"""Sliders that say how strongly to steer toward which emotions."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from probes.texts.app.toolkit import Slider, emotion_picker, ui
from probes.texts.app.view import View

MAX_DOSE = 0.4
Released = Callable[[], Awaitable[None]]


class _Row(NamedTuple):
    emotion: Any
    dose: Slider
    number: Any
    whole: Any

    def say_dose(self) -> None:
        self.number.text = f"dose {self.dose.at:+.2f}"


class Doses:
    """One slider for each emotion that is added; `on_release` is called when one is let go."""

    def __init__(
        self, view: View, start: float, on_release: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.view = view
        self.start = start
        self.on_release = on_release
        self.rows: list[_Row] = []

    def build(self) -> None:
        """Lay out one slider, a button for more, and what all of them come to."""
        self.column = ui.column().classes("w-full gap-2")
        self._add(self.view.emotion, self.start)
        with ui.row().classes("items-center gap-4"):
            ui.button("add an emotion", on_click=self._add_next).props("outline dense no-caps")
            self.total = ui.label().classes("text-sm").mark("total")
        self.refresh()

    def values(self) -> dict[str, float]:
        """Return the dose of each emotion; an emotion with two sliders gets their sum."""
        doses: dict[str, float] = {}
        for row in self.rows:
            name = row.emotion.value
            doses[name] = doses.get(name, 0.0) + row.dose.at
        return {name: dose for name, dose in doses.items() if dose}

    def refresh(self) -> None:
        """Say the doses, their sum, and where the usable range ends at the layer looked at."""
        limit = self.view.usable.get(self.view.layer)
        marks = [{"value": 0, "label": "0"}]
        if limit is not None:
            marks += [{"value": at, "label": f"{at:+g}"} for at in (-limit, limit)]
        for row in self.rows:
            row.say_dose()
            row.dose.props["marker-labels"] = marks
            row.dose.props["aria-label"] = f"dose of {row.emotion.value}"
            row.dose.update()
        self._say_total(limit)

    def _say_total(self, limit: float | None) -> None:
        together = self.view.microscope.combined_dose(self.values(), self.view.layer)
        summed = f"together a dose of {together:.2f}" if len(self.rows) > 1 else ""
        if limit is None:
            known = "usable range not measured here (experiment steering-dose-response)"
        else:
            known = f"usable range at layer {self.view.layer}: {-limit:+g} to {limit:+g}"
            if together > limit + 1e-6:
                known = f"past the usable range; {known}"
        self.total.text = "; ".join(filter(None, [summed, known]))

    def _add(self, emotion: str, dose: float) -> None:
        with self.column, ui.row().classes("items-center gap-4 w-full") as whole:
            chosen = emotion_picker(self.view.emotions, emotion, "toward", self._released)
            chosen.classes("w-48")
            number = ui.label().classes("w-24")
            slider = Slider(min=-MAX_DOSE, max=MAX_DOSE, step=0.02, value=dose)
            slider.classes("w-64 mb-4").mark("dose")
            row = _Row(chosen, slider, number, whole)
            if self.rows:
                remove = ui.button(icon="close", on_click=lambda: self._remove(row))
                remove.props('flat dense aria-label="remove this emotion"')
        self.rows.append(row)
        slider.tell(lambda: self._moved(row), self._released)

    async def _add_next(self) -> None:
        used = {row.emotion.value for row in self.rows}
        if unused := [emotion for emotion in self.view.emotions if emotion not in used]:
            self._add(unused[0], 0.0)
            self.refresh()

    async def _remove(self, row: _Row) -> None:
        self.rows.remove(row)
        row.whole.delete()
        await self._released()

    def _moved(self, row: _Row) -> None:
        row.say_dose()
        self._say_total(self.view.usable.get(self.view.layer))

    async def _released(self) -> None:
        self.refresh()
        if self.on_release is not None:  # else new doses count from the next reply on
            await self.on_release()
