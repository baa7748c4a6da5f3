"""Flags are read as they were typed, and refused with what was expected and what came."""

from typing import get_args

import pytest

from hooks.errors import InvalidInput
from hooks.steering.directions import Operation
from probes.commands import COMMANDS, App, Compare, Doctor, Export, Pipeline, Plan, Steer
from probes.commands.flags import listed
from probes.export.formats import FORMATS


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("sad,at ease", ["sad", "at ease"]),
        (("sad", " happy "), ["sad", "happy"]),
        (12, ["12"]),
        ("", []),
        (None, []),
    ],
)
def test_names_come_with_commas_between_them_or_as_a_tuple(value, names):
    assert listed(value) == names


def test_values_take_the_type_of_their_flag():
    flags = Steer.read(
        {"layers": "1, 2", "dose": "0.1", "seed": "3", "output": "7", "split": "true", "json": True}
    )
    assert (flags.layers, flags.dose, flags.seed, flags.output) == ((1, 2), (0.1,), 3, "7")
    assert flags.split
    assert flags.as_json
    assert Steer.read({"positions": "text:a,b"}).positions == "text:a,b"


@pytest.mark.parametrize(
    ("command", "given", "message"),
    [
        (Steer, {"seed": 1.5}, "--seed: expected a whole number, got 1.5."),
        (Steer, {"layers": "x"}, "--layers: expected a whole number, got 'x'."),
        (Steer, {"dose": "inf"}, "--dose: expected a number, got 'inf'."),
        (Steer, {"dose": (0.1, -1)}, "--dose: expected a number above 0, got '-1'."),
        (Steer, {"temperature": -1}, "--temperature: expected 0 or more, got -1."),
        (Steer, {"split": "yes"}, "--split: expected no value, true or false, got 'yes'."),
        (Compare, {"emotion": "sad"}, "compare: unknown flag --emotion; did you mean --emotions?"),
        (Doctor, {"x": 1}, "doctor: unknown flag --x; expected one of: backend, dtype, device"),
        (Plan, {"tokens_per_second": 0}, "--tokens_per_second: expected a number above 0, got 0."),
        (App, {"port": 70000}, "--port: expected 65535 or less, got 70000."),
        (
            Export,
            {},
            "--to: expected gguf (llama.cpp, repeng), safetensors, parquet, hub, lm-eval (a",
        ),
        (
            Export,
            {"to": 5},
            "--to: expected gguf, safetensors, parquet, hub, lm-eval, vllm or embedded, got 5.",
        ),
    ],
)
def test_a_wrong_flag_is_named_with_what_was_expected_and_what_came(command, given, message):
    with pytest.raises(InvalidInput) as refused:
        command.read(given)
    assert str(refused.value).startswith(message)


def test_every_wrong_flag_is_named_at_once():
    with pytest.raises(InvalidInput) as refused:
        Steer.read({"seed": -1, "operation": "push"})
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "--operation",
        "--seed",
    ]


def test_help_says_usage_meaning_and_defaults():
    text = Steer.help()
    assert text.startswith("emotion-probes steer CONFIG --emotion=A")
    assert "length of a continuation (40)" in text
    assert "--section.key=value" in text
    assert "--section.key=value" not in Compare.help()


def test_switches_come_from_the_types():
    assert Pipeline.switches() == ["quiet", "json", "put_back", "dry_run", "full"]


def test_choices_are_those_of_the_code_that_carries_them_out():
    assert get_args(Export.model_fields["to"].annotation) == tuple(FORMATS)
    assert set(get_args(Steer.model_fields["operation"].annotation)) == set(get_args(Operation))


@pytest.mark.parametrize("command", [Pipeline, *COMMANDS.values()])
def test_every_flag_has_a_meaning(command):
    assert all(command.meanings().values())
    assert command.summary()
