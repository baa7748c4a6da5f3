"""Sensitivity: how far the headline statistics hang on choices of method that could be otherwise.

1. Valence, arousal, held-out accuracy and agreement with the paper's clusters under the run's own
   choices, then with one changed at a time: readout, neutral components (none; of documents or
   tokens, to 25, 50, 75 or 90% of the neutral variance), unit norm before the components.
2. Token offset (0, 20, 50): a part of the stories (``validation.sensitivity_texts``), spread evenly
   over emotions, is read again at the target layer; offsets are compared on this part alone.

Contract: a readout does not touch the vectors and unit norm does not touch the accuracy; there the
table repeats the run's own number.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from pydantic import computed_field
from torch import Tensor

from hooks import FromToken, LanguageModel, pooled_resid_post
from probes.analysis.findings import Finding
from probes.analysis.held_out import Design, topic_folds
from probes.corpus.cells import read_corpus
from probes.experiments import Experiment, NotMeasured
from probes.experiments.decoding.choice_table import (
    STATISTICS,
    ChoiceLine,
    ValueRange,
    choice_bars,
    spans,
    written,
)
from probes.experiments.decoding.robustness import (
    Choice,
    Headline,
    Sample,
    choice_of_run,
    sample_of,
)
from probes.experiments.decoding.story_result import StoryResult, fields_of, too_few_topics
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
    """The headline statistics under other choices: the run's own first, then one changed at a time.

    `offsets` are of the stories that `about_offsets` counts; `no_tokens`: no single neutral tokens
    were kept to take components of.
    """

    n_folds: int
    token_offset: int
    lines: Sequence[ChoiceLine]
    offsets: Sequence[ChoiceLine]
    about_offsets: ReadAgain
    no_tokens: bool

    @computed_field
    @property
    def range(self) -> Mapping[str, ValueRange | None]:
        """Range of every statistic over choices."""
        return spans(self.lines)

    @computed_field
    @property
    def range_of_offsets(self) -> Mapping[str, ValueRange | None]:
        """Range of every statistic over token offsets."""
        return spans(self.offsets)

    def findings(self) -> list[Finding]:
        """Say how far the statistics range."""
        n = f"{len(self.lines)} choices, {self.n}, chance {self.chance:.2f}"
        over = Finding(
            "range over choices of method", None, "described", n=n, note=written(self.lines)
        )
        again, name = self.about_offsets, "range over token offsets"
        if not self.offsets:
            return [over, Finding(name, None, "not measured", note=again.why)]
        n = f"{again.n_texts} of {again.n_all} stories on {again.n_topics} topics, read again"
        return [over, Finding(name, None, "described", n=n, note=written(self.offsets))]

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
        """Say which choices change a statistic by more than chance, and by how much."""
        limits = []
        for key, title in STATISTICS.items():
            changes = [
                f"{line.name} ({line.changes()[key]:+.2f})"
                for line in (*self.lines, *self.offsets)
                if key in line.changes()
            ]
            if changes:
                limits.append(f"{_NAME}: {title} would change with {', '.join(changes)}.")
        if self.no_tokens:
            limits.append(f"{_NAME}: no single neutral tokens were kept to take components of.")
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the table, and that of token offsets."""
        caption = f"Chance is {self.chance:.2f}. One choice is changed at a time."
        bars: dict[str, Figure] = {
            "sensitivity": choice_bars(
                self.lines,
                title="The same statistics under other choices of method",
                subtitle=self.subtitle,
                caption=caption,
            )
        }
        if self.offsets:
            about = self.about_offsets
            part = replace(self, n_rows=about.n_texts, n_topics=about.n_topics, rows_are="stories")
            bars["sensitivity_offsets"] = choice_bars(
                self.offsets,
                title="The same statistics with other tokens left out",
                subtitle=part.subtitle,
                caption=f"{caption} Read again on a part of the stories: compare these bars with "
                "each other, not with those of all stories.",
            )
        return bars


def measure(materials: Materials) -> Sensitivity | NotMeasured:
    """Change one choice at a time."""
    if (too_few := too_few_topics(_NAME, materials)) is not None:
        return too_few
    folds = TopicFolds(materials, materials.config.validation.n_folds)
    headline = Headline(materials, sample_of(materials, folds, materials.layer, _KINDS))
    of_run, lines = choice_of_run(materials), []
    choices = _choices(of_run, headline.sample)
    with materials.reporter.task("sensitivity", len(choices) + 1, "choices") as advance:
        before = headline.outcome(of_run)
        for name, choice in choices.items():
            own = choice == of_run
            outcome = before if own else headline.outcome(choice)
            lines.append(headline.line(name, outcome, None if own else before))
            advance(1)
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
    some = own if own.neutral != "none" else replace(own, neutral="document", threshold=0.5)
    named = [(_name_of(own), own)]
    for readout in ("centered cosine", "cosine", "dot", "z"):
        named.append((readout, replace(own, readout=readout)))
    flag = not own.unit_norm
    named.append(("unit norm" if flag else "no unit norm", replace(own, unit_norm=flag)))
    named.append(("neutral: none", replace(own, neutral="none", threshold=0.0)))
    for kind in _KINDS:
        if len(sample.neutral[kind][0]) >= 2:
            for threshold in THRESHOLDS:
                choice = replace(some, neutral=kind, threshold=threshold)
                named.append((_name_of(choice), choice))
    choices: dict[str, Choice] = {}
    for name, choice in named:
        if choice not in choices.values():
            choices[name] = choice
    return choices


def _name_of(choice: Choice) -> str:
    if choice.neutral == "none":
        return "neutral: none"
    return f"{choice.neutral}s {choice.threshold:.0%}"


def _offsets(materials: Materials) -> tuple[list[ChoiceLine], ReadAgain]:
    """Headline statistics by token offset on a part of the stories; why not, where not."""
    n_texts = materials.config.validation.sensitivity_texts
    if n_texts == 0:
        return [], ReadAgain(why="validation.sensitivity_texts is 0")
    if materials.index["per_cell"]:
        return [], ReadAgain(why="activations were kept per cell")
    stories = materials.stories(materials.layer)
    chosen = spread_out(stories, len(materials.emotions), n_texts)
    topics = {materials.topics[index] for index in stories.topic[chosen].tolist()}
    if len(topics) < MIN_TOPICS:
        return [], ReadAgain(why=f"{n_texts} stories are on fewer than {MIN_TOPICS} topics")
    model, own = materials.subject(), materials.config.activation.token_offset
    texts = materials.texts(stories)
    offsets = sorted({*OFFSETS, own})
    how = {"layer": materials.layer, "offsets": offsets, "batch_tokens": materials.batch_tokens}
    read = _read(model, [texts[index] for index in chosen.tolist()], **how)
    neutral = read_corpus(materials.run.root, materials.run.neutral_cells)
    neutral = [text for text in neutral if text.topic in topics]
    documents = _read(model, [text.text for text in neutral], **how)
    usable, usable_neutral = _at_all_offsets(read), _at_all_offsets(documents)
    design, fold_of = _design(materials, stories, chosen[usable])
    if design.n_topics < MIN_TOPICS or len(design.emotion.unique()) < design.n_emotions:
        return [], ReadAgain(why=f"too few stories are longer than {max(offsets)} tokens")
    about = [text.topic for text, use in zip(neutral, usable_neutral.tolist(), strict=True) if use]
    lines, before = [], None
    # The run's own offset first: the others are compared with it.
    for offset in [own, *(each for each in offsets if each != own)]:
        samples = {"document": (documents[offset][usable_neutral], about)}
        sample = Sample(read[offset][usable], design, fold_of.get, samples)
        headline = Headline(materials, sample)
        outcome = headline.outcome(_for_documents(choice_of_run(materials)))
        lines.append(headline.line(f"offset {offset}", outcome, before))
        before = before or outcome
    return lines, ReadAgain(len(design.emotion), design.n_topics, len(stories.emotion))


def _at_all_offsets(read: Mapping[int, Float[Tensor, "text d_model"]]) -> Bool[Tensor, "text"]:
    """Whether a text has a token left at the last offset: one set of texts for all offsets."""
    return torch.stack(list(read.values())).isfinite().all(dim=2).all(dim=0)


def _design(
    materials: Materials, stories: Stories, kept: Int[Tensor, "kept"]
) -> tuple[Design, dict[str, int]]:
    """Say what some stories are, their topics numbered anew, and which fold a topic is in."""
    topics, topic = stories.topic[kept].unique(return_inverse=True)
    if len(topics) < MIN_TOPICS:
        fold = torch.zeros(len(topics), dtype=torch.long)
    else:
        fold = topic_folds(len(topics), materials.config.validation.n_folds, materials.seed)
    names = [materials.topics[index] for index in topics.tolist()]
    weight = torch.ones_like(topic)
    design = Design(stories.emotion[kept], topic, weight, fold, len(materials.emotions))
    return design, dict(zip(names, fold.tolist(), strict=True))


def _for_documents(choice: Choice) -> Choice:
    """Components of documents where the run takes them of tokens, which are not read again."""
    return replace(choice, neutral="document") if choice.neutral == "token" else choice


def spread_out(stories: Stories, n_emotions: int, n_texts: int) -> Int[Tensor, "chosen"]:
    """Choose stories: one of every emotion on a topic, topic after topic, then the next of each."""
    keys = list(
        zip(stories.topic.tolist(), stories.emotion.tolist(), stories.index.tolist(), strict=True)
    )
    seen, turn = Counter(), []
    for topic, emotion, _ in keys:
        turn.append(seen[topic, emotion])
        seen[topic, emotion] += 1
    order = sorted(range(len(keys)), key=lambda row: (turn[row], *keys[row]))
    whole = max(n_texts - n_texts % n_emotions, min(n_texts, MIN_TOPICS * n_emotions))
    return torch.tensor(sorted(order[:whole]), dtype=torch.long)


def _read(
    model: LanguageModel,
    texts: Sequence[str],
    layer: int,
    offsets: Sequence[int],
    batch_tokens: int | None = None,
) -> dict[int, Float[Tensor, "text d_model"]]:
    """Mean residual from every offset on, each text read once; NaN where no token is left."""
    nothing = torch.full((len(texts), model.d_model), torch.nan)
    means = {offset: nothing.clone() for offset in offsets}
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = texts[start : start + _TEXTS_AT_ONCE]
        pooled = pooled_resid_post(
            model, some, layers=[layer], keep=FromToken(0), batch_tokens=batch_tokens
        )
        for number in range(len(some)):
            tokens = pooled.tokens[pooled.token_text == number, 0]
            for offset, rows in means.items():
                if len(tokens) > offset:
                    rows[start + number] = tokens[offset:].double().mean(dim=0).float()
    return means
