"""``emotion-probes app``: the microscope, a page on this machine."""

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from hooks.errors import EmotionLensError, InvalidInput
from probes.commands import App
from probes.commands.call import Call
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.storage import ours, read_json
from probes.texts.app import door

if TYPE_CHECKING:
    from probes.texts.app.view import View


def main(call: Call[App]) -> int:
    """Serve the page of one run until interrupted."""
    if importlib.util.find_spec("nicegui") is None:
        raise InvalidInput("app needs NiceGUI: pip install 'emotion-lens[app]'.")
    flags, run = call.flags, call.run(or_shipped=True)
    names, address = door.names_of(flags.host, flags.allow_host), f"{flags.host}:{flags.port}"
    door.check_free(flags.host, flags.port)
    from probes.texts.app.server import serve

    if not door.is_loopback(flags.host):
        call.terminal.warn(f"whoever reaches {address} can use this model and read its run.")
    where = f"emotion-lens listens on http://{address} (Ctrl-C ends it)"
    try:
        serve(
            lambda: _load(run, flags.vectors),
            waiting_for=run.config.model.name,
            host=flags.host,
            port=flags.port,
            names=names,
            show=flags.show,
            ready=lambda: call.terminal.note(where),
        )
    except SystemExit as error:  # how the server says that it cannot listen after all
        if error.code:
            raise EmotionLensError(f"could not listen on {address}; see above.") from error
    return 0


def _load(run: Run, way: str | None) -> Callable[[], None]:
    """Load vectors and model; return what lays out a visitor's page."""
    from probes.texts.app.page import Page

    view = load_views(run, way)
    return lambda: Page(view()).build()


def load_views(run: Run, way: str | None) -> "Callable[[], View]":
    """Load vectors and model; return what makes each visitor's view of them."""
    from probes.texts.app.microscope import Microscope
    from probes.texts.app.view import View
    from probes.vectors.emotion_vectors import EmotionVectors
    from probes.vectors.neutral_tokens import NeutralTokens

    vectors = EmotionVectors.load(run.vectors_at).using(way)
    microscope = Microscope(Models(run.config).subject(), vectors)
    usable = _usable(run)
    neutral = NeutralTokens.of_vectors(vectors) or NeutralTokens.of_run(run.root, vectors)
    return lambda: View(microscope, usable, neutral)


def _usable(run: Run) -> dict[int, float]:
    from probes.experiments import find_entries

    [experiment] = find_entries(["steering-dose-response"])
    path = run.root / experiment.file
    with ours(path):
        measured = read_json(path)["layers"] if path.is_file() else []
        usable = {entry["layer"]: entry["usable"] for entry in measured}
    return {layer: dose for layer, dose in usable.items() if dose is not None}
