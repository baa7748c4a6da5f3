"""The component that people's ratings lie on is found, with the search counted."""

import pytest
import torch

from probes.analysis.agreement import MIN_RATED, match_component, rated_words, rating_table
from probes.stimuli import emotions, human_ratings

RATED = sorted(human_ratings())
UNRATED = [word for word in emotions() if word not in human_ratings()]


def noise(n: int, components: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, components, generator=torch.Generator().manual_seed(seed))


def planted(names: list[str], scale: str, component: int, sign: int) -> torch.Tensor:
    coordinates = noise(len(names), 6)
    for row, name in enumerate(names):
        rating = human_ratings().get(name)
        if rating is not None:
            value = rating.pleasure if scale == "valence" else rating.arousal
            coordinates[row, component] = sign * value + 0.1 * coordinates[row, component]
    return coordinates


def match(coordinates, names, scale="valence", **changes):
    options = {"n_searched": 5, "n_permutations": 200, "seed": 0}
    return match_component(coordinates, names, scale, **{**options, **changes})


class TestMatching:
    @pytest.mark.parametrize("scale", ["valence", "arousal"])
    @pytest.mark.parametrize(("component", "sign"), [(0, 1), (3, -1)])
    def test_a_planted_scale_is_found_with_its_sign(self, scale, component, sign):
        names = [name for pair in zip(RATED, UNRATED, strict=False) for name in pair]
        found = match(planted(names, scale, component, sign), names, scale)
        assert (found["component"], found["sign"]) == (component, sign)
        assert found["r"] > 0.9
        assert found["low"] < found["r"] < found["high"]
        assert found["n"] == len(RATED)
        assert found["p_corrected"] < 0.01
        assert found["n_searched"] == 5

    def test_noise_is_not_significant_after_the_search(self):
        found = match(noise(len(RATED), 5, seed=3), RATED)
        assert found["r"] > 0
        assert found["p_corrected"] > 0.05

    def test_a_component_beyond_the_search_is_not_found(self):
        found = match(planted(RATED, "valence", 5, 1), RATED)
        assert found["component"] != 5

    def test_a_component_already_taken_is_left_out_and_numbers_stay(self):
        coordinates = planted(RATED, "valence", 1, 1)
        coordinates[:, 4] = coordinates[:, 1]
        found = match(coordinates, RATED, exclude=(1,))
        assert (found["component"], found["n_searched"]) == (4, 4)

    def test_unrated_words_have_no_say(self):
        names = [*RATED, *UNRATED[:20]]
        coordinates = planted(names, "valence", 2, 1)
        moved = coordinates.clone()
        moved[len(RATED) :] += 100
        assert match(coordinates, names) == match(moved, names)


class TestTooLittle:
    def test_fewer_rated_words_than_the_minimum_are_not_compared(self):
        names = [*RATED[: MIN_RATED - 1], *UNRATED[:20]]
        assert match(noise(len(names), 5), names) is None
        names = [*RATED[:MIN_RATED], *UNRATED[:20]]
        assert match(noise(len(names), 5), names)["n"] == MIN_RATED

    def test_no_component_left_is_no_match(self):
        assert match(noise(len(RATED), 1), RATED, exclude=(0,)) is None


def test_the_table_holds_the_rated_words_only_between_minus_one_and_one():
    table = rating_table(["sad", UNRATED[0], "happy"])
    assert list(table) == ["sad", "happy"]
    assert table["sad"]["valence"] < 0 < table["happy"]["valence"]
    assert rated_words(["sad", UNRATED[0], "happy"]) == [0, 2]
    assert all(-1 <= value <= 1 for row in rating_table(RATED).values() for value in row.values())
