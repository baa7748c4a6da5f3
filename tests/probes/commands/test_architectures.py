"""What becomes of an architecture: it works, is refused in words, or is no language model alone."""

import os

import pytest

from probes.commands import architectures
from probes.commands.architectures import ArchitectureVerdict, judge, share, survey


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("llama", "works", ""),
        ("recurrent_gemma", "works", ""),
        ("minimax", "works", "writes without a cache: ValueError: MiniMax uses cache of its own"),
        ("mllama", "refused", "block 3 ran 0 times"),
        ("inkling2_text", "refused", "does not decide its logits"),
        ("cpmant", "not by itself", "it looks ahead"),
        ("musicgen", "not built", "no tiny musicgen can be built"),
    ],
)
def test_each_architecture_has_a_verdict_in_words(kind, outcome, words):
    verdict = judge(kind)
    assert (verdict.kind, verdict.outcome) == (kind, outcome)
    assert words in verdict.words


def test_the_share_is_of_those_that_run():
    outcomes = ["works", "works", "works", "refused", "not built", "not by itself"]
    verdicts = [ArchitectureVerdict("x", outcome, "") for outcome in outcomes]
    assert share(verdicts) == 0.75
    assert share([*verdicts, ArchitectureVerdict("x", "fails", "")]) == 0.6
    assert share([]) == 0.0


@pytest.mark.slow
class TestProcesses:
    def test_one_that_takes_too_long_fails_and_the_next_is_judged(self):
        slow, fast = survey(["llama", "gpt2"], 1e-6), survey(["gpt2"], 300.0)
        first = next(slow)
        slow.close()
        assert (first.outcome, first.words) == ("fails", "took longer than 1e-06 s")
        assert [verdict.outcome for verdict in fast] == ["works"]

    def test_one_that_takes_the_process_down_fails_alone(self):
        """A process of which the system takes everything, as it does when memory runs out."""
        worker = architectures._Worker()
        worker._start()
        os.kill(worker._process.pid, 9)
        worker._process.join()
        lost = worker.judge("llama", 300.0)
        assert (lost.outcome, lost.words) == ("fails", "took its process down")
        assert worker.judge("gpt2", 300.0).outcome == "works"
        worker.end()
