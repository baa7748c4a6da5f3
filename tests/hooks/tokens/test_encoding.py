import numpy as np
import pytest
import torch

from hooks.errors import InvalidInput
from hooks.tokens.encoding import (
    content_places,
    encode_prompt,
    encode_text,
    is_chat,
    pad,
    plain_ids,
    several,
    special_ids,
)

TEXT = "She ran down the hill."
MESSAGES = [{"role": "user", "content": TEXT}, {"role": "assistant", "content": "And then?"}]


class TestBeginningOfSequence:
    @pytest.mark.parametrize("bos", ["template", "tokenizer"])
    @pytest.mark.parametrize("chat", [False, True])
    @pytest.mark.parametrize("encode", [encode_text, encode_prompt])
    def test_there_is_exactly_one_and_it_comes_first(self, tiny_tokenizer, bos, chat, encode):
        tokenizer = tiny_tokenizer(chat=chat, bos=bos)
        ids = encode(tokenizer, TEXT)
        assert ids[0] == tokenizer.bos_token_id
        assert ids.count(tokenizer.bos_token_id) == 1

    @pytest.mark.parametrize("chat", [False, True])
    def test_there_is_none_where_the_tokenizer_has_none(self, tiny_tokenizer, chat):
        tokenizer = tiny_tokenizer(chat=chat, bos="none")
        special = special_ids(tokenizer)
        assert not special & set(encode_text(tokenizer, TEXT))
        start = tokenizer.convert_tokens_to_ids("<|start|>")
        first = encode_prompt(tokenizer, TEXT)[0]
        assert first == start if chat else first not in special

    def test_a_text_that_writes_it_out_does_not_get_a_second(self, tiny_tokenizer):
        tokenizer = tiny_tokenizer()
        assert encode_text(tokenizer, f"<s>{TEXT}") == encode_text(tokenizer, TEXT)

    def test_an_empty_text_is_the_token_alone(self, tiny_tokenizer):
        assert encode_text(tiny_tokenizer(), "") == [1]
        assert encode_text(tiny_tokenizer(bos="none"), "") == []


class TestPrompts:
    def test_a_chat_prompt_ends_where_the_answer_begins(self, tiny_tokenizer):
        tokenizer = tiny_tokenizer(chat=True)
        ids = encode_prompt(tokenizer, TEXT, system="Be brief.")
        assert tokenizer.decode(ids) == (
            f"<s><|start|>system\nBe brief.<|end|>\n<|start|>user\n{TEXT}<|end|>\n"
            "<|start|>assistant\n"
        )

    def test_messages_are_taken_as_they_are(self, tiny_tokenizer):
        text = tiny_tokenizer(chat=True).decode(encode_prompt(tiny_tokenizer(chat=True), MESSAGES))
        assert f"user\n{TEXT}<|end|>\n<|start|>assistant\nAnd then?<|end|>" in text

    def test_arguments_of_the_template_reach_it(self, tiny_tokenizer):
        tokenizer = tiny_tokenizer(chat=True)
        tokenizer.chat_template += "{% if enable_thinking is false %}<think></think>{% endif %}"
        plain = tokenizer.decode(encode_prompt(tokenizer, TEXT))
        off = encode_prompt(tokenizer, TEXT, template={"enable_thinking": False})
        assert tokenizer.decode(off) == plain + "<think></think>"

    def test_what_a_template_refuses_is_told_with_model_and_roles(self, tiny_tokenizer):
        tokenizer = tiny_tokenizer(chat=True)
        tokenizer.name_or_path = "org/strict"
        tokenizer.chat_template = (
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
            + tokenizer.chat_template
        )
        assert encode_prompt(tokenizer, TEXT)
        said = "org/strict refuses messages of system, user: no system"
        with pytest.raises(InvalidInput, match=said):
            encode_prompt(tokenizer, TEXT, system="Be brief.")

    def test_a_base_model_reads_the_prompt_as_plain_text(self, tiny_tokenizer):
        tokenizer = tiny_tokenizer()
        assert not is_chat(tokenizer)
        assert is_chat(tiny_tokenizer(chat=True))
        assert tokenizer.decode(encode_prompt(tokenizer, TEXT)) == f"<s>{TEXT}"

    @pytest.mark.parametrize(
        ("prompt", "system"), [(TEXT, "Be brief."), (MESSAGES, None)], ids=["system", "messages"]
    )
    def test_a_base_model_refuses_what_only_a_template_can_write(
        self, tiny_tokenizer, prompt, system
    ):
        with pytest.raises(InvalidInput, match="no chat template"):
            encode_prompt(tiny_tokenizer(), prompt, system=system)


class TestPadding:
    def test_both_sides_by_hand(self):
        right = pad([[1, 7, 8], [1, 9]], frozenset({0, 1}))
        assert right.ids.tolist() == [[1, 7, 8], [1, 9, 0]]
        assert right.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
        assert right.content.tolist() == [[False, True, True], [False, True, False]]
        left = pad([[1, 7, 8], [1, 9]], frozenset({0, 1}), side="left")
        assert left.ids.tolist() == [[1, 7, 8], [0, 1, 9]]
        assert left.attention_mask.tolist() == [[1, 1, 1], [0, 1, 1]]
        assert left.content.tolist() == [[False, True, True], [False, False, True]]

    def test_padding_is_known_from_the_mask_even_where_its_id_is_a_word(self):
        batch = pad([[5, 0, 6], [5, 0]], frozenset())
        assert batch.content.tolist() == [[False, True, True], [False, True, False]]

    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("bos", ["none", "template"])
    def test_the_first_token_never_counts_be_it_special_or_a_word(self, tiny_tokenizer, bos, side):
        tokenizer = tiny_tokenizer(bos=bos)
        special = special_ids(tokenizer)
        texts = [encode_text(tokenizer, text) for text in (TEXT, "Rain fell.")]
        batch = pad(texts, special, side=side)
        for ids, row, content in zip(texts, batch.ids, batch.content, strict=True):
            assert row[content].tolist() == ids[1:]
            assert content_places(ids, special) == list(range(1, len(ids)))

    def test_special_tokens_inside_a_text_are_not_content(self, tiny_tokenizer):
        tokenizer = tiny_tokenizer(chat=True)
        ids = encode_prompt(tokenizer, TEXT)
        batch = pad([ids], special_ids(tokenizer))
        content = torch.tensor([ids])[batch.content].tolist()
        assert tokenizer.decode(content) == f"user\n{TEXT}\nassistant\n"


class TestGivenIds:
    def test_whole_numbers_of_any_kind_are_ids(self):
        for ids in ([1, 2], (1, 2), np.array([1, 2]), torch.tensor([1, 2]), [np.int64(1), 2]):
            assert plain_ids(ids, 3, "text 0") == [1, 2]

    @pytest.mark.parametrize("ids", ["text", b"text", [1.5], [None], 7, [[1]]])
    def test_what_is_no_id_is_refused(self, ids):
        with pytest.raises(InvalidInput, match="text 0: expected a text or its token ids"):
            plain_ids(ids, 300, "text 0")

    @pytest.mark.parametrize("one", [-1, 3])
    def test_ids_the_model_does_not_know_are_refused(self, one):
        with pytest.raises(InvalidInput, match=f"from 0 to 2, got {one}"):
            plain_ids([1, one], 3, "text 0")

    def test_one_text_is_not_read_letter_by_letter(self):
        assert several(("a", "b"), "texts") == ["a", "b"]
        with pytest.raises(InvalidInput, match=r"texts: .* give \[text\]"):
            several("She ran.", "texts")


def test_flagged_added_tokens_are_special_and_words_are_not(tiny_tokenizer):
    tokenizer = tiny_tokenizer()
    named = ["<pad>", "<s>", "</s>", "<|start|>", "<|end|>"]
    assert special_ids(tokenizer) == set(tokenizer.convert_tokens_to_ids(named))
