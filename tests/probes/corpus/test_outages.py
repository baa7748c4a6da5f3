"""What cannot be reached is said at once, then every minute, and when it is over."""

import time

import pytest

from probes.corpus.outages import Outages

NAMES = ["http://a/v1", "http://b/v1"]


@pytest.fixture
def clock(monkeypatch):
    """``clock[0]`` is what time it is, in seconds."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def outages(said) -> Outages:
    return Outages(NAMES, said.append)


def test_the_first_failure_is_said_and_others_of_that_minute_are_not(outages, said, clock):
    for _ in range(40):
        outages.gone(0, "connection failed (refused).", 1800.0)
        clock[0] += 1
    assert len(said) == 1
    assert "http://a/v1 cannot be reached since" in said[0]
    assert "connection failed (refused)." in said[0]


def test_it_is_said_again_every_minute_with_when_it_began(outages, said, clock):
    for _ in range(180):
        outages.gone(0, "gone.", 1800.0)
        clock[0] += 1
    assert len(said) == 3
    assert len({line.split(" gone.")[0] for line in said}) == 1  # since when
    assert len({line.split(" gone.")[1] for line in said}) == 3  # until when


def test_until_when_it_is_asked_again_is_said(outages, said, clock):
    outages.gone(1, "gone.", 90.0)
    assert f"until {time.strftime('%H:%M:%S', time.localtime(clock[0] + 90))}" in said[0]


def test_servers_are_told_apart(outages, said, clock):
    for number in (0, 1):
        outages.gone(number, "gone.", 1800.0)
    clock[0] += 33
    outages.back(1)
    assert [line.split(" ")[0] for line in said] == [NAMES[0], NAMES[1], NAMES[1]]
    assert said[-1] == "http://b/v1 answers again, after 33 s."


def test_one_that_was_there_is_not_said_to_be_back(outages, said):
    outages.back(0)
    assert said == []


def test_one_that_is_gone_once_more_is_said_anew(outages, said, clock):
    outages.gone(0, "gone.", 1800.0)
    outages.back(0)
    clock[0] += 1
    outages.gone(0, "gone.", 1800.0)
    assert len(said) == 3
