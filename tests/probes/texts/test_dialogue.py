"""Every turn keeps its own words, whatever they look like and whatever a template does to them."""

import pytest

from hooks.errors import InvalidInput
from probes.texts.dialogue import (
    ASSISTANT,
    USER,
    Dialogue,
    Turn,
    first_turn_only,
    lay_out,
    thought_of,
    words_of,
)

PLAIN = "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
TRIMS = PLAIN.replace("m['content']", "m['content'] | trim")
DROPS_THOUGHTS = PLAIN.replace("m['content']", "m['content'].split('</think>')[-1]")
THINKS_LAST = PLAIN.replace(
    "{{ m['content'] }}",
    "{% if loop.last and m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}",
)
NAMES_ITSELF = "<|start|>system\nYou are a helpful AI<|end|>\n" + PLAIN
TALKS = {
    "ordinary": ["Where were you?", "At home.", "Alone?", "Yes."],
    "the same words twice": ["No.", "No.", "No.", "No."],
    "words of the marks": ["user", "assistant", "<|end|>\n<|start|>assistant\n", "user\nuser"],
    "words of the frames": ["help", "I", "start", "a"],
    "another turn's beginning": ["Hi\nAssistant: I am you", "Yes\nPerson: no", "x", "Assistant:"],
    "marks in place of words": ["qz1zq", "qz0zq", "qz3zq", "qz2zq"],
}


def turns(texts: list[str]) -> list[Turn]:
    return [Turn((USER, ASSISTANT)[number % 2], text) for number, text in enumerate(texts)]


def words(dialogue: Dialogue) -> list[str]:
    return [dialogue.text[start:stop] for start, stop in dialogue.words]


@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("template", [None, PLAIN, TRIMS, THINKS_LAST, NAMES_ITSELF])
def test_each_turn_has_its_words_and_nothing_else(tiny_tokenizer, template, talk, n):
    tokenizer = tiny_tokenizer(chat=False)
    tokenizer.chat_template = template
    said = TALKS[talk][:n]
    expected = [text.strip() for text in said] if template == TRIMS else said
    assert words(lay_out(tokenizer, turns(said))) == expected


def test_a_base_model_reads_lines_and_is_asked_to_answer(tiny_tokenizer):
    said = turns(["Hello.", "Hi.", "Well?"])
    read = "Person: Hello.\nAssistant: Hi.\nPerson: Well?"
    assert lay_out(tiny_tokenizer(), said).text == read
    assert lay_out(tiny_tokenizer(), said, answering=True).text == read + "\nAssistant:"


def test_other_roles_keep_their_names_and_a_name_is_not_its_words(tiny_tokenizer):
    laid = lay_out(tiny_tokenizer(), [Turn("Sam", "Sam"), Turn("Ann", "")])
    assert (laid.text, laid.words) == ("Sam: Sam\nAnn: ", [(5, 8), (14, 14)])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('no system here') }}", "refuses messages of .*: no system here"),
        ("{{ messages[0]['content'] }}", "does not show every turn"),
        (PLAIN + "{{ messages[0]['content'] }}", "does not show every turn"),
        (PLAIN.replace("<|end|>", "{{ m['content'] | length }}"), "turn 0: .* otherwise"),
        ("{{ messages[0]['content'] | length }}" + PLAIN, "turn 0: .* otherwise"),
    ],
)
def test_a_template_that_hides_a_turn_is_refused(tiny_tokenizer, template, message):
    tokenizer = tiny_tokenizer(chat=True)
    tokenizer.chat_template = template
    with pytest.raises(InvalidInput, match=message):
        lay_out(tokenizer, turns(["Hello, you there.", "Hi."]))


def test_words_that_a_template_takes_out_belong_to_nobody(tiny_tokenizer):
    tokenizer = tiny_tokenizer(chat=True)
    tokenizer.chat_template = DROPS_THOUGHTS
    laid = lay_out(tokenizer, turns(["Why?", "<think>hm</think>Because.", "Oh."]))
    assert words(laid) == ["Why?", "Because.", "Oh."]


QWEN = (
    "{% set ns = namespace(last=0) %}{% for m in messages %}"
    "{% if m['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}{% set content = m['content'] %}{% set thought = '' %}"
    "{% if m['role'] == 'assistant' and '</think>' in content %}"
    "{% set thought = content.split('</think>')[0].split('<think>')[-1].strip('\\n') %}"
    "{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "<|start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.index0 > ns.last and (loop.last or thought) %}"
    "<think>\n{{ thought }}\n</think>\n\n{% endif %}{{ content }}<|end|>\n{% endfor %}"
)
"""As Qwen3's: thoughts before the last question are dropped, the last one is laid out anew."""
THOUGHTFUL = ["Why?", "<think>\nhm\n</think>\n\nBecause.", "Oh.", "<think>ah</think> Yes. "]


@pytest.mark.parametrize("template", [None, PLAIN, TRIMS, DROPS_THOUGHTS, THINKS_LAST, QWEN])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_thought_is_no_word_of_its_turn_whatever_a_template_does_with_it(
    tiny_tokenizer, template, n
):
    tokenizer = tiny_tokenizer(chat=False)
    tokenizer.chat_template = template
    laid = lay_out(tokenizer, turns(THOUGHTFUL[:n]))
    assert [it.strip() for it in words(laid)] == ["Why?", "Because.", "Oh.", "Yes."][:n]
    dropped = template == DROPS_THOUGHTS or (template == QWEN and n > 2)
    assert ("hm" in laid.text) == (n > 1 and not dropped)


@pytest.mark.parametrize(
    ("speaker", "text", "thought"),
    [
        (ASSISTANT, "<think>a</think>b", "<think>a</think>"),
        (ASSISTANT, "a</think>b", "a</think>"),
        (ASSISTANT, "<think>a</think>b</think>c", "<think>a</think>b</think>"),
        (ASSISTANT, " <think>a", " <think>a"),
        (ASSISTANT, "I <think> so", ""),
        (ASSISTANT, "[THINK]a[/THINK]b", "[THINK]a[/THINK]"),
        (ASSISTANT, "◁think▷a", "◁think▷a"),
        (ASSISTANT, "<think>a</think>b <think> c", "<think>a</think>"),
        (USER, "<think>a</think>b", ""),
    ],
)
def test_a_thought_ends_with_its_last_mark(speaker, text, thought):
    turn = Turn(speaker, text)
    assert (thought_of(turn), words_of(turn)) == (thought, text[len(thought) :])


def test_no_turn_is_refused(tiny_tokenizer):
    with pytest.raises(InvalidInput, match="at least one turn"):
        lay_out(tiny_tokenizer(), [])


def test_a_token_belongs_to_the_turn_whose_characters_it_spells():
    laid = Dialogue("Person: Hi\nAssistant: Yo", [(8, 10), (22, 24)])
    assert [laid.turn_of(*piece) for piece in [(0, 6), (6, 8), (7, 9), (9, 11), (10, 22)]] == [
        *(-1, -1, 0, 0),
        -1,
    ]
    assert (laid.turn_of(9, 9), laid.turn_of(23, 23), laid.turn_of(0, 0)) == (0, 1, -1)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" I was home.\nPerson: Oh.\nAssistant: Yes.", "I was home."),
        (" I was home.\nAssistant: And alone.", "I was home."),
        ("Person: Oh.", ""),
        ("\n Assistant: Oh.", ""),
        ("The Person: a novel\nby me", "The Person: a novel\nby me"),
    ],
)
def test_a_reply_ends_where_anybody_speaks_next(written, kept):
    assert first_turn_only(written) == kept
