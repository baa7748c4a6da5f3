"""A finding is said once: line, detail and limit come from the same number."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from probes.analysis.findings import Control, Estimate, Finding, strongest
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import resample

SHARE = Estimate(0.107, 0.089, 0.125)


@pytest.mark.parametrize(
    ("estimate", "spec", "text"),
    [
        (SHARE, ".0%", "11% [9%, 12%]"),
        (Estimate(0.3, 0.13, 0.53), "+.2f", "+0.30 [+0.13, +0.53]"),
        (Estimate(0.3), "+.2f", "+0.30"),
        (SHARE, "", "0.11 [0.09, 0.12]"),
    ],
)
def test_an_estimate_is_written_with_its_interval(estimate, spec, text):
    assert format(estimate, spec) == text


def test_the_strongest_control_comes_nearest_to_the_finding():
    weak = Control("random", excess=Estimate(2.0, 1.5, 2.5))
    strong = Control("valence axis", excess=Estimate(0.7, 0.4, 1.0))
    assert strongest([weak, strong]) is strong
    low, high = Control("chance", Estimate(0.04)), Control("words", Estimate(0.1))
    assert strongest([low, high]) is high
    assert strongest([]) is None


def test_line_detail_and_limit_name_the_same_number_control_and_p():
    finding = Finding(
        "held-out accuracy",
        SHARE,
        "not shown",
        spec=".0%",
        n="24 emotions",
        control=Control("shuffled labels", Estimate(0.04)),
        p=1 / 101,
        n_null=100,
    )
    assert finding.line == (
        "not shown: 11% [9%, 12%] (24 emotions; strongest control: shuffled labels 4%; "
        "p <= 0.0099 (the floor of 100 permutations))"
    )
    for said in (finding.detail, finding.limit):
        assert "shuffled labels 4%" in said
        assert "p <= 0.0099" in said
    assert finding.number == "11%"


@pytest.mark.parametrize(
    ("verdict", "limited"),
    [("shown", False), ("described", False), ("not shown", True), ("shown in part", True)],
)
def test_what_is_not_shown_in_full_is_a_limit(verdict, limited):
    assert (Finding("x", SHARE, verdict).limit is not None) == limited


def test_a_number_alone_claims_no_verdict():
    assert (
        Finding("reliability", Estimate(0.39, 0.3, 0.46), "described").line == "0.39 [0.30, 0.46]"
    )


def test_no_interval_has_no_ends():
    assert not Estimate(3.0).above_zero
    with pytest.raises(ValueError, match="no interval"):
        _ = Estimate(3.0).ends


def test_findings_are_read_without_torch_and_scipy():
    code = "import sys, probes.analysis.findings; print({'torch', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def claim(verdict, *margins):
    return Finding("a claim", margins[0], verdict, margins=margins)


@pytest.mark.parametrize("effect", [0.2, 0.55, 0.75, 1.0, 1.6])
def test_flips_are_how_often_other_draws_change_the_verdict(effect):
    """Of 12 topics; resampling them gives what `flips` says, on average over samples."""
    generator = torch.Generator().manual_seed(0)
    said, seen = [], []
    for seed in range(60):
        topics = effect + torch.randn(12, generator=generator, dtype=torch.float64)
        estimate = mean_over(topics)
        finding = claim("shown" if estimate.above_zero else "not shown", estimate)
        again = [mean_over(topics[draw]) for draw in resample(12, 60, seed)]
        seen.append(sum(each.above_zero != estimate.above_zero for each in again) / len(again))
        said.append(finding.flips)
    assert sum(said) / len(said) == pytest.approx(sum(seen) / len(seen), abs=0.07)


def test_a_verdict_that_draws_would_change_is_called_borderline():
    sure, near = Estimate(1.0, 0.6, 1.4), Estimate(1.0, 0.1, 1.9)
    below, far = Estimate(1.0, -0.1, 2.1), Estimate(0.1, -1.0, 1.2)
    assert claim("shown", sure).judged == "shown"
    assert claim("shown", near).judged == "shown, borderline"
    assert claim("shown", sure, near).flips > claim("shown", near).flips
    assert claim("not shown", below).judged == "not shown, borderline"
    assert claim("not shown", far).judged == "not shown"
    assert "another verdict in 41% of draws" in claim("shown", near).line
    assert claim("shown", near).limit.startswith("a claim: shown, borderline")
    assert claim("shown", Estimate(0.4)).judged == "shown"


def test_less_a_bound_moves_all_of_an_estimate():
    assert Estimate(0.5, 0.25, 0.75).less(0.25) == Estimate(0.25, 0.0, 0.5)
    assert Estimate(0.5).less(0.25) == Estimate(0.25)


def test_a_claim_in_short_has_verdict_number_and_what_the_control_reached():
    control = Control("word counts", Estimate(0.01, 0.0, 0.02), Estimate(0.02, 0.01, 0.03))
    claim = Finding("x", Estimate(0.033, 0.02, 0.046), "shown", spec=".1%", control=control)
    assert claim.short == "shown: 3.3% [2.0%, 4.6%]; word counts 1.0%"
    against = replace(control, reached=None)
    assert replace(claim, control=against).short.endswith("; +2.0% over word counts")
    assert replace(claim, control=None, verdict="described").short == "3.3% [2.0%, 4.6%]"
    assert Finding("x", None, "not measured", note="too few").short == "not measured: too few"
