"""``emotion-probes doctor``: check that a model works here."""

import importlib.metadata
from dataclasses import asdict

from hooks.doctor import Diagnosis, diagnose
from hooks.errors import InvalidInput
from hooks.models.miniature import architectures
from probes.commands import Doctor
from probes.commands.architectures import RUN, share, survey
from probes.commands.call import Call
from probes.commands.flags import Flags

_MARKS = {True: "ok", False: "FAILED", None: "note"}
_SMALL = "embedded:smollm2-135m-instruct"
_ENOUGH = 0.97
"""Of the architectures that run by themselves, the share that has to work."""


def main(call: Call[Doctor]) -> int:
    """Check one model, or every architecture; 0 when every check passed, else 1."""
    if call.flags.all_architectures:
        return _all_architectures(call)
    if call.flags.vllm:
        return _vllm(call)
    if len(call.words) != 1:
        example = "emotion-probes doctor embedded:gemma-3-270m"
        got = " ".join(call.words) or "none"
        raise InvalidInput(f"doctor: expected one model, e.g. {example}, got {got}.")
    own = {*Flags.model_fields, "all_architectures", "seconds", "vllm", "vllm_python"}
    return _told(call, diagnose(call.words[0], **call.flags.model_dump(exclude=own)))


def _vllm(call: Call[Doctor]) -> int:
    """Compare vLLM with our hooks; 0 when they agree."""
    from hooks.vllm.comparison import compare
    from hooks.vllm.engine import VllmOptions

    flags, words = call.flags, call.words or [_SMALL]
    if len(words) != 1:
        raise InvalidInput(f"doctor --vllm: expected one model or none, got {' '.join(words)}.")
    for name in {"backend", "device", "quantize"} & flags.model_fields_set:
        raise InvalidInput(f"doctor: --{name} has no meaning with --vllm, which has its own.")
    options = VllmOptions(flags.vllm_python, dtype=flags.dtype, revision=flags.revision)
    return _told(call, compare(words[0], options))


def _told(call: Call[Doctor], diagnosis: Diagnosis) -> int:
    rows = [(f"{_MARKS[check.passed]:6} {check.name}", check.detail) for check in diagnosis.checks]
    call.terminal.table(f"doctor: {diagnosis.model}", rows)
    checks = [asdict(check) for check in diagnosis.checks]
    call.terminal.result({"model": diagnosis.model, "ok": diagnosis.ok, "checks": checks})
    return 0 if diagnosis.ok else 1


def _all_architectures(call: Call[Doctor]) -> int:
    """Check those named, else all; 0 when enough of them work."""
    kinds = call.words or architectures()
    if strange := sorted(set(kinds) - set(architectures())):
        raise InvalidInput(
            f"--all-architectures: expected names of transformers' causal architectures, such as "
            f"llama or gemma3_text, got {strange[0]!r}."
        )
    verdicts = []
    with call.terminal.task("examining", len(kinds), "architectures") as advance:
        for verdict in survey(kinds, call.flags.seconds):
            verdicts.append(verdict)
            advance(1)
    rows = [(f"{it.outcome:13} {it.kind}", it.words) for it in verdicts]
    n_run, n_work = (sum(it.outcome in of for it in verdicts) for of in (RUN, ("works",)))
    works = share(verdicts)
    title = f"{n_work} of {n_run} that run as tiny models work ({works:.1%}); {len(kinds)} in all"
    call.terminal.table(title, rows)
    version = importlib.metadata.version("transformers")
    listed = [asdict(it) for it in verdicts]
    call.terminal.result({"transformers": version, "share": works, "architectures": listed})
    return 0 if works >= _ENOUGH else 1
