"""The published tables are the published ones."""

import hashlib
from pathlib import Path

import pytest

from hooks.errors import InvalidInput
from probes import stimuli
from probes.stimuli import Rating, check_emotions, emotions, human_ratings, paper_clusters

DATA = Path(stimuli.__file__).parent / "data"


def test_there_are_171_different_emotions_in_alphabetical_order():
    assert len(emotions()) == len(set(emotions())) == 171
    assert list(emotions()) == sorted(emotions())
    assert {"at ease", "grief-stricken", "worn out", "hope"} <= set(emotions())


@pytest.mark.parametrize(
    ("word", "rating"),
    [
        ("happy", Rating(0.81, 0.51, 0.46)),
        ("sad", Rating(-0.63, -0.27, -0.33)),
        ("terrified", Rating(-0.62, 0.82, -0.43)),
    ],
)
def test_known_rows_of_the_human_ratings(word, rating):
    assert human_ratings()[word] == rating


def test_no_byte_of_the_human_ratings_has_changed():
    content = (DATA / "norms_russell_mehrabian_1977.csv").read_bytes()
    digest = "990fb0dc5e09f68b382826812530c75b34c9634436c04204540a8e838444cc8e"
    assert hashlib.sha256(content).hexdigest() == digest


def test_human_ratings_cover_45_of_the_171_words_within_their_scale():
    ratings = human_ratings()
    assert len(ratings) == 45
    assert set(ratings) < set(emotions())
    for rating in ratings.values():
        assert all(
            -1 <= value <= 1 for value in (rating.pleasure, rating.arousal, rating.dominance)
        )


def test_human_ratings_cannot_be_changed_by_a_caller():
    with pytest.raises(TypeError):
        human_ratings()["sad"] = Rating(0.0, 0.0, 0.0)  # type: ignore[index]


def test_the_ten_clusters_of_the_paper_partition_the_words():
    clusters = paper_clusters()
    members = [word for words in clusters.values() for word in words]
    assert len(clusters) == 10
    assert sorted(members) == sorted(emotions())


def test_changing_the_returned_clusters_does_not_change_the_next_answer():
    paper_clusters().clear()
    assert len(paper_clusters()) == 10


def test_known_emotions_pass_the_check():
    check_emotions(emotions())


@pytest.mark.parametrize(
    ("typo", "nearest"), [("happpy", "happy"), ("grief stricken", "grief-stricken")]
)
def test_an_unknown_emotion_is_refused_with_the_nearest_known_one(typo, nearest):
    with pytest.raises(InvalidInput, match=f"{typo}.*nearest is '{nearest}'"):
        check_emotions(["sad", typo])


def test_even_an_empty_name_is_refused_with_a_message():
    with pytest.raises(InvalidInput, match="nearest"):
        check_emotions([""])
