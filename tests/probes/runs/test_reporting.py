"""What a long step tells its caller."""

import pytest

from probes.runs.reporting import Reporter, Silent, duration


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [(5.0, "5 s"), (300.0, "5.0 min"), (7200.0, "2.0 h"), (400_000.0, "4.6 days")],
)
def test_a_time_is_spelled_as_a_person_would(seconds, spelled):
    assert duration(seconds) == spelled


def test_a_silent_reporter_takes_everything_and_says_nothing(capsys):
    reporter = Silent()
    assert isinstance(reporter, Reporter)
    reporter.note("begun")
    with reporter.task("reading", 2, "texts") as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")
