"""``emotion-probes app``: the microscope, a page on this machine."""

import importlib.util

from hooks.errors import InvalidInput
from probes.commands import App
from probes.commands.call import Call
from probes.experiments import find_entries
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.storage import read_json
from probes.vectors.emotion_vectors import EmotionVectors


def main(call: Call[App]) -> int:
    """Serve the page of one run until interrupted."""
    if importlib.util.find_spec("nicegui") is None:
        raise InvalidInput("app needs NiceGUI: pip install 'emotion-lens[app]'.")
    flags, run = call.flags, call.run()
    vectors = EmotionVectors.load(run.root)
    from probes.texts.app.microscope import Microscope
    from probes.texts.app.page import serve

    microscope = Microscope(Models(run.config).subject(), vectors)
    call.terminal.note(f"emotion-lens listens on http://{flags.host}:{flags.port} (Ctrl-C ends it)")
    serve(microscope, usable=_usable(run), host=flags.host, port=flags.port, show=flags.show)
    return 0


def _usable(run: Run) -> dict[int, float]:
    [experiment] = find_entries(["steering-dose-response"])
    path = run.root / experiment.file
    measured = read_json(path)["layers"] if path.is_file() else []
    return {entry["layer"]: entry["usable"] for entry in measured if entry["usable"] is not None}
