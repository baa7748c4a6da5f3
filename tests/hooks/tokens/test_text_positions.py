"""Tokens picked by what the text says: a speaker's turns, a piece of the prompt."""

import contextlib

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput, Speaker, TextSpan
from hooks.tokens.text_positions import last_token_in, spelled, tokens_in, turn_end, turn_marks

CHAT = [
    {"role": "system", "content": "The old man sat."},
    {"role": "user", "content": "She ran down the hill."},
    {"role": "assistant", "content": "Nobody came."},
    {"role": "user", "content": "They waited at the station."},
]
DIALOGUE = "Person: Where is the letter?\n\nAssistant: By the window.\n\nPerson: Thank you."


@pytest.fixture(scope="module")
def chat():
    tokenizer = tiny_tokenizer(chat=True)
    return hooks.load(
        tiny_model("llama", d_vocab=len(tokenizer)), tokenizer=tokenizer, backend="huggingface"
    )


@pytest.fixture(scope="module")
def base():
    return hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend="huggingface")


def _words(model, rule, ids):
    picked = tokens_in(rule, model.tokenizer, ids)
    content = [i for i, yes in zip(ids, picked, strict=True) if yes and i not in model.special_ids]
    return spelled(model.tokenizer, content)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("system", "The old man sat."),
        ("user", "She ran down the hill.They waited at the station."),
        ("assistant", "Nobody came."),
    ],
)
def test_each_speaker_of_a_chat_has_the_words_of_its_own_turns(chat, name, said):
    # The template ends the prompt with an assistant's turn that is still empty.
    assert _words(chat, Speaker(name), chat.encode_prompt(CHAT)) == said


@pytest.mark.parametrize(
    ("template", "header", "footer"),
    [
        # Roles under other names, no system message.
        (
            "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}"
            "{{ raise_exception('no system') }}{% endif %}<turn>"
            "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}</turn>\n"
            "{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}",
            "<turn>model\n",
            "</turn>",
        ),
        # A line about thinking before the last answer, which a prompt does not have yet.
        (
            "{% for m in messages %}<|{{ m.role }}|>\n{% if m.role == 'assistant' and loop.last %}"
            "<think>\n</think>\n{% endif %}{{ m.content }}<|over|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
            "<|assistant|>\n",
            "<|over|>",
        ),
    ],
)
def test_turns_are_found_by_the_marks_of_the_models_own_template(template, header, footer):
    tokenizer = tiny_tokenizer(chat=True)
    tokenizer.chat_template = template
    assert turn_marks(tokenizer)["assistant"] == (header, footer)
    messages = CHAT[1:]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    said = [text[a:b] for a, b in Speaker("user").stretches(text, tokenizer)]
    assert said == ["She ran down the hill.", "They waited at the station."]


def test_a_base_models_dialogue_has_its_speakers_at_the_start_of_lines(base):
    ids = base.encode(DIALOGUE)
    assert _words(base, Speaker("Assistant"), ids).strip() == "By the window."
    said = _words(base, Speaker("Person"), ids)
    assert said.split("\n\n") == ["Where is the letter?", "Thank you."]
    # A name inside a line begins no turn.
    inside = base.encode("Person: I told the Assistant: go.")
    assert not any(tokens_in(Speaker("Assistant"), base.tokenizer, inside))


@pytest.mark.parametrize("words", ["é", "雨 と 窓", "🙂🙂"])
def test_every_token_of_a_character_that_takes_several_belongs_to_it(base, words):
    ids = base.encode(f"Person: No.\nAssistant: {words}\nPerson: No.")
    bytes_of_words = len(words.encode())
    assert sum(tokens_in(TextSpan(words), base.tokenizer, ids)) == bytes_of_words
    assert _words(base, Speaker("Assistant"), ids).strip() == words
    before = base.encode("Person: No.\nAssistant:")
    written = base.tokenizer(words, add_special_tokens=False)["input_ids"]
    picked = [
        last_token_in(Speaker("Assistant"), base.tokenizer, before + written[:n])
        for n in range(1, len(written) + 1)
    ]
    assert all(picked)


def test_a_text_span_is_every_occurrence_of_its_words(base):
    ids = base.encode("The hill, the rain, the hill.")
    assert _words(base, TextSpan("hill"), ids).split() == ["hill", "hill"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_only_the_speakers_tokens_are_moved_also_in_a_padded_batch(base, side):
    vector = torch.ones(base.d_model)
    texts = [DIALOGUE, "Person: Rain.\nAssistant: Yes, rain."]
    said = [
        sum(tokens_in(Speaker("Assistant"), base.tokenizer, base.encode(text))) for text in texts
    ]
    with hooks.steer(
        base, vector, layers=[1], strength=3.0, positions=Speaker("Assistant")
    ) as record:
        hooks.pooled_resid_post(base, texts, padding_side=side)
    assert record.n_tokens[1] == sum(said) > 0


def test_an_answer_is_steered_as_it_is_written_and_the_question_is_not(chat):
    vector = torch.ones(chat.d_model)
    with hooks.steer(
        chat, vector, layers=[1], strength=1e-6, positions=Speaker("assistant")
    ) as record:
        written = chat.generate(["She ran.", "Nobody came to the hill."], max_new_tokens=7)
    fed = [text.tokens if text.finished else text.tokens[:-1] for text in written]
    end = chat.tokenizer.convert_tokens_to_ids("<|end|>")
    expected = 0
    for tokens in fed:
        # After its end mark (a special token) a turn is over; no special token is anyone's word.
        turn = tokens[: tokens.index(end)] if end in tokens else tokens
        expected += len([i for i in turn if i not in chat.special_ids])
    assert record.n_tokens[1] == expected > 0


def test_the_next_speaker_of_a_base_model_is_not_steered(base):
    """What is written is forced, token by token, so that the speaker changes in the middle."""
    wanted = base.encode("Person: Rain.\nAssistant: Yes.\nPerson: No.\nAssistant: Well.")
    start = len(base.encode("Person: Rain.\nAssistant:"))
    everything = set(range(base.d_vocab))
    vector = torch.ones(base.d_model)
    assistant = Speaker("Assistant")
    ids = wanted[:start]
    for token in wanted[start:]:
        # Each call reads its prompt anew: only what its one drawn token adds is of interest.
        prompt = sum(tokens_in(assistant, base.tokenizer, ids))
        inside = tokens_in(assistant, base.tokenizer, [*ids, token])[-1]
        silent = not prompt and not inside
        with (
            pytest.raises(InvalidInput, match="matched no token")
            if silent
            else contextlib.nullcontext(),
            hooks.steer(base, vector, layers=[1], strength=1e-6, positions=assistant) as record,
        ):
            base.generate([ids], max_new_tokens=2, suppress=[everything - {token}], seed=0)
        ids = [*ids, token]
        assert record.n_tokens[1] - prompt == int(inside), spelled(base.tokenizer, ids)


def test_the_last_prompt_token_is_the_last_one_even_when_it_is_special(chat):
    tokenizer = chat.tokenizer
    vector = torch.ones(chat.d_model)
    ids = [*chat.encode("She ran."), tokenizer.convert_tokens_to_ids("<|end|>")]
    with hooks.steer(chat, vector, layers=[1], strength=2.0, positions="last") as record:
        chat.generate([ids, ids[:3]], max_new_tokens=3)
        assert record.n_tokens[1] == 2


def test_what_no_text_says_is_refused(chat, base):
    vector = torch.ones(base.d_model)

    def read(model, text, rule):
        with hooks.steer(model, vector, layers=[1], strength=1.0, positions=rule):
            hooks.resid_post(model, text)

    with pytest.raises(InvalidInput, match="no content token of text 0"):
        read(base, DIALOGUE, TextSpan("no such words"))
    with pytest.raises(InvalidInput, match="no content token of text 0"):
        read(base, "Nobody speaks here.", Speaker("Person"))
    with pytest.raises(InvalidInput, match="lines of Person, Assistant"):
        read(base, DIALOGUE, Speaker("user"))
    with pytest.raises(InvalidInput, match="chat template marks"):
        read(chat, "She ran.", Speaker("Person"))
    with pytest.raises(InvalidInput, match="empty text"):
        TextSpan("")


class TestEndOfATurn:
    def ending(self, footer: str) -> str | None:
        tokenizer = tiny_tokenizer(chat=True)
        tokenizer.chat_template = (
            f"{{% for m in messages %}}<|start|>{{{{ m.role }}}}\n{{{{ m.content }}}}{footer}"
            "{% endfor %}"
        )
        end = turn_end(tokenizer)
        return None if end is None else tokenizer.convert_ids_to_tokens(end)

    def test_it_is_the_token_that_follows_an_answer(self):
        assert self.ending("<|end|>\n") == "<|end|>"
        assert self.ending("\n<|end|></s>") == "<|end|>"
        assert self.ending("</s>") == "</s>"
        # As gpt-oss: the last turn of all ends otherwise than those before it.
        assert self.ending("{{ '</s>' if loop.last else '<|end|>' }}") == "</s>"

    @pytest.mark.parametrize("footer", ["", "\n\n", "\nUser:", "{{ raise_exception('never') }}"])
    def test_there_is_none_where_no_token_of_its_own_follows(self, footer):
        assert self.ending(footer) is None

    def test_a_base_model_has_none(self):
        assert turn_end(tiny_tokenizer()) is None
