"""Confounds: what else than its emotion decides how high a story scores.

1. The share of the variance, among stories of one emotion, of the score on that emotion's vector
   (made on other topics) that each factor explains (`story_factors`, `analysis.factor_shifts`), and
   how many more stories would be named right if its shift were known and taken out.
2. The share of the activations' norm and variance that a few dimensions hold, and the mean cosine
   of two stories before and after the mean is subtracted.
3. How pleasant each topic is by itself: its stories' mean, over all emotions, on the axis from
   unpleasant to pleasant (`analysis.topic_tilt`).
4. The headline statistics without the largest dimensions, and with every dimension divided by its
   spread over the stories (no label is used).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.agreement import rating_table
from probes.analysis.factor_shifts import factor_shifts, on_own
from probes.analysis.findings import SIGNIFICANT, Estimate, Finding
from probes.analysis.held_out import held_out_scores, rank_of
from probes.analysis.intervals import mean_over
from probes.analysis.rating_plane import valence_axis
from probes.analysis.topic_tilt import topic_tilt
from probes.analysis.variance_explained import TOPIC, Share, adjusted_r2, variance_explained
from probes.experiments import Experiment, NotMeasured
from probes.experiments.decoding import choice_table
from probes.experiments.decoding.choice_table import STATISTICS, ChoiceLine, spans, written
from probes.experiments.decoding.robustness import Headline, choice_of_run, sample_of
from probes.experiments.decoding.story_factors import (
    OTHERS,
    PER_CELL,
    RETRIED,
    Columns,
    Counts,
    StoryFactors,
)
from probes.experiments.decoding.story_result import StoryResult, cannot_hold_out, fields_of
from probes.experiments.folds import TopicFolds
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.runs.materials import Materials, Stories
from probes.vectors.denoising import outlier_dimensions, project_out
from probes.vectors.normalize import inverse_sd

DIMENSIONS = (1, 5)
"""How many of the largest dimensions are reported, and dropped."""
_NAME = "Confounds"
_MUCH = 0.2
"""Shares of retried stories that differ more than this between emotions are a limit."""
Rows = Float[Tensor, "row d_model"]


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
    """What explains the scores, the most first, and the robust options.

    `missing` says why a factor has no share.

    `by_emotion` are the shares that each factor's shift explains in one emotion; `accuracy` is by
    how much more is named right when that shift is taken out of all scores of a story; `tilt` is
    how pleasant each topic is, in distances between pleasant and unpleasant emotions.
    """

    n_permutations: int
    factors: Mapping[str, Share]
    accuracy: Mapping[str, Estimate]
    by_emotion: Mapping[str, Mapping[str, float | None]]
    missing: Mapping[str, str]
    counts: Counts
    d_model: int
    dimensions: Mapping[str, Largest]
    anisotropy: Anisotropy
    tilt: Mapping[str, Estimate]
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
                note=f"{share.beyond:.1%} beyond the other factors; accuracy "
                f"{_points(self.accuracy[name])} points were it known",
            )
            for name, share in self.factors.items()
        ]
        findings += [self._of_emotions(name) for name in self.counts.shares]
        if self.tilt:
            findings.append(self._of_topics())
        others = "; ".join(f"{name}: {why}" for name, why in self.missing.items())
        if others:
            findings.append(Finding("score explained by others", None, "described", note=others))
        robust = written(self.robust)
        return [*findings, Finding("range over robust options", None, "described", note=robust)]

    def _of_emotions(self, name: str) -> Finding:
        """Say how many stories of which emotions are retried, or name another emotion."""
        shares = self.counts.shares[name]
        *_, most = sorted(shares, key=lambda emotion: shares[emotion])
        least = min(shares, key=lambda emotion: shares[emotion])
        r = self.counts.with_valence.get(name)
        return Finding(
            f"stories, {name}",
            Estimate(sum(shares.values()) / len(shares)),
            "described",
            spec=".0%",
            n=f"mean of {len(shares)} emotions",
            note=f"most: {most} {shares[most]:.0%}, least: {least} {shares[least]:.0%}"
            + ("" if r is None else f"; r with human valence {r:+.2f}"),
        )

    def _of_topics(self) -> Finding:
        """Say how far topics are pleasant or unpleasant by themselves."""
        values = {topic: it.value for topic, it in self.tilt.items()}
        least, *_, most = sorted(values, key=lambda topic: values[topic])
        return Finding(
            "topics, tilt of valence",
            Estimate(math.sqrt(sum(it**2 for it in values.values()) / len(values))),
            "described",
            spec=".2f",
            n=f"{len(values)} topics",
            note="root mean square, of the distance between pleasant and unpleasant emotions; "
            f"most: {most} {self.tilt[most]:+.2f}, least: {least} {self.tilt[least]:+.2f}",
        )

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
                f"{'; '.join(shares)} (adjusted R2: what says nothing scatters around zero). A "
                "factor may raise all emotions alike, or move stories along each vector by what it "
                "does to the stories of all other emotions. Were its shift taken out of every "
                "score, accuracy would change by "
                + ", ".join(f"{_points(it)} points ({name})" for name, it in self.accuracy.items())
                + "."
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
            f"stories ({said.p_value}); scores of stories that differ in it are not comparable."
            for (name, share), said in zip(self.factors.items(), self.findings(), strict=False)
            if share.p <= SIGNIFICANT and share.above_zero
        ]
        if self.counts.leaked:
            limits.append(
                f"{_NAME}: {self.counts.leaked} of {self.n_rows} stories name their emotion or a "
                "synonym."
            )
        limits += [
            f"{_NAME}: with dimensions {name}, {STATISTICS[key]} falls by "
            f"{-change.value:.2f}: part of it lives in few dimensions or in their scale."
            for name, changes in choice_table.changes_of(self.robust).items()
            for key, change in changes.items()
            if change.value < 0
        ]
        retried = self.counts.shares.get(RETRIED)
        if retried and max(retried.values()) - min(retried.values()) > _MUCH:
            limits.append(
                f"{_NAME}: of some emotions more stories were refused and written anew than of "
                f"others ({min(retried.values()):.0%} to {max(retried.values()):.0%}), with words "
                "suppressed unless generation.suppress_banned=never."
            )
        others = self.counts.shares.get(OTHERS)
        if others and sum(others.values()) / len(others) > _MUCH:
            share = sum(others.values()) / len(others)
            limits.append(
                f"{_NAME}: {share:.0%} of the stories name an emotion, though not theirs."
            )
        if self.rows_are != "stories":
            limits.append(f"{_NAME}: {PER_CELL}, so only topic and mean length were tested.")
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
    materials = materials.by_story
    if (undefined := cannot_hold_out(_NAME, materials)) is not None:
        return undefined
    folds = TopicFolds(materials, materials.config.validation.n_folds)
    stories = materials.stories(materials.layer)
    factors = StoryFactors.of(materials, stories)
    with materials.reporter.task("confounds", 3, "parts") as advance:
        explained = _explain(materials, folds, factors.columns)
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
        factors=dict(sorted(explained.shares.items(), key=lambda it: -it[1].value)),
        accuracy=explained.accuracy,
        by_emotion=explained.by_emotion,
        missing={**factors.missing, **explained.missing},
        counts=factors.counts,
        d_model=rows.shape[1],
        dimensions=dimensions,
        anisotropy=anisotropy,
        tilt=_tilt(materials, rows, stories),
        robust=robust,
    )


EXPERIMENT = Experiment(Confounds, measure)


@dataclass(frozen=True)
class _Explained:
    """By factor: share of the own score's variance, what its shift does to accuracy."""

    shares: dict[str, Share]
    accuracy: dict[str, Estimate]
    by_emotion: dict[str, dict[str, float | None]]
    missing: dict[str, str]


def _explain(materials: Materials, folds: TopicFolds, factors: Mapping[str, Columns]) -> _Explained:
    """Regress the scores of held-out stories on every factor."""
    design, layer, settings = folds.design, materials.layer, materials.config.validation
    scores = held_out_scores(folds.rows(layer), design, folds.bases(layer)).double()
    finite = scores.isfinite().all(dim=1)
    scores, emotion, topic = scores[finite], design.emotion[finite], design.topic[finite]
    columns = {name: values[finite] for name, values in factors.items()}
    own = on_own(scores, emotion)
    try:
        shares = variance_explained(
            own,
            columns,
            emotion,
            topic,
            shift=lambda of: on_own(factor_shifts(scores, of, emotion), emotion),
            n_resamples=settings.n_refits,
            n_permutations=settings.n_permutations,
            seed=materials.seed,
        )
    except InvalidInput:
        return _Explained({}, {}, {}, dict.fromkeys((TOPIC, *factors), "too few stories"))
    missing = {name: "does not vary" for name, share in shares.items() if share is None}
    known = {name: share for name, share in shares.items() if share is not None}
    columns[TOPIC] = torch.nn.functional.one_hot(topic, len(materials.topics)).double()
    before = (rank_of(scores, emotion) == 0).double()
    accuracy, shifts = {}, {}
    for name in known:
        shift = factor_shifts(scores, columns[name], emotion)
        after = (rank_of(scores - shift, emotion) == 0).double()
        accuracy[name] = mean_over(after - before, topic)
        shifts[name] = rearrange(on_own(shift, emotion), "row -> row 1")
    by_emotion = {
        name: {factor: adjusted_r2(own[rows], shifts[factor][rows]) for factor in known}
        for index, name in enumerate(materials.emotions)
        if int((rows := emotion == index).sum()) > 2
    }
    return _Explained(known, accuracy, by_emotion, missing)


def _tilt(materials: Materials, rows: Rows, stories: Stories) -> dict[str, Estimate]:
    """Tell how pleasant each topic is; nothing where people have not rated both sides."""
    emotions, names = materials.emotions, materials.topics
    valence = {name: rating["valence"] for name, rating in rating_table(emotions).items()}
    # Not the run's vectors: some ways have them at length one, which is no distance in the stream.
    means = torch.stack(
        [rows[stories.emotion == number].mean(dim=0) for number in range(len(emotions))]
    )
    axis = valence_axis(means, emotions, valence)
    if axis is None:
        return {}
    axis = project_out(axis, materials.neutral_components())
    tilts = topic_tilt(rows, stories.emotion, stories.topic, axis)
    return {names[index]: tilt for index, tilt in tilts.items()}


def _points(change: Estimate) -> str:
    low, high = change.ends
    return f"{Estimate(100 * change.value, 100 * low, 100 * high):+.1f}"


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
        caption="Share of the variance of held-out scores among stories of one emotion that a "
        "factor's shift explains, as the stories of all other emotions show it (adjusted R2; below "
        "zero is shown as zero). Single emotions rest on few stories each and scatter; the first "
        "column has an interval and a p-value in the run's table.",
        rows=tuple(shares),
        columns=("all", *emotions),
        values=values,
        value_label="share of variance",
        x_label="",
        y_label="",
        limits=(0.0, max(0.1, *(max(row) for row in values))),
        palette="sequential",
    )
