"""What was typed becomes words, checked flags and settings."""

import pytest

from hooks.errors import InvalidInput
from probes.commands import Pipeline, Score, Status
from probes.commands.call import mistyped, read_call, run_of
from probes.commands.terminal import Terminal


def call_of(*words):
    return read_call(words, Terminal())


def test_words_before_and_after_flags_name_command_config_and_stages():
    call = call_of("--quiet", "validate", "demo", "--only", "intensity", "--seed=3")
    assert isinstance(call.flags, Pipeline)
    assert call.words == ["validate", "demo"]
    assert call.flags.only == ("intensity",)
    assert call.flags.quiet
    assert call.settings == {"seed": "3"}


def test_a_command_takes_its_own_flags_and_leaves_the_settings():
    call = call_of("status", "demo", "--config", "x", "--model.name=gpt2")
    assert isinstance(call.flags, Status)
    assert (call.words, call.flags.config) == (["demo"], "x")
    assert call.settings == {"model.name": "gpt2"}


@pytest.mark.parametrize("typed", ["--dry-run", "--dry_run", "--dry-run=true"])
def test_the_word_after_a_switch_is_not_its_value(typed):
    call = call_of("demo", typed, "generate-stories")
    assert call.flags.dry_run
    assert call.words == ["demo", "generate-stories"]


@pytest.mark.parametrize("text", ["1, 2", "None", "[3]", "12e4567", "-1", 'it\'s "so"', ""])
@pytest.mark.parametrize("form", ["one word", "two words"])
def test_a_users_text_is_taken_letter_by_letter(text, form):
    words = [f"--text={text}"] if form == "one word" else ["--text", text]
    call = call_of("score", "demo", *words)
    assert isinstance(call.flags, Score)
    assert call.flags.text == text


def test_a_text_may_look_like_a_flag_where_it_cannot_be_one():
    assert call_of("score", "demo", "--text=--json").flags.text == "--json"
    for words in (["--text", "--json"], ["--text"]):
        with pytest.raises(InvalidInput, match="--text: expected a value.*--text=--VALUE"):
            call_of("score", "demo", *words)


@pytest.mark.parametrize("words", [["--seed=1", "--seed=2"], ["--dry-run", "--dry_run"]])
def test_a_flag_given_twice_is_refused(words):
    with pytest.raises(InvalidInput, match="is given twice: '(1|true)', then '(2|true)'"):
        call_of("demo", *words)


def test_words_that_are_not_utf_8_are_refused():
    for words in (["demo", "--prompt", "caf\udce9"], ["caf\udce9"], ["--prompt=caf\udce9"]):
        with pytest.raises(InvalidInput, match=r"expected words in UTF-8, got '.*\\udce9'"):
            call_of(*words)


@pytest.mark.parametrize(
    ("word", "meant"), [("statsu", "status"), ("anlyze", "analyze"), ("my.yaml", None)]
)
def test_a_mistyped_command_gets_a_hint(word, meant):
    assert mistyped(word) == (f" Did you mean '{meant}'?" if meant else "")


def test_a_word_that_spells_like_a_switch_is_a_word():
    assert call_of("demo", "quiet").words == ["demo", "quiet"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "--quite"], "unknown flag --quite; did you mean --quiet?"),
        (["status", "demo", "--unheard_of=1"], "unknown flag --unheard_of; expected one of: conf"),
        (["compare", "a", "b", "--seed=one"], "--seed: expected a whole number, got 'one'."),
    ],
)
def test_what_is_no_flag_and_no_setting_is_refused(words, message):
    with pytest.raises(InvalidInput) as refused:
        call_of(*words)
    assert message in str(refused.value)


def test_what_is_like_a_setting_is_left_to_the_config():
    call = call_of("status", "demo", "--sede=1")
    assert call.settings == {"sede": "1"}
    with pytest.raises(InvalidInput, match="did you mean 'seed'"):
        call.run()


@pytest.mark.parametrize("words", [[], ["demo", "more"]])
def test_a_command_on_a_run_wants_one_config(words):
    with pytest.raises(InvalidInput, match="expected (a|one) config"):
        call_of("status", *words).run()


def test_settings_say_null_and_names_with_spaces_and_are_spelled_again_for_a_shell():
    settings = {"generation.emotions_subset": "at ease,sad", "writer.name": "null"}
    run = run_of("demo", settings)
    assert run.config.generation.emotions_subset == ["at ease", "sad"]
    assert run.config.writer.name is None
    assert run.source == "demo '--generation.emotions_subset=at ease,sad' --writer.name=null"
