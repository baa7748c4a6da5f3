"""Sensitivity: how far the headline statistics hang on choices of method that could be otherwise.

1. One choice is changed at a time: readout, neutral components (kind and share of variance), unit
   norm before the components. A readout does not touch the vectors, nor unit norm the accuracy.
2. Token offset: stories are read again, a part of them (``validation.sensitivity_texts``) spread
   evenly over emotions; offsets are compared with each other on this part alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from jaxtyping import Bool, Float, Int
from pydantic import computed_field
from torch import Tensor

from hooks import LanguageModel, pooled_resid_post
from hooks.reading.pieces import join, spans_of_pieces
from probes.analysis.findings import Finding
from probes.analysis.held_out import Design, topic_folds
from probes.analysis.parallel import parallel_map
from probes.corpus.cells import Passage, read_corpus
from probes.experiments import Experiment, NotMeasured
from probes.experiments.decoding import choice_table, robustness
from probes.experiments.decoding.choice_table import (
    STATISTICS,
    ChoiceLine,
    changes_of,
    spans,
    written,
)
from probes.experiments.decoding.robustness import Choice, Headline, Readout, Sample
from probes.experiments.decoding.story_result import StoryResult, cannot_hold_out, fields_of
from probes.experiments.folds import MIN_TOPICS, NeutralKind, TopicFolds
from probes.figures import Figure
from probes.runs.materials import Materials, Stories

THRESHOLDS = (0.25, 0.5, 0.75, 0.9)
OFFSETS = (0, 20, 50)
_KINDS: tuple[NeutralKind, ...] = ("document", "token")
_NAME = "Sensitivity"
_TEXTS_AT_ONCE = 16
"""Texts whose single tokens are held in memory at a time."""


@dataclass(frozen=True)
class ReadAgain:
    """Stories that were read again, of how many; or why none were."""

    n_texts: int = 0
    n_topics: int = 0
    n_all: int = 0
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Sensitivity(StoryResult):
    """The headline statistics under the run's own choices, then with one changed at a time."""

    n_folds: int
    token_offset: int
    lines: Sequence[ChoiceLine]
    offsets: Sequence[ChoiceLine]
    about_offsets: ReadAgain
    no_tokens: bool

    @computed_field
    @property
    def range(self) -> Mapping[str, choice_table.ValueRange | None]:
        """Range of every statistic over choices."""
        return spans(self.lines)

    @computed_field
    @property
    def range_of_offsets(self) -> Mapping[str, choice_table.ValueRange | None]:
        """Range of every statistic over token offsets."""
        return spans(self.offsets)

    def findings(self) -> list[Finding]:
        """Say how far the statistics range."""
        again, of_choices = self.about_offsets, written(self.lines)
        n = f"{len(self.lines)} choices, {self.n}, chance {self.chance:.2f}"
        over = Finding("range over choices of method", None, "described", n=n, note=of_choices)
        name, of_offsets = "range over token offsets", written(self.offsets)
        if not self.offsets:
            return [over, Finding(name, None, "not measured", note=again.why)]
        n = f"{again.n_texts} of {again.n_all} stories on {again.n_topics} topics, read again"
        return [over, Finding(name, None, "described", n=n, note=of_offsets)]

    def paragraph(self) -> str:
        """Tell what was changed, and between what the statistics range."""
        [own] = (line for line in self.lines if line.own)
        neutral = "" if own.name == "neutral: none" else "neutral components of "
        by_statistic = "; ".join(
            f"{STATISTICS[key]} is {own.known()[key]} and ranges from {span}"
            for key, span in self.range.items()
            if span is not None
        )
        again = ""
        if self.offsets:
            again = (
                f" With other first tokens left out, {self.about_offsets.n_texts} stories that "
                "were read again give a held-out accuracy from "
                f"{self.range_of_offsets['accuracy']}."
            )
        return (
            f"The vectors of layer {self.layer} were made and read in {len(self.lines)} ways, one "
            f"choice changed at a time. With the run's own choices ({neutral}{own.name}, centered "
            f"cosine) {by_statistic}.{again}"
        )

    def limits(self) -> list[str]:
        """Say which choices change a statistic, by how much, and how many chance alone would."""
        limits, lines = [], [*self.lines, *self.offsets]
        n_tried, changed = sum(len(line.tried()) for line in lines), changes_of(lines)
        for key, title in STATISTICS.items():
            changes = [
                f"{name} ({each[key]:+.2f})" for name, each in changed.items() if key in each
            ]
            if changes:
                limits.append(f"{_NAME}: {title} would change with {', '.join(changes)}.")
        if limits:
            limits.append(
                f"{_NAME}: {sum(map(len, changed.values()))} of {n_tried} changes are named, at "
                "q < .05 among all of them."
            )
        if self.no_tokens:
            limits.append(f"{_NAME}: no single neutral tokens were kept to take components of.")
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the table, and that of token offsets."""
        caption = f"Chance is {self.chance:.2f}. One choice is changed at a time."
        bars = choice_table.choice_bars(
            self.lines,
            title="The same statistics under other choices of method",
            subtitle=self.subtitle,
            caption=caption,
        )
        if not self.offsets:
            return {"sensitivity": bars}
        about = self.about_offsets
        part = replace(self, n_rows=about.n_texts, n_topics=about.n_topics, rows_are="stories")
        of_offsets = choice_table.choice_bars(
            self.offsets,
            title="The same statistics with other tokens left out",
            subtitle=part.subtitle,
            caption=f"{caption} Read again on a part of the stories: compare these bars with "
            "each other, not with those of all stories.",
        )
        return {"sensitivity": bars, "sensitivity_offsets": of_offsets}


def measure(materials: Materials) -> Sensitivity | NotMeasured:
    """Change one choice at a time."""
    materials = materials.by_story
    if (undefined := cannot_hold_out(_NAME, materials)) is not None:
        return undefined
    folds = TopicFolds(materials, materials.config.validation.n_folds)
    headline = Headline(materials, robustness.sample_of(materials, folds, materials.layer, _KINDS))
    of_run = robustness.choice_of_run(materials)
    choices = _choices(of_run, headline.sample)
    with materials.reporter.task("sensitivity", len(choices) + 1, "choices") as advance:
        before = headline.outcome(of_run)

        def line(name: str) -> ChoiceLine:
            own = choices[name] == of_run
            outcome = before if own else headline.outcome(choices[name])
            return headline.line(name, outcome, None if own else before)

        lines = parallel_map(line, list(choices), advance)
        offsets, about = _offsets(materials)
        advance(1)
    return Sensitivity(
        **fields_of(materials),
        n_folds=folds.design.n_folds,
        token_offset=materials.config.activation.token_offset,
        lines=lines,
        offsets=offsets,
        about_offsets=about,
        no_tokens=len(headline.sample.neutral["token"][0]) < 2,
    )


EXPERIMENT = Experiment(Sensitivity, measure)


def _choices(own: Choice, sample: Sample) -> dict[str, Choice]:
    """Every choice by its name, the run's own first; none twice."""

    def neutral(kind: NeutralKind, threshold: float) -> tuple[Choice, str]:
        name = "neutral: none" if kind == "none" else f"{kind}s {threshold:.0%}"
        return replace(own, neutral=kind, threshold=threshold), name

    named = [neutral(own.neutral, own.threshold)]
    named += [(replace(own, readout=readout), readout) for readout in get_args(Readout)]
    unit_norm = replace(own, unit_norm=not own.unit_norm)
    named += [(unit_norm, "no unit norm" if own.unit_norm else "unit norm"), neutral("none", 0.0)]
    kinds: list[NeutralKind] = [kind for kind in _KINDS if len(sample.neutral[kind][0]) >= 2]
    named += [neutral(kind, threshold) for kind in kinds for threshold in THRESHOLDS]
    names: dict[Choice, str] = {}
    for choice, name in named:
        names.setdefault(choice, name)
    return {name: choice for choice, name in names.items()}


def _offsets(materials: Materials) -> tuple[list[ChoiceLine], ReadAgain]:
    """Headline statistics by token offset on a part of the stories; why not, where not."""
    n_texts = materials.config.validation.sensitivity_texts
    if n_texts == 0:
        return [], ReadAgain(why="validation.sensitivity_texts is 0")
    if materials.per_cell:
        return [], ReadAgain(why="activations were kept per cell")
    stories = materials.stories(materials.layer)
    chosen = spread_out(stories, len(materials.emotions), n_texts)
    topics = {materials.topics[index] for index in stories.topic[chosen].tolist()}
    if len(topics) < MIN_TOPICS:
        return [], ReadAgain(why=f"{n_texts} stories are on fewer than {MIN_TOPICS} topics")
    model, passages = materials.subject(), materials.passages(stories)
    own = _own_offset(materials, passages)
    offsets = sorted({*OFFSETS, own})
    where, how = (materials.layer, offsets), {"batch_tokens": materials.batch_tokens}
    read = _read(model, [passages[index] for index in chosen.tolist()], *where, **how)
    neutral = list(read_corpus(materials.run.root, materials.run.neutral_cells))
    # Neutral text of a corpus may know no topic of its stories.
    neutral = [text for text in neutral if text.topic in topics] or neutral
    documents = _read(model, [text.passage for text in neutral], *where, **how)
    usable, usable_neutral = _at_all_offsets(read), _at_all_offsets(documents)
    design, fold_of = _design(materials, stories, chosen[usable])
    if design.n_topics < MIN_TOPICS or len(design.emotion.unique()) < design.n_emotions:
        return [], ReadAgain(why=f"too few stories are longer than {max(offsets)} tokens")
    about = [text.topic for text, use in zip(neutral, usable_neutral.tolist(), strict=True) if use]
    lines, before, choice = [], None, robustness.choice_of_run(materials)
    if choice.neutral == "token":
        # Single tokens are not read again: components are of documents instead.
        choice = replace(choice, neutral="document")
    # The run's own offset first: the others are compared with it.
    for offset in [own, *(each for each in offsets if each != own)]:
        samples = {"document": (documents[offset][usable_neutral], about)}
        sample = Sample(read[offset][usable], design, fold_of.get, samples)
        headline = Headline(materials, sample)
        outcome = headline.outcome(choice)
        lines.append(headline.line(f"offset {offset}", outcome, before))
        before = before or outcome
    return lines, ReadAgain(len(design.emotion), design.n_topics, len(stories.emotion))


def _own_offset(materials: Materials, passages: Sequence[Passage]) -> int:
    """Return how many of a text's own tokens the run did not read: none after an opening."""
    has_openings = any(passage.opening for passage in passages)
    return 0 if has_openings else materials.config.activation.token_offset


def _at_all_offsets(read: Mapping[int, Float[Tensor, "text d_model"]]) -> Bool[Tensor, "text"]:
    """Whether a text has a token left at the last offset: one set of texts for all offsets."""
    return torch.stack(list(read.values())).isfinite().all(dim=2).all(dim=0)


def _design(
    materials: Materials, stories: Stories, kept: Int[Tensor, "kept"]
) -> tuple[Design, dict[str, int]]:
    """Say what some stories are, their topics numbered anew, and which fold a topic is in."""
    topics, topic = stories.topic[kept].unique(return_inverse=True)
    fold = torch.zeros(len(topics), dtype=torch.long)
    if len(topics) >= MIN_TOPICS:
        fold = topic_folds(len(topics), materials.config.validation.n_folds, materials.seed)
    names = [materials.topics[index] for index in topics.tolist()]
    emotion, weight = stories.emotion[kept], torch.ones_like(topic)
    design = Design(emotion, topic, weight, fold, len(materials.emotions))
    return design, dict(zip(names, fold.tolist(), strict=True))


def spread_out(stories: Stories, n_emotions: int, n_texts: int) -> Int[Tensor, "chosen"]:
    """Choose stories: one of every emotion on a topic, topic after topic, then the next of each."""
    keys = torch.stack([stories.topic, stories.emotion, stories.index], dim=1).tolist()
    seen, turn = Counter(), []
    for topic, emotion, _ in keys:
        turn.append(seen[topic, emotion])
        seen[topic, emotion] += 1
    order = sorted(range(len(keys)), key=lambda row: (turn[row], *keys[row]))
    whole = max(n_texts - n_texts % n_emotions, min(n_texts, MIN_TOPICS * n_emotions))
    return torch.tensor(sorted(order[:whole]), dtype=torch.long)


def _read(
    model: LanguageModel,
    texts: Sequence[Passage],
    layer: int,
    offsets: Sequence[int],
    **options: Any,
) -> dict[int, Float[Tensor, "text d_model"]]:
    """Mean residual from every offset of a text's own tokens on; NaN where no token is left."""
    means = {offset: torch.full((len(texts), model.d_model), torch.nan) for offset in offsets}
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = texts[start : start + _TEXTS_AT_ONCE]
        own = [spans_of_pieces(model, (it.opening, it.text))[1] for it in some]
        whole = [join((it.opening, it.text)) for it in some]
        pooled = pooled_resid_post(model, whole, own, layers=[layer], keep=own, **options)
        for number in range(len(some)):
            tokens = pooled.tokens[pooled.token_text == number, 0]
            for offset, rows in means.items():
                if len(tokens) > offset:
                    rows[start + number] = tokens[offset:].double().mean(dim=0).float()
    return means
