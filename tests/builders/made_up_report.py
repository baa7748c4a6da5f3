"""A made-up report: every section filled, hostile names and texts wherever a text can stand."""

import dataclasses
from typing import Any

import made_up_analysis
import torch
from made_up_analysis import HOSTILE

from probes.analysis.findings import Estimate
from probes.experiments.decoding import held_out_topics, ladder_rungs, null_ladder
from probes.experiments.geometry import clusters
from probes.figures.description import Bars, Heatmap, Line, Lines, Panel, Part, Scatter
from probes.report import claims, limits, pictures
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
    rating = {"r": -0.9, "low": -0.95, "high": -0.77, "n": 24, "n_searched": 5}
    rating |= {"component": 0, "sign": -1}
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
            "labels": [0] * len(emotions),
            "silhouette": 0.2,
            "stability": 0.8,
            "stability_low": 0.7,
            "stability_high": 0.9,
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


def around(value: float, half: float = 0.1) -> Estimate:
    return Estimate(value, value - half, value + half)


STATISTICS = ("valence", "arousal", "accuracy", "clusters")


def ladder(emotions: list[str]) -> null_ladder.NullLadder:
    def rung(name: str, value: float) -> ladder_rungs.Rung:
        valence = ladder_rungs.RatedRung(value, value - 0.1, value + 0.1, component=0)
        return ladder_rungs.Rung(name, valence, around(value), around(value), valence)

    return null_ladder.NullLadder(
        **STUDY,
        emotions=emotions,
        early_layer=4,
        n_folds=4,
        n_rated=24,
        n_clustered=24,
        n_refits=20,
        rungs=[
            rung(ladder_rungs.RANDOM, 0.1),
            rung(ladder_rungs.WORD_COUNTS, 0.2),
            rung(ladder_rungs.EMBEDDINGS, 0.3),
            rung("analyzed layer (12)", 0.5),
        ],
        gain=ladder_rungs.Gain(*[around(0.2)] * 4, over=dict.fromkeys(STATISTICS, "word counts")),
    )


def accuracy(emotions: list[str]) -> held_out_topics.HeldOutTopics:
    null = held_out_topics.Null(mean=0.05, upper=0.1, p=0.01, n=100)
    nulls = held_out_topics.Nulls(mean=0.05, upper=0.1, p=0.01, n=100, top_3=null, balanced=null)
    right = held_out_topics.Accuracies(around(0.4), around(0.6), around(0.4))
    return held_out_topics.HeldOutTopics(
        **STUDY,
        emotions=emotions,
        layer_rule="2/3 of depth",
        layers=[12],
        n_folds=4,
        n_permutations=100,
        nearest=[right],
        logistic=[right],
        permuted=[nulls],
        logistic_permuted=null,
        nested=held_out_topics.Nested(around(0.3), [12] * 4, 0.4, 0.02, 20, 0.02),
    )


def paper_clusters(emotions: list[str]) -> clusters.Clusters:
    index = clusters.Index(0.4, 0.2, 0.6, permuted=0.0, p=0.01, shuffled=0.0, shuffled_upper=0.15)
    kmeans = clusters.Clustering([0] * len(emotions), index, index, clusters.Stability(0.5))
    return clusters.Clusters("gemma", 12, emotions, 4, 100, 20, {"k-means": kmeans})


STUDY = {"model": "gemma", "layer": 12, "n_rows": 288, "n_topics": 12}


def trial(name: str, emotions: list[str], *, every_kind: bool = False) -> Trial:
    words = {
        "title": f"{name} in a figure",
        "subtitle": "made up",
        "caption": "No more than a test.",
    }
    numbers = tuple(float(index % 7) for index in range(len(emotions)))
    heat = Heatmap(
        **words,
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
            **words, labels=tuple(emotions), x=numbers, y=numbers[::-1], x_label="x", y_label="y"
        ),
        "lines": Lines(
            **words,
            x_label="dose",
            panels=(
                Panel(y_label="y", lines=(Line(name=HOSTILE[0], x=(0.0, 1.0), y=(2.0, 1.0)),)),
            ),
        ),
        "bars": Bars(
            **words,
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
    analysis = made_up_analysis.analysis_of(emotions)
    geometry, lens = analysis["geometry"], analysis["lens"]
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(18, len(emotions), 64, generator=generator)
    pieces = [f"{word} " for word in story.split(" ")]
    of_run, climbed = summary(emotions), ladder(emotions)
    measured = [accuracy(emotions), climbed, paper_clusters(emotions)] if every_section else []
    opening = claims.headlines([geometry, lens, *measured])
    rungs = {key: climbed.rungs_of(key) for key in STATISTICS}
    return Contents(
        title=f"Emotion vectors of {emotions[0]}",
        study=claims.paragraphs(of_run, opening, emotions, 12, "embedded:writer", 50),
        claims=opening,
        rungs=rungs if every_section else {},
        rows=[("stories kept", "288 of 288"), ("steering at dose 0.1", "own word +1.20 nats")],
        map=describe_map(
            vectors,
            list(range(18)),
            geometry,
            analysis["layers"],
            lens,
            {emotion: [("Reliability", "0.50"), ("Story", story)] for emotion in emotions},
        ),
        pictures=pictures.figures_of(**analysis),
        stories=[
            HeatedStory(
                emotion=emotions[0],
                topic=HOSTILE[2],
                pieces=pieces,
                scores=[(-1) ** index * index / len(pieces) for index in range(len(pieces))],
                nearest=[(emotions[0], 0.2), (emotions[1], 0.1)],
            )
        ],
        limits=limits.weaknesses(of_run),
        facts=[("model under study", "gemma"), ("writer", HOSTILE[1])],
        trials=[
            trial("held-out-topics", emotions, every_kind=True),
            trial("null-ladder", emotions),
            trial("clusters", emotions),
            trial("steering", emotions),
            grid("scorecard", emotions),
        ]
        if every_section
        else [],
    )
