"""The map is there before any test of the vectors begins, and is never anybody else's or stale."""

import json
import subprocess
import time
from dataclasses import replace

import pytest
import reference_runs
import small_runs
import torch
from command_line import main
from small_runs import Heard, SmallRun

from probes.analysis.geometry import cosine_matrix
from probes.commands.status import progress_of
from probes.config import load_config
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.stages import STAGES, early_map, extract_activations, find_stages, visualize

pytestmark = pytest.mark.slow
MAP = ("pca_scatter.html", "pca_scatter.png", "plotly.min.js")


def figures(made):
    return {path.name: path.read_bytes() for path in (made.folder / "figures").iterdir()}


def listed(made):
    return {path.name for path in made.run().left_files("visualize").paths(made.folder)}


def broken(*_):
    raise RuntimeError("no test today")


@pytest.fixture
def failed(reading_run, monkeypatch):
    """A run whose `validate` fails at once."""
    made = reading_run()
    with monkeypatch.context() as patch:
        patch.setattr("probes.stages.validate.validate", broken)
        assert main(made.config) == 1
    return made


def test_the_map_is_there_before_validate_begins_and_its_path_is_printed(
    reading_run, capsys, monkeypatch
):
    made, there = reading_run(), []

    def look_and_fail(*_):
        there.extend(sorted(figures(made)))
        broken()

    monkeypatch.setattr("probes.stages.validate.validate", look_and_fail)
    assert main(made.config) == 1
    assert there == sorted(MAP)
    printed = "".join(capsys.readouterr().err.split())
    path = made.folder / "figures" / "pca_scatter.png"
    assert printed.count(f"mapoftheemotions:{path}(toexploreit:pca_scatter.htmlbesideit)") == 1
    assert printed.index("mapoftheemotions") < printed.index("validate:")


def test_it_is_what_visualize_draws_later(failed):
    early = figures(failed)
    assert main(failed.config, "--quiet") == 0
    later = figures(failed)
    assert len(later) > len(early)
    assert {name: later[name] for name in early} == early
    assert listed(failed) == set(later)


def test_analyze_alone_draws_it(reading_run, capsys):
    made = reading_run()
    assert main(made.config, "compute-vectors") == 1  # nothing to make it from
    names = ("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    assert main(*names, "--config", made.config) == 0
    assert not (made.folder / "figures").exists()
    capsys.readouterr()
    assert main("analyze", made.config) == 0
    assert "map of the emotions" in capsys.readouterr().err
    assert sorted(figures(made)) == sorted(MAP)


def test_status_calls_nothing_stale(failed, capsys):
    states = {stage.stage: stage.state for stage in progress_of(failed.run())}
    assert states["validate"] in ("begun", "missing")
    assert (states["visualize"], states["report"]) == ("begun", "missing")
    assert main("status", failed.config) == 3
    assert "to go on: python -m probes.run" in " ".join(capsys.readouterr().err.split())


def test_other_numbers_get_another_map_and_a_file_of_somebody_else_stays(failed):
    early, mine = figures(failed), failed.folder / "figures" / "mine.png"
    mine.write_bytes(b"mine")
    assert main("analyze", failed.config, "--quiet", "--analysis.unit_norm=false") == 1
    assert figures(failed) == {**early, "mine.png": b"mine"}
    words = ("--quiet", "--analysis.unit_norm=false", "--restart=analyze")
    assert main("analyze", failed.config, *words) == 0
    assert figures(failed)["pca_scatter.png"] != early["pca_scatter.png"]
    assert mine.read_bytes() == b"mine"
    assert listed(failed) == set(MAP)


def test_a_finished_run_keeps_its_figures_untouched(finished):
    times = {path: path.stat().st_mtime_ns for path in finished.folder.glob("figures/*")}
    heard = Heard()
    early_map.draw_map(finished.run(), heard)
    assert heard.notes == []
    assert {path: path.stat().st_mtime_ns for path in finished.folder.glob("figures/*")} == times


def test_a_restart_that_makes_nothing_puts_the_old_results_back(finished, capsys, monkeypatch):
    before = figures(finished)
    with monkeypatch.context() as patch:
        patch.setattr("probes.stages.validate.validate", broken)
        assert main(finished.config, "--restart=validate") == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert printed.index("map of the emotions") < printed.index("the old results are back")
    assert figures(finished) == before
    assert main("status", finished.config, "--quiet") == 0


def test_whoever_is_killed_while_drawing_draws_again(finished, monkeypatch):
    run = finished.run()
    others = set(figures(finished)) - set(MAP)
    record = run.record("visualize")
    replace(record, inputs={**record.inputs, "analyze": "other"}).write(
        run.record_path("visualize")
    )
    with monkeypatch.context() as patch:
        patch.setattr(visualize, "draw", broken)
        with pytest.raises(RuntimeError, match="no test today"):
            early_map.draw_map(run, Heard())
    heard = Heard()
    early_map.draw_map(run, heard)
    assert len(heard.notes) == 1
    # What the stage had drawn before is still its own.
    assert listed(finished) == {*others, *MAP}
    assert finished.stages("visualize", "report") == [True, False]
    written = json.loads(run.record_path("visualize").read_text())
    assert written["complete"]


def test_a_lost_map_is_drawn_again(failed, monkeypatch):
    early = figures(failed)
    for name in MAP:
        (failed.folder / "figures" / name).unlink()
    assert main("analyze", failed.config, "--quiet") == 0
    assert figures(failed) == early


@pytest.fixture
def cut_off(reference_subject, tmp_path, monkeypatch):
    """Make a run on the project's corpus whose stories fail to be read, and what it said."""

    def make(way):
        values = reference_runs.settings(reference_subject, tmp_path / "out", vectors={"way": way})
        made = SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "out")
        read = extract_activations._read_shards

        def read_no_stories(*inputs):
            if inputs[5]["kind"] == "stories":
                broken()
            read(*inputs)

        with monkeypatch.context() as patch:
            patch.setattr(extract_activations, "_read_shards", read_no_stories)
            assert main(made.config) == 1
        return made

    return make


def test_what_is_said_is_drawn_while_stories_are_still_to_be_read(cut_off, capsys):
    made = cut_off("both")
    first = figures(made)
    assert sorted(first) == sorted(MAP)
    printed = "".join(capsys.readouterr().err.split())
    assert f"{made.folder}/figures/pca_scatter.png" in printed
    assert "said vectors of" in (made.folder / "figures" / "pca_scatter.html").read_text("utf-8")
    assert main(*reference_runs.STAGES, "analyze", "--config", made.config) == 0
    assert figures(made)["pca_scatter.png"] != first["pca_scatter.png"]
    assert "said vectors of" not in (made.folder / "figures" / "pca_scatter.html").read_text(
        "utf-8"
    )


def test_vectors_of_what_is_shown_have_no_first_map(cut_off):
    assert not (cut_off("shown").folder / "figures").exists()


def test_the_first_map_is_of_the_bundles_said_vectors(reference_run):
    run = reference_run.run()
    materials = Materials(run, Models(run.config), Heard())
    geometry = early_map._geometry_of_said(materials, materials.layer)
    whole = materials.vectors.using("said").at(materials.layer)
    torch.testing.assert_close(torch.tensor(geometry.cosine), cosine_matrix(whole))


def test_umap_is_compiled_while_a_model_is_fetched_and_who_is_stopped_waits_for_nothing(
    tmp_path, monkeypatch
):
    started = []

    class Seen(subprocess.Popen):
        def __init__(self, *command, **options):
            super().__init__(*command, **options)
            started.append(self)

    monkeypatch.setattr(early_map.subprocess, "Popen", Seen)
    monkeypatch.setenv("EMOTION_LENS_CACHE", str(tmp_path))
    run = Run(load_config("demo", {"output_dir": str(tmp_path / "run")}), "demo")
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), early_map.compiling(run, STAGES):
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 2
    with early_map.compiling(run, STAGES):
        pass
    stopped, ended = (process.returncode for process in started)
    assert stopped != 0
    assert ended == 0
    with early_map.compiling(run, find_stages(["report"])):  # which draws no map
        pass
    assert len(started) == 2
