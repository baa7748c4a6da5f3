"""The plane of both ratings: planted directions are found, and nothing off it follows a rating."""

import pytest
import torch

from probes.analysis.rating_plane import arousal_axis, rating_plane
from probes.analysis.statistics import correlate
from probes.stimuli import human_ratings
from probes.vectors.denoising import project_out

RATED = sorted(human_ratings())[:20]
VALENCE, AROUSAL = torch.tensor(
    [[human_ratings()[word].pleasure, human_ratings()[word].arousal] for word in RATED]
).T


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(32, 2, generator=generator)).Q.T
    noise = 0.05 * torch.randn(len(RATED), 32, generator=generator)
    return axes, torch.stack([VALENCE, AROUSAL], dim=1) @ axes + noise


def test_planted_directions_lie_in_the_plane(vectors):
    axes, made = vectors
    plane = rating_plane(made, RATED)
    torch.testing.assert_close(plane @ plane.T, torch.eye(2), atol=1e-5, rtol=0)
    assert (axes @ plane.T).norm(dim=1).min() > 0.9


def test_off_the_plane_no_coordinate_follows_a_rating(vectors):
    _, made = vectors
    left = project_out(made, rating_plane(made, RATED)).double()
    for rating in (VALENCE, AROUSAL):
        assert correlate(left.T, rating.double()).abs().max() < 1e-4
    before = correlate(made.T.double(), VALENCE.double()).abs().max()
    assert before > 0.5


def test_unrated_words_change_nothing_and_too_few_rated_ones_give_no_plane(vectors):
    _, made = vectors
    more = torch.cat([made, torch.randn(2, 32, generator=torch.Generator().manual_seed(1))])
    torch.testing.assert_close(
        rating_plane(more, [*RATED, "no such word", "nor this"]), rating_plane(made, RATED)
    )
    assert len(rating_plane(made[:3], RATED[:3])) == 0


def test_along_the_axis_of_arousal_vectors_rise_with_it_and_not_with_valence(vectors):
    axes, made = vectors
    axis = arousal_axis(made, RATED)
    assert float(axis.norm()) == pytest.approx(1)
    assert float(axis @ axes[1]) > 0.9
    # One vector for each corner of the plane: what is added per unit of a rating.
    slopes = torch.linalg.lstsq(
        torch.stack([VALENCE - VALENCE.mean(), AROUSAL - AROUSAL.mean()], dim=1),
        (made - made.mean(dim=0)) @ axis[:, None],
    ).solution
    assert float(slopes[0].abs()) < 1e-5 < float(slopes[1])


def test_too_few_rated_words_or_ratings_that_go_together_give_no_axis(vectors):
    _, made = vectors
    assert arousal_axis(made[:3], RATED[:3]) is None
    line = (VALENCE + AROUSAL)[:, None] * torch.ones(1, 32)
    assert arousal_axis(line.double(), RATED) is None
