"""A made-up report: every section filled, hostile names and texts wherever a text can stand."""

import dataclasses
from typing import Any

import made_up_analysis
import torch
from made_up_analysis import HOSTILE, TOKENS

from probes import figures
from probes.figures.description import Bars, Heatmap, Line, Lines, Panel, Part, Scatter
from probes.report import claims as headline
from probes.report import limits
from probes.report.contents import Contents, HeatedStory, Picture, Trial
from probes.report.maps import describe_map

HOSTILE_STORY = (
    "He said </script><script>alert(2)</script> and <img src=x onerror=alert(3)> $x$ \\(y\\)"
)


def emotions_with(hostile: tuple[str, ...], n: int = 24) -> list[str]:
    rated = sorted(set(made_up_analysis.human_ratings()) & set(made_up_analysis.words_171()))
    return [*hostile, *rated][:n]


def summary(emotions: list[str]) -> dict[str, Any]:
    texts = {
        "accepted": 12 * len(emotions),
        "requested": 12 * len(emotions),
        "missing": 0,
        "rejected": 0,
        "rejected_by_reason": {},
        "first_attempt_leak_share": 0.1,
        "trimmed": 0,
    }
    rating = {"r": -0.9, "low": -0.95, "high": -0.77, "n": 24, "n_searched": 5, "component": 0}
    return {
        "stories": {**texts, "fewest": 12, "topics": 12, "writer": "embedded:writer"},
        "neutral": {**texts, "missing": 0},
        "subject": {"model": "embedded:gemma-3-270m", "n_layers": 18, "target_layer": 12},
        "layer": 12,
        "umap": True,
        "valence": {**rating, "p_corrected": 0.0005},
        "arousal": {**rating, "r": 0.4, "low": -0.01, "high": 0.7, "p_corrected": 0.19},
        "kmeans": {
            "k": 4,
            "stability": 0.8,
            "stability_low": 0.7,
            "stability_high": 0.9,
            "n_bootstrap": 20,
        },
        "logit_lens": {
            "top_k": 10,
            "n_emotions": len(emotions),
            "own_word_share": 0.5,
            "own_word_share_interval": [0.3, 0.7],
            "own_word_share_shuffled": 0.01,
            "own_word_share_shuffled_95": 0.04,
            "named_share": 0.6,
            "named_share_interval": [0.4, 0.8],
            "named_share_shuffled": 0.1,
            "named_share_shuffled_95": 0.2,
        },
        "seconds": {},
    }


def steering(emotions: list[str], **dose: Any) -> dict[str, Any]:
    """What `validate` leaves, as far as the headline reads it."""

    def beside(excess: float) -> dict[str, Any]:
        return {"excess": excess, "excess_interval": [excess - 0.2, excess + 0.2]}

    found = {
        "dose": 0.1,
        "matching": 1.2,
        "matching_interval": [1.0, 1.4],
        "random": beside(5.2),
        "matched": beside(1.3),
        "shuffled": beside(1.4),
        "other_vectors": beside(1.7),
        "valence": beside(0.5),
    }
    given = {key: beside(it) if isinstance(it, float) else it for key, it in dose.items()}
    return {"emotions": emotions, "doses": [{**found, **given}]}


def rung(name: str, value: float) -> dict[str, Any]:
    around = {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {"name": name, "valence": around, "accuracy": around, "clusters": around}


def ladder(**gain: Any) -> dict[str, Any]:
    """What the null ladder leaves, as far as the headline reads it."""
    above = {"value": 0.2, "low": 0.1, "high": 0.3}
    return {
        "n_topics": 12,
        "rungs": [rung("random directions", 0.1), rung("analyzed layer (12)", 0.5)],
        "gain": {"valence": above, "accuracy": above, "clusters": above, **gain},
    }


def accuracy(emotions: list[str], **changes: Any) -> dict[str, Any]:
    """What the test on held-out topics leaves, as far as the headline reads it."""
    return {
        "emotions": emotions,
        "layer": 12,
        "layer_rule": "2/3 of depth",
        "layers": [11, 12],
        "n_rows": 288,
        "rows_are": "stories",
        "n_topics": 12,
        "chance": 1 / len(emotions),
        "nearest": [{"top_1": {"value": 0.4, "low": 0.3, "high": 0.5}}] * 2,
        "permuted": [{"mean": 0.05, "upper": 0.1, "p": 0.01}] * 2,
        "nested": {"top_1": {"value": 0.2, "low": 0.15, "high": 0.25}, "p": 0.02},
        **changes,
    }


def clusters(emotions: list[str], **changes: Any) -> dict[str, Any]:
    """What the test of the paper's clusters leaves, as far as the headline reads it."""
    ari = {"value": 0.4, "low": 0.2, "high": 0.6, "p": 0.01, "shuffled": 0.0}
    ari |= {"shuffled_upper": 0.15, **changes}
    return {"emotions": emotions, "k": 4, "methods": {"k-means": {"ari": ari}}}


def results(emotions: list[str]) -> dict[str, dict[str, Any]]:
    return {
        "steering": steering(emotions),
        "null-ladder": ladder(),
        "held-out-topics": accuracy(emotions),
        "clusters": clusters(emotions),
    }


def trial(name: str, emotions: list[str], *, every_kind: bool = False) -> Trial:
    said = {
        "title": f"{name} in a figure",
        "subtitle": "made up",
        "caption": "No more than a test.",
    }
    numbers = tuple(float(place % 7) for place in range(len(emotions)))
    heat = Heatmap(
        **said,
        rows=tuple(emotions),
        columns=tuple(emotions),
        values=tuple(numbers for _ in emotions),
        value_label="change (nats)",
        x_label="word",
        y_label="vector",
        limits=(-7.0, 7.0),
    )
    others = {
        "points": Scatter(
            **said, labels=tuple(emotions), x=numbers, y=numbers[::-1], x_label="x", y_label="y"
        ),
        "lines": Lines(
            **said,
            x_label="dose",
            panels=(
                Panel(y_label="y", lines=(Line(name=HOSTILE[0], x=(0.0, 1.0), y=(2.0, 1.0)),)),
            ),
        ),
        "bars": Bars(
            **said,
            categories=tuple(emotions),
            parts=(Part(name="part", values=numbers),),
            category_label="",
            value_label="count",
            horizontal=True,
        ),
    }
    pictures = {"matrix": heat, **(others if every_kind else {})}
    return Trial(
        name=name,
        question=f"does {name} hold for {emotions[0]}?",
        rows=[("accuracy on <b>held-out</b> topics", "0.42 [0.31, 0.53], chance 0.04")],
        paragraph=f"It was asked of {emotions[0]}.",
        limits=[f"Only {len(emotions)} emotions: {emotions[0]}"],
        pictures=[Picture(key, figure) for key, figure in pictures.items()],
    )


def grid(name: str, emotions: list[str]) -> Trial:
    return dataclasses.replace(
        trial(name, emotions), columns=("number", "ours", "paper"), rows=[(*emotions[:2], "0.81")]
    )


def contents(
    emotions: list[str], *, story: str = HOSTILE_STORY, every_section: bool = True
) -> Contents:
    geometry = made_up_analysis.synthetic_geometry(emotions, clusters=4)
    layers = made_up_analysis.synthetic_layers()
    lens = made_up_analysis.synthetic_lens(emotions, TOKENS)
    counts = made_up_analysis.synthetic_counts(emotions)
    analysis = {"geometry": geometry, "layers": layers, "lens": lens, "counts": counts}
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(18, len(emotions), 64, generator=generator)
    pieces = [f"{word} " for word in story.split(" ")]
    found = summary(emotions)
    return Contents(
        title=f"Emotion vectors of {emotions[0]}",
        study=headline.paragraphs(found, emotions, 12, "embedded:writer", 50),
        claims=headline.claims(found, results(emotions) if every_section else {}),
        rows=[("stories kept", "288 of 288"), ("steering at dose 0.1", "own word +1.20 nats")],
        map=describe_map(vectors, list(range(18)), geometry, layers, lens),
        pictures=figures.figures_of(analysis),
        stories=[
            HeatedStory(
                emotion=emotions[0],
                topic=HOSTILE[2],
                pieces=pieces,
                scores=[(-1) ** place * place / len(pieces) for place in range(len(pieces))],
                nearest=[(emotions[0], 0.2), (emotions[1], 0.1)],
            )
        ],
        limits=limits.weaknesses(found),
        facts=[("model under study", "gemma"), ("writer", HOSTILE[1])],
        ladder=trial("null-ladder", emotions) if every_section else None,
        scorecard=grid("scorecard", emotions) if every_section else None,
        steering=trial("steering", emotions) if every_section else None,
        trials=[
            trial("held-out-topics", emotions, every_kind=True),
            trial("clusters", emotions),
        ]
        if every_section
        else [],
    )
