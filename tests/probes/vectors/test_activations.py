"""Shards keep what was read, cell by cell, and tell damage apart from data."""

from dataclasses import replace

import pytest
import torch

import hooks
from hooks import DataError, FromToken, Pooled, Spaced, StaleArtifact
from probes.corpus.cells import Passage, Text
from probes.vectors.activations import (
    Row,
    by_cell,
    check_origin,
    load_shard,
    load_shards,
    make_shard,
    plan_shards,
    save_shard,
    shard_path,
)


def texts_of(*cells: tuple[str | None, str, int]) -> list[Text]:
    return [
        Text(emotion, topic, index, Passage(f"{emotion} {topic} {index}"))
        for emotion, topic, count in cells
        for index in range(count)
    ]


def pooled_of(n_tokens: list[int], n_layers: int = 2, d_model: int = 3, seed: int = 0) -> Pooled:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(n_tokens)
    mean = torch.randn(len(n_tokens), n_layers, d_model, generator=generator)
    norm = torch.rand(len(n_tokens), n_layers, generator=generator) + 1
    mean[counts == 0] = float("nan")
    norm[counts == 0] = float("nan")
    return Pooled(
        mean, counts, norm, torch.zeros(0, n_layers, d_model), torch.zeros(0, dtype=torch.long)
    )


class TestPlan:
    N_TEXTS = [3, 1, 0, 5, 2]

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 100])
    def test_no_cell_is_cut_and_no_text_is_lost(self, size):
        shards = plan_shards(self.N_TEXTS, size)
        filled = [cell for cell, number in enumerate(self.N_TEXTS) if number]
        assert [cell for shard in shards for cell in shard] == filled
        held = [sum(self.N_TEXTS[cell] for cell in shard) for shard in shards]
        assert all(number >= size for number in held[:-1])
        last = [self.N_TEXTS[shard[-1]] for shard in shards]
        assert all(number - end < size for number, end in zip(held, last, strict=True))

    def test_no_texts_make_no_shards(self):
        assert plan_shards([], 4) == []
        assert plan_shards([0, 0], 4) == []


class TestMaking:
    def test_texts_without_tokens_are_left_out_and_counted(self):
        shard = make_shard(texts_of(("sad", "x", 4)), pooled_of([3, 0, 2, 0]))
        assert shard.rows == [Row("sad", "x", 0), Row("sad", "x", 2)]
        assert shard.dropped == 2
        assert shard.n_tokens.tolist() == [3, 2]
        assert shard.mean.isfinite().all()

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_value_that_is_not_finite_is_named_by_its_text(self, value):
        pooled = pooled_of([3, 0, 2])
        pooled.mean[2, 1, 0] = value
        with pytest.raises(DataError, match="sad / 'x' / text 2 are not finite in float32: .*doct"):
            make_shard(texts_of(("sad", "x", 3)), pooled)

    @pytest.mark.parametrize(
        ("dtype", "cure"), [("float16", "float32 or bfloat16"), ("bfloat16", "float32")]
    )
    def test_the_dtype_that_overflowed_is_named_with_others_to_take(self, dtype, cure):
        pooled = pooled_of([3])
        pooled.mean[0, 1, 0] = float("inf")
        with pytest.raises(DataError, match=rf"not finite in {dtype}: .*model\.dtype={cure} and"):
            make_shard(texts_of(("sad", "x", 1)), pooled, dtype)

    def test_a_single_token_that_is_not_finite_is_seen(self):
        kept, owner = torch.zeros(2, 2, 3), torch.tensor([0, 1])
        kept[1, 0, 0] = float("nan")
        pooled = replace(pooled_of([3, 2]), tokens=kept, token_text=owner)
        with pytest.raises(DataError, match="neutral / 'x' / text 1 are not finite"):
            make_shard(texts_of((None, "x", 2)), pooled)

    def test_a_neutral_text_is_named_too(self):
        pooled = pooled_of([3])
        pooled.mean[0, 0, 0] = float("nan")
        with pytest.raises(DataError, match="neutral / 'x'"):
            make_shard(texts_of((None, "x", 1)), pooled)

    def test_a_cells_mean_is_the_mean_of_its_stories(self):
        texts = texts_of(("sad", "x", 3), ("happy", "x", 2))
        pooled = pooled_of([3, 0, 5, 1, 1])
        stories = make_shard(texts, pooled)
        cells = by_cell(stories)
        assert cells.rows == [Row("sad", "x", None), Row("happy", "x", None)]
        assert cells.n_texts.tolist() == [2, 2]
        assert cells.n_tokens.tolist() == [8, 2]
        assert cells.dropped == 1
        torch.testing.assert_close(cells.mean[0], stories.mean[:2].mean(dim=0))
        torch.testing.assert_close(cells.mean[1], stories.mean[2:].mean(dim=0))
        expected = (stories.norm[0] * 3 + stories.norm[1] * 5) / 8
        torch.testing.assert_close(cells.norm[0], expected)

    @pytest.mark.parametrize("kept", [lambda shard: shard, by_cell, lambda shard: shard.at([1, 0])])
    def test_a_shard_of_texts_that_are_all_too_short_is_empty(self, tmp_path, kept):
        shard = kept(make_shard(texts_of(("sad", "x", 2)), pooled_of([0, 0])))
        save_shard(tmp_path / "s", shard)
        again = load_shard(tmp_path / "s")
        assert (again.rows, again.dropped, tuple(again.mean.shape)) == ([], 2, (0, 2, 3))


class TestFiles:
    def shard(self):
        texts = texts_of(("sad", 'a topic with "quotes"', 2), (None, "ü", 1))
        return make_shard(texts, pooled_of([3, 1, 4]))

    def test_a_round_trip_changes_no_bit(self, tmp_path):
        shard = self.shard()
        save_shard(tmp_path / "s", shard)
        again = load_shard(tmp_path / "s")
        assert (again.rows, again.dropped) == (shard.rows, shard.dropped)
        for name in ("mean", "norm", "n_tokens", "n_texts", "tokens"):
            assert torch.equal(getattr(again, name), getattr(shard, name))

    def test_the_same_shard_gives_the_same_bytes(self, tmp_path):
        save_shard(tmp_path / "a", self.shard())
        save_shard(tmp_path / "b", self.shard())
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_every_truncation_is_an_error_with_the_cure(self, tmp_path):
        save_shard(tmp_path / "s", self.shard())
        whole = (tmp_path / "s").read_bytes()
        for size in [0, 4, 8, 20, len(whole) // 2, len(whole) - 1]:
            (tmp_path / "s").write_bytes(whole[:size])
            with pytest.raises(DataError, match="Delete it and run extract-activations again"):
                load_shard(tmp_path / "s")

    def test_a_foreign_and_a_missing_file_are_errors(self, tmp_path):
        from safetensors.torch import save_file

        save_file({"mean": torch.zeros(2)}, tmp_path / "foreign")
        for name in ("foreign", "missing"):
            with pytest.raises(DataError, match=name):
                load_shard(tmp_path / name)

    def test_shards_are_read_in_order_by_kind(self, tmp_path):
        for number, kind in [(1, "stories"), (0, "stories"), (0, "neutral")]:
            shard = make_shard(texts_of(("sad", f"{kind}{number}", 1)), pooled_of([1]))
            save_shard(shard_path(tmp_path, kind, number), shard)
        index = {"stories": {"n_shards": 2}, "made_from": {}}
        topics = [shard.rows[0].topic for shard in load_shards(tmp_path, "stories", index)]
        assert topics == ["stories0", "stories1"]


class TestOrigin:
    @pytest.fixture
    def path(self, tmp_path):
        shard = make_shard(texts_of(("sad", "x", 1)), pooled_of([1]))
        path = shard_path(tmp_path, "stories", 0)
        save_shard(path, shard, {"fingerprint": "aaaa", "texts": "1"})
        return path

    def test_a_shard_of_the_same_origin_passes(self, path):
        check_origin(path, {"texts": "1", "fingerprint": "aaaa"})

    @pytest.mark.parametrize(
        "expected", [{"fingerprint": "bbbb", "texts": "1"}, {"fingerprint": "aaaa"}, {}]
    )
    def test_a_shard_of_another_is_refused_with_what_differs(self, path, expected):
        with pytest.raises(StaleArtifact, match=r"stories-00000.*was (aaaa|1), expected"):
            check_origin(path, expected)

    def test_a_file_that_is_no_shard_is_named(self, path):
        for content in (b"", b"abc", b"\xff" * 20, b"\x02" + b"\0" * 7 + b"{}"):
            path.write_bytes(content)
            with pytest.raises(DataError, match="stories-00000.*damaged or truncated"):
                check_origin(path, {})


class TestReadByAModel:
    def test_the_same_texts_give_the_same_bytes(self, tiny_model, tmp_path):
        model = tiny_model("llama", backend="huggingface")
        texts = texts_of((None, "a long topic about rain and wind", 3), (None, "y", 2))
        for name in ("a", "b"):
            pooled = hooks.pooled_resid_post(
                model, [text.text for text in texts], FromToken(4), keep=Spaced(4, 2)
            )
            save_shard(tmp_path / name, make_shard(texts, pooled))
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        shard = load_shard(tmp_path / "a")
        assert shard.tokens.shape == (2 * len(shard.rows), model.n_layers, model.d_model)
        assert shard.mean.shape == (len(shard.rows), model.n_layers, model.d_model)
