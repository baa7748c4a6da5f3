"""A text as it grows under the model's hands: characters and scores of its tokens."""

import pytest
import torch

import hooks
from probes.vectors.watched import WatchedText, watching

NO_SCORES = torch.zeros(0, 1)


def grown(tokenizer, text: str) -> tuple[WatchedText, list[int]]:
    """A text of which all tokens but the last have been read; each has its place as score."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    watched = WatchedText(tokenizer, ["sad"], NO_SCORES)
    for place, token in enumerate(ids[:-1]):
        watched.add([token], torch.full((1, 1), float(place)))
    return watched, ids


@pytest.mark.parametrize("text", ["She waited at the gate.", "naïve 😀 café", " two\n lines"])
def test_tokens_and_what_was_not_read_spell_the_text(tiny_tokenizer, text):
    watched, ids = grown(tiny_tokenizer(), text)
    tokens, unread = watched.spelled(text)
    assert "".join(tokens) + unread == text
    assert unread
    assert watched.ids == ids[:-1]
    assert len(tokens) == len(watched.tokens) == len(ids) - 1
    assert watched.scores.flatten().tolist() == list(range(len(ids) - 1))


def test_a_letter_is_shown_once_all_its_bytes_are_there(tiny_tokenizer):
    tokenizer = tiny_tokenizer()
    watched, shown = WatchedText(tokenizer, ["sad"], NO_SCORES), []
    for token in tokenizer("a😀", add_special_tokens=False)["input_ids"]:
        watched.add([token], torch.zeros(1, 1))
        shown.append("".join(watched.tokens))
    assert shown[-1] == "a😀"
    assert not any("\ufffd" in text for text in shown)


def test_scores_of_several_layers_grow_token_by_token(tiny_model):
    model, lengths = tiny_model("llama"), []

    def score(resid):
        return resid[..., :2]  # stands for two emotions

    with watching(
        model, [1, 3], ["a", "b"], score, lambda text: lengths.append(len(text.tokens))
    ) as seen:
        [written] = model.generate(["Rain fell."], max_new_tokens=5, seed=1)
    n_read = len(written.tokens) - (not written.finished)
    assert seen[0].scores.shape == (2, n_read, 2)
    assert lengths == list(range(1, n_read + 1))


def test_a_part_that_is_written_once_more_is_kept_once(tiny_hf_model, tiny_tokenizer):
    """A batch that does not fit into memory is begun, and then written in halves."""
    model, failed = hooks.load(tiny_hf_model("llama"), tokenizer=tiny_tokenizer()), []
    prompts = ["Rain fell.", "She ran.", "He sat down by the window."]
    options = {"max_new_tokens": 5, "seed": 1}

    def full(_module, inputs):
        if len(inputs[0]) == 3 and inputs[0].shape[1] == 1 and not failed:
            failed.append(True)
            raise torch.OutOfMemoryError("out of memory")

    handle = model.hf.get_input_embeddings().register_forward_pre_hook(full)
    with watching(model, [1], ["a"], lambda resid: resid[0, :, :1]) as seen:
        written = model.generate(prompts, **options)
    handle.remove()
    assert failed
    assert len(seen) == 3
    for watched, text in zip(seen, written, strict=True):
        assert watched.ids == text.tokens[: len(watched.ids)]
        assert len(watched.ids) == len(text.tokens) - (not text.finished)
