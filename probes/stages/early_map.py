"""Maps of the emotions before `visualize`: hours may lie before it.

The first is drawn while stories are still being read: the sentences that say an emotion are read
before them, and hold the whole list within a minute or two. That of the run's own vectors follows
as soon as `analyze` has ended.

Contract: their files are those of `visualize`, in that stage's record, which draws them again, what
`analyze` has left to the same bytes. They are set aside with it, and drawn anew when `analyze` has
left other numbers.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hooks.models.embedded import converted_folder, is_embedded
from probes.runs.files import FileList
from probes.runs.folder import Run
from probes.runs.record import StageRecord
from probes.runs.reporting import Reporter
from probes.stages import Stage, find_stages, outputs

if TYPE_CHECKING:  # which import torch
    from probes.analysis.results import Geometry
    from probes.runs.materials import Materials

_COMPILE = """
import torch
from probes.analysis.geometry import umap_layout
umap_layout(torch.eye(8), seed=0)
"""


@contextlib.contextmanager
def compiling(run: Run, chosen: Sequence[Stage]) -> Iterator[None]:
    """Compile UMAP for a first map in another process, while a model is fetched here.

    Both take some twenty seconds of one processor, once on a machine.
    """
    name = run.config.model.name
    is_first = is_embedded(name) and converted_folder(name) is None
    if not is_first or "analyze" not in [stage.name for stage in chosen]:
        yield
        return
    command, unheard = [sys.executable, "-c", _COMPILE], subprocess.DEVNULL
    with subprocess.Popen(command, stdout=unheard, stderr=unheard) as process:
        try:
            yield
        except BaseException:
            process.kill()
            raise


def draw_map(run: Run, reporter: Reporter) -> None:
    """Draw the map of what `analyze` has left, unless it is there, and say where it lies."""
    [view] = find_stages(["visualize"])
    inputs = run.input_digests(["analyze"])
    if _is_there(run, view, inputs["analyze"]):
        return
    from probes.stages.visualize import read_geometry  # which imports torch

    path = _draw(run, view, read_geometry(run), inputs)
    reporter.note(f"map of the emotions: {path} (to explore it: {path.stem}.html beside it)")


def draw_first_map(materials: "Materials") -> None:
    """Draw the map of *said* vectors, unless there is a map or the run's vectors are of others.

    `materials` hold what frames and neutral text give, and need hold nothing else yet.
    """
    run, index = materials.run, materials.index
    [view] = find_stages(["visualize"])
    layer = run.config.target_layer(index["n_layers"])
    is_of_said = run.way in ("said", "both")
    if layer is None or layer not in index["layers"] or not is_of_said or outputs(run, view):
        return
    geometry = _geometry_of_said(materials, layer)
    if geometry is None:
        return
    path = _draw(run, view, geometry, {})
    materials.reporter.note(
        f"a first map, of the sentences that say an emotion: {path}. That of all vectors follows "
        "in its place when the stories are read."
    )


def _geometry_of_said(materials: "Materials", layer: int) -> "Geometry | None":
    """Describe said vectors as `analyze` does the run's; None where an emotion is not said."""
    import torch

    from probes.analysis.describe import describe_geometry
    from probes.vectors.denoising import CellSums, fit_vectors

    said, settings, run = materials.way("said", layer), materials.config.analysis, materials.run
    shape = len(materials.units("said")), len(materials.emotions)
    cells = CellSums.of(
        said.mean.double(), (said.unit, said.emotion), torch.ones_like(said.unit), shape
    )
    basis = materials.neutral_components(layer)
    fitted = fit_vectors(cells, torch.ones(shape[0]).double(), basis)
    if not fitted.present.all():
        return None
    return describe_geometry(
        fitted.vectors.float(),
        materials.emotions,
        cells,
        basis,
        n_components=settings.n_components,
        n_clusters=run.n_clusters,
        unit_norm=settings.unit_norm,
        n_permutations=settings.n_permutations,
        n_bootstrap=1,  # a map has no intervals
        seed=materials.seed,
        model=f"said vectors of {materials.index['model']}",
        layer=layer,
        n_layers=materials.index["n_layers"],
    )


def _is_there(run: Run, view: Stage, digest: str) -> bool:
    record = run.record(view.name)
    if record is None or record.inputs.get("analyze") != digest:
        return False
    return record.has_ended or bool(outputs(run, view))


def _draw(run: Run, view: Stage, geometry: "Geometry", inputs: Mapping[str, str]) -> Path:
    """Draw the maps of a geometry in the place of earlier ones; return where the first lies."""
    from probes.report.pictures import maps_of
    from probes.stages import visualize

    earlier = outputs(run, view)
    # Whoever is killed from here on has drawn nothing that would be taken for whole.
    record = StageRecord(view.settings(run), {})
    record.write(run.record_path(view.name))
    made = visualize.draw(maps_of(geometry), run)
    FileList.of(sorted({*earlier, *made}), run.root).write(run.list_path(view.name))
    replace(record, inputs=inputs).write(run.record_path(view.name))
    return made[0]
