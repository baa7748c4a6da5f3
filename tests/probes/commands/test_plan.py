"""``emotion-probes plan``: what it says before a run is what the run then takes."""

import json
import re
from pathlib import Path

import pytest
import tiny_models
from torch.utils.flop_counter import FlopCounterMode

from hooks.models.backends import HuggingFaceBackend
from probes import stages
from probes.commands.cost import Rates
from probes.commands.plan import work_out
from probes.corpus.cells import read_corpus
from probes.run import main
from probes.runs.models import Models

DATA = Path(__file__).parents[2] / "data"
STAGES = ("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")


@pytest.fixture
def to_write(small_run, tiny_writer):
    """A run of 240 stories in five units, of which nothing is written yet."""
    topics = [f"a lost key, {number} of 10" for number in range(10)]
    return small_run(
        writer={"name": str(tiny_writer)},
        generation={
            "topics_subset": topics,
            "stories_per_topic": 8,
            "max_attempts": 2,
            "batch_size": 48,
        },
        activation={"token_offset": 0},
    )


def bytes_below(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def took(made) -> dict[str, float]:
    """What a finished run wrote and read, counted in its files."""
    run = made.run()
    model = Models(run.config).subject()
    texts = list(read_corpus(run.root, [*run.story_cells, *run.neutral_cells]))
    written = [run.record(name).counts["usage"]["completion_tokens"] for name in STAGES[:2]]
    return {
        "tokens_written": sum(written),
        "tokens_read": sum(len(model.encode(text.text)) for text in texts),
        "activation_bytes": bytes_below(made.folder / "activations"),
        "text_bytes": bytes_below(made.folder / "stories") + bytes_below(made.folder / "neutral"),
        "vector_bytes": bytes_below(made.folder / "vectors"),
    }


@pytest.mark.slow
def test_a_plan_made_from_one_unit_before_the_run_agrees_with_the_run(to_write):
    planned = work_out(to_write.run(), Rates(), measured=True).numbers()
    assert not to_write.folder.exists()
    to_write.stages(*STAGES)
    for name, value in took(to_write).items():
        assert planned[name] == pytest.approx(value, rel=0.2), name


@pytest.mark.slow
def test_a_plan_of_an_interrupted_run_rests_on_what_is_there(to_write):
    to_write.stages("generate-stories", "generate-neutral")
    run = to_write.run()
    for cell in run.story_cells[9:]:
        (run.root / cell.path).unlink()
    forecast = work_out(run, Rates(), measured=False)
    assert "of this folder" in forecast.source
    planned = forecast.numbers()
    stages.set_aside(run, stages.find_stages(STAGES[:2]))
    to_write.stages(*STAGES)
    for name, value in took(to_write).items():
        assert planned[name] == pytest.approx(value, rel=0.2), name


@pytest.mark.embedded
def test_flops_of_reading_are_those_that_torch_counts(small_run):
    own = {name: str(DATA / f"{name}.jsonl") for name in ("stories", "neutral")}
    made = small_run(
        corpus=own,
        model={"name": "embedded:gemma-3-270m"},
        generation={"emotions_subset": None},
        activation={"batch_tokens": 512, "token_offset": 20},
    )
    made.stages("generate-stories", "generate-neutral")
    planned = work_out(made.run(), Rates(), measured=False).plan
    with FlopCounterMode(display=False) as counted:
        made.stage("extract-activations")
    assert planned.reading_flops == pytest.approx(counted.get_total_flops(), rel=0.2)


@pytest.mark.embedded
def test_flops_of_writing_are_those_that_torch_counts(small_run):
    made = small_run(
        writer={"name": "embedded:smollm2-135m-instruct"},
        generation={
            "emotions_subset": ["happy", "sad"],
            "topics_subset": ["a lost key"],
            "stories_per_topic": 3,
            "max_new_tokens": 8,
            "max_attempts": 1,
        },
        neutral={"max_new_tokens": 8},
    )
    with FlopCounterMode(display=False) as counted:
        made.stages("generate-stories", "generate-neutral")
    planned = work_out(made.run(), Rates(), measured=False).plan
    assert planned.writing_flops == pytest.approx(counted.get_total_flops(), rel=0.2)


def test_before_anything_is_written_lengths_are_the_limits(small_run, tiny_writer, capsys):
    made = small_run(writer={"name": str(tiny_writer)})
    assert main(["plan", made.config, "--tokens_per_second=10"]) == 0
    printed = capsys.readouterr().out
    assert "18 stories, 6 neutral" in printed
    assert f"{24 * 12:,}" in printed
    assert "full-length texts" in printed
    assert "an interrupted unit" in printed
    assert not made.folder.exists()


def test_numbers_are_numbers_in_json(small_run, tiny_writer, capsys):
    made = small_run(writer={"name": str(tiny_writer)})
    assert main(["plan", made.config, "--tokens_per_second=10", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["exit_code"] == 0
    assert printed["tokens_written"] == 24 * 12
    assert printed["writing_hours"] == pytest.approx(24 * 12 / 10 / 3600)
    assert printed["seen"] is None
    assert printed["disk_bytes"] > printed["activation_bytes"] > 1000


def test_a_unit_is_written_whole_to_measure_rates_and_lengths(small_run, tiny_writer):
    made = small_run(writer={"name": str(tiny_writer)})
    forecast = work_out(made.run(), Rates(), measured=True)
    rates, seen = forecast.rates, forecast.seen
    assert rates.writing is not None
    assert rates.reading is not None
    assert rates.writing > 0 < rates.reading
    assert seen is not None
    assert seen.tokens_per_draft is not None
    assert 1 < seen.tokens_per_draft <= 12
    written = forecast.plan.tokens_written
    assert forecast.plan.writing_hours == pytest.approx(written / rates.writing / 3600)


def test_prompts_are_counted_as_the_writer_reads_them(small_run, tiny_writer):
    system = "You tell stories. " * 20
    lengths = [
        work_out(
            small_run(writer={"name": str(tiny_writer), "system": message}).run(),
            Rates(),
            measured=False,
        ).plan.writing_flops
        for message in (None, system)
    ]
    assert lengths[1] > 1.2 * lengths[0]


def test_an_answer_of_several_stories_may_be_as_many_times_as_long(small_run, tiny_writer):
    together = {"stories_per_topic": 4, "stories_per_prompt": 4}
    one, many = (
        work_out(
            small_run(writer={"name": str(tiny_writer)}, generation=generation).run(),
            Rates(),
            measured=False,
        ).plan
        for generation in ({**together, "stories_per_prompt": 1}, together)
    )
    assert many.tokens_written == one.tokens_written
    assert many.writing_memory > one.writing_memory


def test_workers_of_another_engine_save_no_time(small_run, tiny_writer):
    hours = [
        work_out(
            small_run(writer={"name": str(tiny_writer)}, compute=compute).run(),
            Rates(100.0, 1000.0),
            measured=False,
        ).plan.writing_hours
        for compute in ({}, {"workers": 4}, {"engine": "ray", "workers": 4})
    ]
    assert hours[0] == hours[1] == pytest.approx(4 * hours[2])


def test_a_server_cannot_be_timed_here(small_run, capsys):
    made = small_run(
        writer={"name": "served"},
        generation={"engine": "openai", "base_urls": "http://127.0.0.1:9/v1"},
    )
    assert main(["plan", made.config, "--measure"]) == 2
    assert "--dry-run" in " ".join(capsys.readouterr().err.split())


def test_vllm_is_not_timed_and_spreads_the_memory(small_run, tiny_writer, capsys):
    made = small_run(
        writer={"name": str(tiny_writer)},
        activation={"engine": "vllm"},
        vllm={"tensor_parallel_size": 4},
    )
    assert main(["plan", made.config, "--measure"]) == 2
    assert "--reading_tokens_per_second=N" in " ".join(capsys.readouterr().err.split())
    assert main(["plan", made.config]) == 0
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    memory = re.search(r"memory per GPU writing (.+) on 1, reading (.+) on 4 per worker", printed)
    assert memory


def test_own_texts_are_counted_and_not_written(reading_run):
    made = reading_run()
    forecast = work_out(made.run(), Rates(), measured=False)
    assert (forecast.plan.stories, forecast.plan.dialogues) == (18, 6)
    assert forecast.plan.tokens_written == 0
    assert forecast.seen is not None
    assert forecast.seen.kept_per_text == 1


@pytest.fixture
def reference_run(small_run, tmp_path):
    """A run on the corpus of the project, by a tiny model that reads as far."""
    model = tiny_models.tiny_model("llama")
    model.config.max_position_embeddings = 2048
    model.save_pretrained(tmp_path / "subject")
    tiny_models.tiny_tokenizer().save_pretrained(tmp_path / "subject")
    return small_run(
        model={"name": str(tmp_path / "subject")},
        corpus={
            **{"stories": "reference", "neutral": "reference"},
            **{"frames_subset": 4, "neutral_subset": 40},
        },
        generation={"emotions_subset": 12, "topics_subset": 4},
        activation={"token_offset": 50, "shard_size": 30},
    )


@pytest.fixture
def passed(monkeypatch):
    """Tokens of every pass through the model, without padding."""
    tokens = []
    run = HuggingFaceBackend.run

    def counted(self, ids, mask, *rest):
        tokens.append(int(mask[:, -ids.shape[1] :].sum()))
        return run(self, ids, mask, *rest)

    monkeypatch.setattr(HuggingFaceBackend, "run", counted)
    return tokens


@pytest.mark.slow
def test_a_plan_of_the_projects_corpus_counts_what_a_run_of_it_reads(reference_run, passed, capsys):
    planned = work_out(reference_run.run(), Rates(), measured=False).numbers()
    assert not passed
    assert not reference_run.folder.exists()
    reference_run.stages(*STAGES)
    assert planned["tokens_read"] == pytest.approx(sum(passed), rel=1e-9)
    run = reference_run.run()
    model = Models(run.config).subject()
    whole = sum(len(model.encode(it.passage.whole)) for it in all_texts(run))
    assert sum(passed) < 0.9 * whole
    kinds = {"stories": "stories", "said": "said", "dialogues": "neutral", "matched": "matched"}
    counts = run.record("extract-activations").counts
    read = {name: counts[kind]["n_texts"] + counts[kind]["dropped"] for name, kind in kinds.items()}
    assert {name: planned[name] for name in read} == read
    folders = ("stories", "said", "neutral", "matched")
    sizes = {
        "text_bytes": sum(bytes_below(reference_run.folder / name) for name in folders),
        "activation_bytes": bytes_below(reference_run.folder / "activations"),
        "vector_bytes": bytes_below(reference_run.folder / "vectors"),
    }
    for name, size in sizes.items():
        assert planned[name] == pytest.approx(size, rel=0.2), name
    assert main(["plan", reference_run.config]) == 0
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "48 stories, 48 that say an emotion, 40 neutral, 48 neutral in the" in printed


def all_texts(run):
    return read_corpus(run.root, run.texts.all_cells)


@pytest.mark.slow
def test_a_rate_that_is_measured_is_one_of_tokens_that_go_through_the_model(
    reference_run, passed, monkeypatch
):
    before = []

    def clock():  # a second passes whenever somebody looks
        before.append(len(passed))
        return float(len(before))

    monkeypatch.setattr("probes.commands.plan.time.perf_counter", clock)
    rates = work_out(reference_run.run(), Rates(), measured=True).rates
    assert rates.reading == sum(passed[before[0] :]) > 0
    assert rates.writing is None


@pytest.mark.parametrize("rate", ["0", "fast", "True"])
def test_a_rate_without_meaning_is_refused(small_run, rate, capsys):
    assert main(["plan", small_run().config, f"--tokens_per_second={rate}"]) == 2
    assert "tokens_per_second" in capsys.readouterr().err


def test_a_config_is_needed():
    assert main(["plan"]) == 2
