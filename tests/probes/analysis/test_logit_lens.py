import pytest
import torch

from hooks.errors import DataError, InvalidInput
from probes.analysis.logit_lens import (
    bottom_tokens,
    family_token_ids,
    own_word_rank,
    own_word_share,
    readable_tokens,
    shuffled_own_word_share,
    top_tokens,
)

NAN = float("nan")


def all_readable(d_vocab: int) -> torch.Tensor:
    return torch.ones(d_vocab, dtype=torch.bool)


def leftover(n: int, d_vocab: int, seed: int) -> torch.Tensor:
    """Coarse random logits, so that ties are common."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, (n, d_vocab), generator=generator).float()


class TestReadableTokens:
    @pytest.mark.parametrize(
        "token", [" sad", "Sad", "sad", "!", "悲", "é", "<", "a<b>", "[", "x]", "1"]
    )
    def test_text_is_readable(self, token):
        assert readable_tokens([token], set()).tolist() == [True]

    @pytest.mark.parametrize(
        "token",
        [
            "<unused123>", "[multimodal]", "[@BOS@]", "<0x0A>", "<|im_start|>", "</s>", " <pad> ",
            "", " ", "\n\t", "\N{LOWER ONE EIGHTH BLOCK}\N{LOWER ONE EIGHTH BLOCK}",
            "\N{ZERO WIDTH SPACE}", "\N{NO-BREAK SPACE}", "\x00", "\N{REPLACEMENT CHARACTER}",
            "a\N{REPLACEMENT CHARACTER}",
        ],
    )  # fmt: skip
    def test_markup_blanks_and_broken_characters_are_not(self, token):
        assert readable_tokens([token], set()).tolist() == [False]

    def test_special_ids_are_not_whatever_their_text(self):
        assert readable_tokens(["a", "b", "c"], {1}).tolist() == [True, False, True]

    def test_special_id_outside_the_vocabulary_is_refused(self):
        with pytest.raises(InvalidInput, match=r"\[7\]"):
            readable_tokens(["a", "b"], {0, 7})


class TestEndsOfTheVocabulary:
    logits = torch.tensor([[5.0, 9.0, -3.0, 1.0], [0.0, -9.0, 2.0, 1.0]])
    mask = torch.tensor([True, False, True, True])

    def test_top_tokens_skip_the_unreadable(self):
        values, ids = top_tokens(self.logits, self.mask, 2)
        assert ids.tolist() == [[0, 3], [2, 3]]
        assert values.tolist() == [[5.0, 1.0], [2.0, 1.0]]

    def test_bottom_tokens_skip_the_unreadable(self):
        values, ids = bottom_tokens(self.logits, self.mask, 2)
        assert ids.tolist() == [[2, 3], [0, 3]]
        assert values.tolist() == [[-3.0, 1.0], [0.0, 1.0]]

    def test_logits_are_left_as_they_were(self):
        before = self.logits.clone()
        top_tokens(self.logits, self.mask, 2)
        assert torch.equal(self.logits, before)

    @pytest.mark.parametrize("k", [0, 4])
    def test_more_tokens_than_are_readable_are_refused(self, k):
        with pytest.raises(InvalidInput, match=r"1\.\.3"):
            top_tokens(self.logits, self.mask, k)

    def test_nan_is_an_error(self):
        with pytest.raises(DataError, match="finite logits"):
            bottom_tokens(torch.tensor([[1.0, NAN, 0.0, 0.0]]), self.mask, 1)


class TestFamilyTokens:
    def test_words_count_with_any_case_and_surrounding_space(self):
        tokens = [" sad", "Sad", "SAD\n", "\N{LOWER ONE EIGHTH BLOCK}sadness", "sadly", "mad"]
        assert family_token_ids(tokens, [{"sad", "sadness"}]) == [[0, 1, 2, 3]]

    def test_shared_stem_of_five_letters_counts(self):
        tokens = ["excit", " Excit", "exci", "excite", "excited", "excitable", "unexcited"]
        words = {"excited", "excitement", "excitedly", "exciting"}
        assert family_token_ids(tokens, [words]) == [[0, 1, 4]]

    def test_shorter_stem_does_not(self):
        assert family_token_ids(["ang", "angry", "anger"], [{"angry", "anger"}]) == [[1, 2]]

    def test_prefix_of_a_lone_word_does_not(self):
        assert family_token_ids(["terri", "terrified"], [{"terrified"}]) == [[1]]

    def test_token_may_belong_to_several_families_or_none(self):
        tokens = ["blue", "green"]
        assert family_token_ids(tokens, [{"blue"}, {"sad", "Blue"}, {"red"}]) == [[0], [0], []]

    def test_empty_word_matches_no_blank_token(self):
        assert family_token_ids([" ", "sad"], [{"", "sad"}]) == [[1]]


class TestOwnWordRank:
    def test_counts_readable_tokens_above_the_best_own_one(self):
        logits = torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0]])
        mask = torch.tensor([False, True, True, True, True])
        assert own_word_rank(logits, mask, [[4, 2]]).tolist() == [1]

    def test_own_words_do_not_outrank_each_other(self):
        assert own_word_rank(torch.tensor([[3.0, 3.0, 1.0]]), all_readable(3), [[0, 1]]) == 0

    def test_tie_counts_against_the_word(self):
        assert own_word_rank(torch.zeros(1, 5), all_readable(5), [[0]]).tolist() == [4]

    def test_emotion_without_a_readable_token_gets_the_size_of_the_vocabulary(self):
        mask = torch.tensor([False, True, True])
        ranks = own_word_rank(torch.tensor([[3.0, 2.0, 1.0]] * 3), mask, [[0], [], [1]])
        assert ranks.tolist() == [3, 3, 0]

    def test_number_of_families_must_match(self):
        with pytest.raises(InvalidInput, match="1 lists for 2 emotions"):
            own_word_rank(torch.zeros(2, 3), all_readable(3), [[0]])

    def test_id_of_another_vocabulary_is_refused(self):
        with pytest.raises(InvalidInput, match=r"0\.\.2, got 3"):
            own_word_rank(torch.zeros(1, 3), all_readable(3), [[3]])


class TestOwnWordShare:
    def test_share_of_ranks_below_k(self):
        assert own_word_share(torch.tensor([0, 9, 10, 50_000]), 10) == 0.5

    def test_no_emotions_have_no_share(self):
        with pytest.raises(InvalidInput):
            own_word_share(torch.tensor([], dtype=torch.int64), 10)

    def test_shuffled_names_hit_by_chance_only(self):
        n = 20
        logits = torch.eye(n)
        ids = [[index] for index in range(n)]
        assert own_word_share(own_word_rank(logits, all_readable(n), ids), 1) == 1.0
        shuffled = shuffled_own_word_share(logits, all_readable(n), ids, 1, 2000, seed=0)
        assert shuffled.mean == pytest.approx(1 / n, abs=0.01)
        assert 0.1 <= shuffled.upper <= 0.2

    def test_vector_shared_by_all_keeps_its_share_when_shuffled(self):
        logits = torch.tensor([[4.0, 3.0, 2.0, 1.0]] * 4)
        ids = [[0], [1], [2], [3]]
        shuffled = shuffled_own_word_share(logits, all_readable(4), ids, 2, 50, seed=0)
        assert shuffled == pytest.approx((0.5, 0.5))
        assert own_word_share(own_word_rank(logits, all_readable(4), ids), 2) == 0.5

    @pytest.mark.parametrize("seed", range(30))
    def test_one_emotion_shuffled_is_itself_with_ties_and_unreadable_tokens(self, seed):
        logits = leftover(1, 12, seed)
        mask = leftover(1, 12, seed + 100)[0] > -3
        ids = [[0, 5, 5, 9]]
        for k in range(1, int(mask.sum()) + 1):
            share = own_word_share(own_word_rank(logits, mask, ids), k)
            assert shuffled_own_word_share(logits, mask, ids, k, 1, seed=0).mean == share

    def test_same_seed_gives_the_same_shares(self):
        logits, ids = leftover(6, 30, 0), [[i, i + 6] for i in range(6)]
        shares = [
            shuffled_own_word_share(logits, all_readable(30), ids, 4, 5, seed=s) for s in (1, 1, 2)
        ]
        assert shares[0] == shares[1] != shares[2]

    def test_no_shuffle_is_refused(self):
        with pytest.raises(InvalidInput, match="at least one shuffle"):
            shuffled_own_word_share(torch.eye(2), all_readable(2), [[0], [1]], 1, 0, seed=0)
