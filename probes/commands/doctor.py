"""``emotion-probes doctor``: check that a model works here."""

from dataclasses import asdict

from hooks.doctor import diagnose
from hooks.errors import InvalidInput
from probes.commands import Doctor
from probes.commands.call import Call
from probes.commands.flags import Flags

_MARKS = {True: "ok", False: "FAILED", None: "note"}


def main(call: Call[Doctor]) -> int:
    """Check one model; 0 when every check passed, else 1."""
    if len(call.words) != 1:
        example = "emotion-probes doctor embedded:gemma-3-270m"
        got = " ".join(call.words) or "none"
        raise InvalidInput(f"doctor: expected one model, e.g. {example}, got {got}.")
    choices = call.flags.model_dump(exclude=set(Flags.model_fields))
    diagnosis = diagnose(call.words[0], **choices)
    rows = [(f"{_MARKS[check.passed]:6} {check.name}", check.detail) for check in diagnosis.checks]
    call.terminal.table(f"doctor: {call.words[0]}", rows)
    checks = [asdict(check) for check in diagnosis.checks]
    call.terminal.result({"model": call.words[0], "ok": diagnosis.ok, "checks": checks})
    return 0 if diagnosis.ok else 1
