"""Pooled residuals equal those of single texts read by hand, however they are batched."""

import itertools

import pytest
import torch

import hooks
from hooks import FromToken, Last, Span
from hooks.errors import InvalidInput
from hooks.memory import batches_by_length
from hooks.reading.token_offsets import content_pieces
from hooks.tokens.encoding import pad

TEXTS = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "Nobody came.",
    "He opened the letter slowly. His hands were shaking and he could not read the first line.",
    "She ran down the hill laughing.",
]
ARCHITECTURES = ("gpt2", "llama", "qwen3", "gemma3", "gemma4", "mistral", "olmo2", "phi3")
THROUGH = ("bulk", "reader")


def by_hand(model, text: str, first: int) -> torch.Tensor:
    """Mean over content tokens from `first` on, from the whole residual stream of one text."""
    read = hooks.resid_post(model, text)
    content = [i for i, token in enumerate(read.token_ids) if token not in model.special_ids]
    return read.resid[:, content[first:]].mean(dim=1)


def relative(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference, as a share of each layer's largest entry; both [text layer d_model]."""
    scale = expected.abs().amax(dim=(0, 2))
    return float(((got - expected).abs().amax(dim=(0, 2)) / scale).max())


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "helium"])
class TestBatches:
    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("through", THROUGH)
    def test_a_padded_batch_equals_its_texts_one_by_one(
        self, tiny_model, architecture, side, through
    ):
        model = tiny_model(architecture)
        pooled = hooks.pooled_resid_post(
            model, TEXTS, FromToken(2), padding_side=side, through=through
        )
        single = torch.stack([by_hand(model, text, 2) for text in TEXTS])
        assert relative(pooled.mean, single) < 1e-5

    def test_the_batch_size_makes_no_difference(self, tiny_model, architecture):
        model = tiny_model(architecture)
        whole, *others = (
            hooks.pooled_resid_post(model, TEXTS, FromToken(2), batch_tokens=size)
            for size in (4096, 60, 1)
        )
        for other in others:
            assert relative(other.mean, whole.mean) < 1e-5
            assert torch.allclose(other.norm, whole.norm, rtol=1e-5)
            assert torch.equal(other.n_tokens, whole.n_tokens)


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_bfloat16_batches_agree_in_direction(tiny_folder, architecture):
    model = hooks.load(tiny_folder(architecture), dtype="bfloat16", device="cpu")
    assert model.dtype == torch.bfloat16
    alone = hooks.pooled_resid_post(model, TEXTS, FromToken(2), batch_tokens=1)
    assert alone.mean.dtype == torch.float32
    for side in ("right", "left"):
        batch = hooks.pooled_resid_post(model, TEXTS, FromToken(2), padding_side=side)
        cosine = torch.cosine_similarity(batch.mean, alone.mean, dim=-1)
        assert cosine.min() > 0.9999


class TestWindow:
    def test_the_order_of_the_texts_is_the_order_of_the_rows(self, tiny_model):
        model = tiny_model("llama")
        whole = hooks.pooled_resid_post(model, TEXTS, FromToken(1))
        for order in itertools.islice(itertools.permutations(range(len(TEXTS))), 1, 24, 7):
            shuffled = hooks.pooled_resid_post(model, [TEXTS[i] for i in order], FromToken(1))
            assert relative(shuffled.mean, whole.mean[list(order)]) < 1e-5
            assert shuffled.n_tokens.tolist() == whole.n_tokens[list(order)].tolist()

    @pytest.mark.parametrize(
        ("positions", "window"),
        [(FromToken(3), slice(3, None)), (Span(1, 4), slice(1, 4)), (Last(2), slice(-2, None))],
    )
    def test_means_and_norms_are_those_of_the_selected_content_tokens(
        self, tiny_model, positions, window
    ):
        model = tiny_model("gemma3")
        # The end marker in the middle takes part in the forward pass and never counts.
        texts = [*TEXTS[:3], "They waited</s> at the station."]
        pooled = hooks.pooled_resid_post(model, texts, positions)
        for row, text in enumerate(texts):
            read = hooks.resid_post(model, text)
            content = [i for i, t in enumerate(read.token_ids) if t not in model.special_ids]
            assert len(content) == len(read.token_ids) - 1 - text.count("</s>")
            picked = read.resid[:, content[window]]
            assert pooled.n_tokens[row] == picked.shape[1]
            assert torch.allclose(pooled.mean[row], picked.mean(dim=1), rtol=1e-5, atol=1e-5)
            expected = picked.norm(dim=-1).mean(dim=-1)
            assert torch.allclose(pooled.norm[row], expected, rtol=1e-5)

    def test_without_a_beginning_the_first_token_of_a_text_is_no_content(self, tiny_model):
        model = tiny_model("qwen3", bos="none")
        pooled = hooks.pooled_resid_post(model, TEXTS[:1], keep=FromToken(0))
        read = hooks.resid_post(model, TEXTS[0])
        assert relative(pooled.mean, read.resid[None, :, 1:].mean(dim=2)) < 1e-5
        pieces = content_pieces(model, TEXTS[0])
        assert len(pieces) == len(pooled.tokens) == len(read.token_ids) - 1
        assert pieces[0][0] > 0

    def test_a_text_with_nothing_left_is_counted_and_marked(self, tiny_model):
        model = tiny_model("llama")
        texts = [TEXTS[0], "", TEXTS[1]]
        n_content = len(model.encode(TEXTS[1])) - 1
        pooled = hooks.pooled_resid_post(model, texts, FromToken(n_content))
        assert pooled.n_tokens.tolist() == [len(model.encode(TEXTS[0])) - 1 - n_content, 0, 0]
        assert pooled.mean[1:].isnan().all()
        assert pooled.norm[1:].isnan().all()
        assert pooled.mean[0].isfinite().all()

    def test_no_texts_give_no_rows(self, tiny_model):
        pooled = hooks.pooled_resid_post(tiny_model("llama"), [])
        assert pooled.mean.shape == (0, 4, 32)

    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("through", THROUGH)
    def test_a_nan_at_a_padded_position_cannot_leak(self, tiny_model, side, through):
        model = tiny_model("llama")
        texts = TEXTS[:2]
        clean = hooks.pooled_resid_post(model, texts, FromToken(1))
        encoded = [model.encode(text) for text in texts]
        padding = ~pad(encoded, frozenset(), side=side).attention_mask.bool()
        assert padding.any()

        def spoil(residual, _layer):
            return residual.masked_fill(padding[..., None], float("nan"))

        tree = getattr(model, through)
        with tree.hooked({3: spoil}):
            read = hooks.pooled_resid_post(
                model, texts, FromToken(1), layers=[3], padding_side=side, through=through
            )
        assert relative(read.mean, clean.mean[:, 3:]) < 1e-5

    @pytest.mark.parametrize("batch_tokens", [None, 30])
    def test_kept_tokens_are_the_picked_ones_in_the_order_of_the_texts(
        self, tiny_model, batch_tokens
    ):
        model = tiny_model("gpt2")
        pooled = hooks.pooled_resid_post(
            model, TEXTS, Last(1), keep=Span(0, 3), layers=[2, 0], batch_tokens=batch_tokens
        )
        reads = [hooks.resid_post(model, text, layers=[2, 0]).resid for text in TEXTS]
        expected = torch.cat([read[:, 1:4].transpose(0, 1) for read in reads])
        assert pooled.token_text.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert pooled.tokens.shape == (12, 2, 32)
        assert torch.allclose(pooled.tokens, expected, rtol=1e-4, atol=1e-5)

    def test_without_keep_no_token_is_kept(self, tiny_model):
        pooled = hooks.pooled_resid_post(tiny_model("llama"), TEXTS)
        assert pooled.tokens.shape == (0, 4, 32)
        assert pooled.token_text.shape == (0,)


class TestLayers:
    def test_chosen_layers_come_in_the_order_asked_for(self, tiny_model):
        model = tiny_model("llama")
        whole = hooks.pooled_resid_post(model, TEXTS)
        some = hooks.pooled_resid_post(model, TEXTS, layers=[3, 1])
        assert torch.allclose(some.mean, whole.mean[:, [3, 1]], rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("layers", [[4], [-1], [0, 9], [1, 1], []])
    def test_layers_that_cannot_be_read_are_refused(self, tiny_model, layers):
        with pytest.raises(InvalidInput, match="layer"):
            hooks.pooled_resid_post(tiny_model("llama"), TEXTS, layers=layers)
        with pytest.raises(InvalidInput, match="layer"):
            hooks.resid_post(tiny_model("llama"), TEXTS[0], layers=layers)


class TestOneText:
    def test_every_token_comes_with_its_id_and_its_text(self, tiny_model):
        model = tiny_model("llama")
        read = hooks.resid_post(model, TEXTS[0])
        assert read.resid.shape == (4, len(read.token_ids), 32)
        assert (read.resid.dtype, read.resid.device.type) == (torch.float32, "cpu")
        assert read.token_ids == model.encode(TEXTS[0])
        assert "".join(read.token_strings) == f"<s>{TEXTS[0]}"

    def test_a_text_without_any_token_is_refused(self, tiny_model):
        with pytest.raises(InvalidInput, match="empty"):
            hooks.resid_post(tiny_model("llama", bos="none"), "")


@pytest.mark.parametrize("read", [hooks.pooled_resid_post, hooks.resid_post])
def test_a_text_longer_than_the_model_reads_is_refused(tiny_model, read):
    model = tiny_model("gpt2")
    assert model.n_positions == 512
    text = "x" * 600
    with pytest.raises(InvalidInput, match="at most 512"):
        read(model, [text] if read is hooks.pooled_resid_post else text)


class TestBatchesByLength:
    def test_every_text_is_in_one_batch_and_batches_fit(self):
        lengths = [3, 50, 7, 7, 1, 20, 9, 100]
        batches = list(batches_by_length(lengths, 30))
        assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
        for batch in batches:
            longest = max(lengths[row] for row in batch)
            assert len(batch) == 1 or longest * len(batch) <= 30

    def test_longest_come_first_so_that_lack_of_memory_shows_at_once(self):
        assert list(batches_by_length([1, 5, 3], 1)) == [[1], [2], [0]]
