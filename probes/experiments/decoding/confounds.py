"""Confounds: what else than its emotion decides how high a story scores.

1. The share of the variance, among stories of one emotion, of the score on that emotion's vector
   (made on other topics) that topic, length in tokens, narrator, writer and leaked words explain.
2. The share of the activations' norm and variance that a few dimensions hold, and the mean cosine
   of two stories before and after the mean is subtracted.
3. The headline statistics without the largest dimensions, and with every dimension divided by its
   spread over the stories (no label is used).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import SIGNIFICANT, Finding
from probes.analysis.held_out import held_out_scores
from probes.analysis.variance_explained import TOPIC, Share, adjusted_r2, variance_explained
from probes.experiments import Experiment, NotMeasured
from probes.experiments.decoding import choice_table
from probes.experiments.decoding.choice_table import STATISTICS, ChoiceLine, spans, written
from probes.experiments.decoding.robustness import Headline, choice_of_run, sample_of
from probes.experiments.decoding.story_result import StoryResult, fields_of, too_few_topics
from probes.experiments.decoding.story_traits import narrator, writers
from probes.experiments.folds import TopicFolds
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.runs.materials import Materials, Stories
from probes.stimuli import leaks
from probes.vectors.denoising import outlier_dimensions
from probes.vectors.normalize import inverse_sd

DIMENSIONS = (1, 5)
"""How many of the largest dimensions are reported, and dropped."""
_NAME = "Confounds"
_PER_CELL = "activations were kept per cell"
Columns = Float[Tensor, "row _column"]
Rows = Float[Tensor, "row d_model"]


@dataclass(frozen=True)
class Tokens:
    """The shortest, the mean and the longest story."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class Counts:
    """What the stories are like; only their length is known of means of cells."""

    tokens: Tokens
    narrators: Mapping[str, int] = field(default_factory=dict)
    leaked: int = 0
    writers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Largest:
    """Share of the squared norm and of the variance in the largest dimensions, and in any."""

    norm: float
    norm_dimensions: Sequence[int]
    variance: float
    variance_dimensions: Sequence[int]
    even: float


@dataclass(frozen=True)
class Anisotropy:
    """Mean cosine over all pairs of stories, as they are and less the mean story."""

    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Confounds(StoryResult):
    """What explains the scores (`missing`: why a factor has no share), and the robust options."""

    n_permutations: int
    factors: Mapping[str, Share]
    by_emotion: Mapping[str, Mapping[str, float | None]]
    missing: Mapping[str, str]
    counts: Counts
    d_model: int
    dimensions: Mapping[str, Largest]
    anisotropy: Anisotropy
    robust: Sequence[ChoiceLine]

    def findings(self) -> list[Finding]:
        """Say what each factor explains, and how far the statistics rest on few dimensions."""
        findings = [
            Finding(
                f"score explained by {name}",
                share,
                "described",
                spec=".1%",
                n=self.n,
                p=share.p,
                n_null=self.n_permutations,
                note=f"{share.beyond:.1%} beyond the other factors",
            )
            for name, share in self.factors.items()
        ]
        others = "; ".join(f"{name}: {why}" for name, why in self.missing.items())
        if others:
            findings.append(Finding("score explained by others", None, "described", note=others))
        robust = written(self.robust)
        return [*findings, Finding("range over robust options", None, "described", note=robust)]

    def paragraph(self) -> str:
        """Tell what explains the scores, and what the activations are like."""
        shares = [
            f"{name} explains {finding.estimate:.1%} ({finding.p_value})"
            for name, finding in zip(self.factors, self.findings(), strict=False)
        ]
        explained = "There are too few stories to tell what explains these scores."
        if shares:
            explained = (
                "Of the variance of that score among stories of one emotion, "
                f"{'; '.join(shares)} (adjusted R2: what says nothing scatters around zero)."
            )
        largest = ""
        if (it := self.dimensions.get("1")) is not None:
            largest = (
                f" Dimension {it.norm_dimensions[0]} alone holds {it.norm:.1%} of the activations' "
                f"squared norm, and no dimension more than {it.variance:.1%} of the variance among "
                "stories."
            )
        return (
            "Every story was scored on its own emotion's vector, made on other topics. "
            f"{explained}{largest} Two stories have a mean cosine of {self.anisotropy.before:.2f}, "
            f"and of {self.anisotropy.after:.2f} once the mean is subtracted. With the largest "
            "dimensions dropped, or all of one size, held-out accuracy ranges from "
            f"{spans(self.robust)['accuracy']}."
        )

    def limits(self) -> list[str]:
        """Say what makes scores incomparable, and what few dimensions carry."""
        limits = [
            f"{_NAME}: {name} explains {share.value:.1%} of an emotion's score among its own "
            f"stories (p = {share.p:.2g}); scores of stories that differ in it are not comparable."
            for name, share in self.factors.items()
            if share.p <= SIGNIFICANT and share.above_zero
        ]
        if self.counts.leaked:
            limits.append(
                f"{_NAME}: {self.counts.leaked} of {self.n_rows} stories name their emotion or a "
                "synonym."
            )
        limits += [
            f"{_NAME}: with dimensions {line.name}, {STATISTICS[key]} falls by "
            f"{-change.value:.2f}: part of it lives in few dimensions or in their scale."
            for line in self.robust
            for key, change in line.changes().items()
            if change.value < 0
        ]
        if self.rows_are != "stories":
            limits.append(f"{_NAME}: {_PER_CELL}, so only topic and mean length were tested.")
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe what explains each emotion's score, and the robust options."""
        robust = choice_table.choice_bars(
            self.robust,
            title="Does the result rest on a few dimensions",
            subtitle=self.subtitle,
            caption="A bar far below the first of its kind: the statistic rests on the "
            "dimensions that were dropped, or on their scale.",
        )
        explained = {"confounds_by_emotion": _by_emotion(self)} if self.factors else {}
        return {"robust_options": robust, **explained}


def measure(materials: Materials) -> Confounds | NotMeasured:
    """Explain the scores, then take away what could carry them."""
    if (too_few := too_few_topics(_NAME, materials)) is not None:
        return too_few
    folds = TopicFolds(materials, materials.config.validation.n_folds)
    stories = materials.stories(materials.layer)
    factors, missing, counts = _factors(materials, stories)
    with materials.reporter.task("confounds", 3, "parts") as advance:
        shares, by_emotion, unknown = _shares(materials, folds, factors)
        advance(1)
        rows = stories.mean.double()
        deviations = rows - rows.mean(dim=0)
        dimensions = {
            str(k): _largest(rows, deviations, k) for k in DIMENSIONS if k < rows.shape[1]
        }
        anisotropy = Anisotropy(_mean_cosine(rows), _mean_cosine(deviations))
        advance(1)
        robust = _robust(materials, folds, rows)
        advance(1)
    return Confounds(
        **fields_of(materials),
        n_permutations=materials.config.validation.n_permutations,
        factors=shares,
        by_emotion=by_emotion,
        missing={**missing, **unknown},
        counts=counts,
        d_model=rows.shape[1],
        dimensions=dimensions,
        anisotropy=anisotropy,
        robust=robust,
    )


EXPERIMENT = Experiment(Confounds, measure)


def _factors(
    materials: Materials, stories: Stories
) -> tuple[dict[str, Columns], dict[str, str], Counts]:
    """Columns of every factor that this run has, why it has no others, and what was counted."""
    length = stories.n_tokens.double() / stories.n_texts
    factors = {"length": rearrange(length, "row -> row 1")}
    tokens = Tokens(float(length.min()), float(length.mean()), float(length.max()))
    if materials.index["per_cell"]:
        of_texts = ("narrator", "leaked words", "writer")
        return factors, dict.fromkeys(of_texts, _PER_CELL), Counts(tokens)
    texts = materials.texts(stories)
    narrators, by = [narrator(text) for text in texts], writers(materials, stories)
    emotions = [materials.emotions[index] for index in stories.emotion.tolist()]
    leaked = [bool(leaks(text, emotion)) for text, emotion in zip(texts, emotions, strict=True)]
    factors["narrator"], missing = _levels(narrators), {}
    if len(set(by)) > 1:
        factors["writer"] = _levels(by)
    else:
        missing["writer"] = "one writer" if by[0] != "unknown" else "no writer is named"
    if any(leaked):
        factors["leaked words"] = rearrange(torch.tensor(leaked).double(), "row -> row 1")
    else:
        filtered = "" if materials.run.brings_corpus else ", the run's own filter saw to it"
        missing["leaked words"] = f"in 0 stories{filtered}"
    of_narrators, of_writers = (dict(sorted(Counter(each).items())) for each in (narrators, by))
    return factors, missing, Counts(tokens, of_narrators, sum(leaked), of_writers)


def _levels(names: Sequence[str]) -> Float[Tensor, "row level"]:
    levels = sorted(set(names))
    return torch.tensor([[name == level for level in levels] for name in names]).double()


def _shares(
    materials: Materials, folds: TopicFolds, factors: Mapping[str, Columns]
) -> tuple[dict[str, Share], dict[str, dict[str, float | None]], dict[str, str]]:
    """Share of the own score's variance by factor, over all emotions and in each."""
    design, layer, settings = folds.design, materials.layer, materials.config.validation
    scores = held_out_scores(folds.rows(layer), design, folds.bases(layer))
    score = scores.gather(1, rearrange(design.emotion, "row -> row 1"))[:, 0].double()
    finite = score.isfinite()
    score, emotion, topic = score[finite], design.emotion[finite], design.topic[finite]
    columns = {name: values[finite] for name, values in factors.items()}
    try:
        shares = variance_explained(
            score,
            columns,
            emotion,
            topic,
            n_resamples=settings.n_bootstrap,
            n_permutations=settings.n_permutations,
            seed=materials.seed,
        )
    except InvalidInput:
        return {}, {}, dict.fromkeys((TOPIC, *factors), "too few stories")
    missing = {name: "does not vary" for name, share in shares.items() if share is None}
    known = {name: share for name, share in shares.items() if share is not None}
    columns[TOPIC] = torch.nn.functional.one_hot(topic, len(materials.topics)).double()
    by_emotion = {
        name: {factor: adjusted_r2(score[rows], columns[factor][rows]) for factor in known}
        for index, name in enumerate(materials.emotions)
        if int((rows := emotion == index).sum()) > 2
    }
    return known, by_emotion, missing


def _largest(rows: Rows, deviations: Rows, k: int) -> Largest:
    norm, variance = (
        outlier_dimensions(rearrange(each, "row d -> row 1 d"), k) for each in (rows, deviations)
    )
    return Largest(
        float(norm.share[0]),
        norm.dimensions[0].tolist(),
        float(variance.share[0]),
        variance.dimensions[0].tolist(),
        k / rows.shape[1],
    )


def _mean_cosine(rows: Rows) -> float:
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    together = reduce(rows / length.clamp(min=1e-30), "row d -> d", "sum")
    n = len(rows)
    return float((together @ together - n) / (n * (n - 1)))


def _robust(materials: Materials, folds: TopicFolds, rows: Rows) -> list[ChoiceLine]:
    """Headline statistics before and after every robust option."""
    choice = choice_of_run(materials)
    sample = sample_of(materials, folds, materials.layer, [choice.neutral])
    before, lines = None, []
    for name, change in _options(rows).items():
        headline = Headline(materials, sample.changed(change))
        outcome = headline.outcome(choice)
        lines.append(headline.line(name, outcome, before))
        before = before or outcome
    return lines


def _options(rows: Rows) -> dict[str, Callable[[Tensor], Tensor]]:
    """Ways to change activations, the unchanged first; stories and neutral samples alike."""
    scale = inverse_sd(rows)
    energy = rows.square().mean(dim=0)

    def without(dropped: Int[Tensor, "k"]) -> Callable[[Tensor], Tensor]:
        kept = torch.ones(rows.shape[1]).index_fill(0, dropped, 0.0)
        return lambda values: values * kept

    options: dict[str, Callable[[Tensor], Tensor]] = {"as it is": lambda values: values}
    for k in DIMENSIONS:
        if k < rows.shape[1]:
            name = "largest dropped" if k == 1 else f"{k} largest dropped"
            options[name] = without(energy.topk(k).indices)
    options["standardized"] = lambda values: (values.double() * scale).float()
    return options


def _by_emotion(result: Confounds) -> Heatmap:
    """Describe the share of every emotion's score that each factor explains."""
    emotions = result.by_emotion
    shares = {
        name: (share.value, *(row[name] or 0.0 for row in emotions.values()))
        for name, share in result.factors.items()
        if any(row[name] is not None for row in emotions.values())
    }
    values = tuple(tuple(max(0.0, share) for share in row) for row in shares.values())
    return Heatmap(
        title="What explains a story's score on its own emotion",
        subtitle=result.subtitle,
        caption="Share of the variance of held-out scores among stories of one emotion (adjusted "
        "R2; below zero is shown as zero). Single emotions rest on few stories each and scatter; "
        "the first column has an interval and a p-value in the run's table.",
        rows=tuple(shares),
        columns=("all", *emotions),
        values=values,
        value_label="share of variance",
        x_label="",
        y_label="",
        limits=(0.0, max(0.1, *(max(row) for row in values))),
        palette="sequential",
    )
