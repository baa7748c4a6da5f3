"""``emotion-probes plan``: what it says of a run is what the finished run holds."""

import pytest

from probes.commands.plan import work_out
from probes.planning import Rates
from probes.run import main
from probes.storage import read_json

STAGES = ("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")


@pytest.fixture
def written(small_run, tiny_writer):
    """A run whose texts a model wrote."""
    made = small_run(
        writer={"name": str(tiny_writer)},
        generation={"topics_subset": 4, "stories_per_topic": 5, "max_attempts": 2},
        activation={"token_offset": 0},
    )
    made.stages(*STAGES)
    return made


def bytes_below(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_plan_agrees_with_the_finished_run(written):
    planned, seen, _ = work_out(written.run(), Rates(), measure=False)
    records = {name: read_json(written.folder / "stages" / f"{name}.json") for name in STAGES}
    counts = records["generate-stories"]["counts"]
    assert planned.stories == counts["requested"]
    assert seen is not None
    drafts = (counts["accepted"] + counts["rejected"]) / counts["requested"]
    assert seen.drafts_per_text == pytest.approx(drafts)
    read = records["extract-activations"]["counts"]
    n_tokens = read["stories"]["n_tokens"] + read["neutral"]["n_tokens"]
    assert planned.tokens_read == pytest.approx(n_tokens, rel=0.2)
    activations = bytes_below(written.folder / "activations")
    assert planned.activation_bytes == pytest.approx(activations, rel=0.2)
    texts = bytes_below(written.folder / "stories") + bytes_below(written.folder / "neutral")
    assert planned.text_bytes == pytest.approx(texts, rel=0.2)


def test_before_anything_is_written_lengths_are_the_limits(small_run, tiny_writer, capsys):
    made = small_run(writer={"name": str(tiny_writer)})
    assert main(["plan", made.config, "--tokens_per_second=10"]) == 0
    printed = capsys.readouterr().out
    assert "18 stories, 6 neutral" in printed
    assert f"{24 * 12:,}" in printed
    assert "full-length texts" in printed
    assert "an interrupted unit" in printed
    assert not made.folder.exists()


def test_rates_can_be_measured_on_a_short_sample(small_run, tiny_writer):
    made = small_run(writer={"name": str(tiny_writer)})
    planned, _, rates = work_out(made.run(), Rates(), measure=True)
    assert rates.writing is not None
    assert rates.reading is not None
    assert rates.writing > 0 < rates.reading
    assert planned.writing_hours == pytest.approx(24 * 12 / rates.writing / 3600)


def test_own_texts_are_counted_and_not_written(reading_run):
    made = reading_run()
    planned, seen, _ = work_out(made.run(), Rates(), measure=False)
    assert (planned.stories, planned.dialogues) == (18, 6)
    assert planned.tokens_written == 0
    assert seen is not None
    assert seen.drafts_per_text == 1


@pytest.mark.parametrize("rate", ["0", "fast", "True"])
def test_a_rate_without_meaning_is_refused(small_run, rate, capsys):
    assert main(["plan", small_run().config, f"--tokens_per_second={rate}"]) == 2
    assert "tokens_per_second" in capsys.readouterr().err


def test_a_config_is_needed():
    assert main(["plan"]) == 2
