"""Intensity: does a score follow how grave a number makes a message.

Twelve messages are read with ten numbers each, and the same numbers in a neutral sentence. Score:
cosine of (residual - mean over stories) with an emotion's vector, at the target layer. A message
expects two emotions' scores to rise or fall with its number (`trends`); where the run lacks an
emotion, the nearest one that it has stands in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Finding, RunNumber
from probes.analysis.intervals import binomial_interval
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.messages.reading import N_PERMUTATIONS, cosines, read_messages, where_read
from probes.experiments.messages.trends import Trends, judge
from probes.experiments.remade import Remade
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.runs.materials import Materials
from probes.stimuli import intensity_templates
from probes.vectors.normalize import normalize

_PAPER_N = 12
"""Expectations that the paper tested."""


@dataclass(frozen=True)
class JudgedExpectation:
    """A message, an emotion, and whether its score should rise (1) or fall (-1)."""

    template: str
    emotion: str
    sign: int


@dataclass(frozen=True, kw_only=True)
class Intensity(Trends, Result):
    """Trends with the number in a message, beside those of the number alone.

    Scores are [expectation][number]; `stand_ins` say ``this for that`` where the run lacks an
    emotion.
    """

    model: str
    layer: int
    read: str
    n_asked: int
    n: int
    expectations: list[JudgedExpectation]
    stand_ins: list[str]
    n_stand_ins: int
    numbers: Mapping[str, list[int]]
    scores: list[list[float]]
    control_scores: list[list[float]]

    def findings(self) -> list[Finding]:
        """Say whether scores follow the number, more than they follow the number alone."""
        p, n_null = self.largest_p
        gained, followed = self.gain.above_zero, p < SIGNIFICANT
        in_part = "shown in part" if followed else "not shown"
        return [
            Finding(
                "intensity: trend with the number",
                self.estimate,
                "shown" if followed and gained else in_part,
                spec="+.2f",
                unit="signed Spearman",
                n=f"{self.n} expectations",
                control=self.control_alone,
                p=p,
                n_null=n_null,
                note=f"{self.n_expected} of {self.n} of the expected sign (other emotions' vectors "
                f"{self.renamed.count:.1f}, numbers alone {self.n_control_expected})",
                margins=[self.estimate, self.gain],
                rule="How far scores move with the number that makes a message graver. Called "
                "shown when p < .05 against other emotions' vectors, against vectors of shuffled "
                "labels and against flipped signs of templates (the largest p is given), and the "
                "interval of the gain over the numbers alone lies above zero; in part when p alone "
                "says so, since the trends may then be those of the numbers.",
            )
        ]

    def paragraph(self) -> str:
        """Tell what was put into the messages, and what the messages add to it."""
        n_numbers = len(next(iter(self.numbers.values())))
        gain = self.control_alone.excess
        return (
            f"In {len(self.numbers)} messages one number decides how grave things are; each was "
            f"read with {n_numbers} numbers, {self.read}, at layer {self.layer}. "
            f"{self.n_expected} of {self.n} emotions' scores move with the number in the expected "
            f"direction, where other emotions' vectors give {self.renamed.count:.1f} and vectors "
            f"of shuffled labels {self.shuffled.count:.1f}. The mean signed rank correlation is "
            f"{self.estimate:+.2f} (p = {self.renamed.p:.2g} by other vectors, "
            f"{self.shuffled.p:.2g} by shuffled labels, {self.p_flips:.2g} by flipped signs of "
            "templates); over the same numbers in neutral sentences the messages gain "
            f"{gain:+.2f} (95% intervals over templates)."
        )

    def limits(self) -> list[str]:
        """Say what could not be tested, and what stood in."""
        limits = []
        if self.n < self.n_asked:
            limits.append(
                f"Intensity: {self.n} of {self.n_asked} expectations could be tested with this "
                "run's emotions."
            )
        if self.stand_ins:
            limits.append(
                f"Intensity: in {self.n_stand_ins} of {self.n} expectations another emotion "
                f"stands in for one that this run lacks: {', '.join(self.stand_ins)}."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the signed rank correlation of every expectation and of its control."""
        n = self.n
        heatmap = Heatmap(
            title="Scores that should follow a number",
            subtitle=f"{self.model}, layer {self.layer}, {n} of {self.n_asked} expectations",
            caption="Row: a message, an emotion and the direction its score should take as the "
            "number rises. Left: the message. Right: the same numbers in a neutral sentence. Red "
            f"is as expected: {self.n_expected} of {n} messages, {self.n_control_expected} of {n} "
            f"neutral sentences, {self.renamed.count:.1f} by other emotions' vectors "
            f"(p={self.renamed.p_count:.4f}).",
            rows=tuple(
                f"{row.template}: {row.emotion} {'rises' if row.sign > 0 else 'falls'}"
                for row in self.expectations
            ),
            columns=("message", "numbers alone"),
            values=tuple(zip(self.trend, self.control, strict=True)),
            value_label="Spearman x expected sign",
            x_label="text",
            y_label="expectation",
            limits=(-1.0, 1.0),
        )
        return {"intensity": heatmap}

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return how many of twelve expectations are met, scaled where fewer were tested."""
        note = "our own templates"
        if self.n_stand_ins:
            note += f"; in {self.n_stand_ins} a near emotion stands in"
        if self.n != _PAPER_N:
            note += f"; {self.n_expected} of {self.n} testable expectations, scaled to {_PAPER_N}"
        low, high = (end * _PAPER_N for end in binomial_interval(self.n_expected, self.n))
        value = self.n_expected * _PAPER_N / self.n
        return {"intensity.expected_signs": RunNumber(value, (low, high), self.n, note)}


def measure(materials: Materials) -> Intensity | NotMeasured:
    """Read all messages and neutral sentences, and judge the expectations."""
    templates = intensity_templates()
    asked = [
        (row, expectation.sign, known[0], expectation.emotions[0])
        for row, template in enumerate(templates)
        for expectation in template.expects
        for known in [[name for name in expectation.emotions if name in materials.emotions]]
        if known
    ]
    if not asked:
        return NotMeasured(
            "Intensity", "this run has none of the emotions that its messages expect"
        )
    owners, signs, emotions, wanted = zip(*asked, strict=True)
    model, layer = materials.subject(), materials.layer
    answering = materials.config.validation.paper
    texts = [
        getattr(template, form).format(number=number)
        for form in ("text", "neutral")
        for template in templates
        for number in template.numbers
    ]
    with materials.reporter.task("intensity", len(texts), "messages") as advance:
        residual = read_messages(model, texts, layer, advance, answering=answering)
    mean = materials.vectors.global_mean[materials.vectors.layer_index(layer)]
    cosine = cosines(residual - mean, materials.vectors.at(layer))
    scores = rearrange(
        cosine,
        "(form template step) emotion -> form template emotion step",
        form=2,
        template=len(templates),
    )
    columns = torch.tensor([materials.emotions.index(emotion) for emotion in emotions])
    in_messages, alone = scores[:, list(owners)]
    messages = rearrange(
        (residual - mean)[: len(residual) // 2],
        "(template step) d_model -> template step d_model",
        template=len(templates),
    )
    trends = judge(
        in_messages,
        alone,
        _along_shuffled(materials, messages[list(owners)], columns),
        columns,
        signs,
        owners,
        n_permutations=N_PERMUTATIONS,
        seed=materials.seed,
    )
    of_own = torch.arange(len(columns))
    stand_ins = [
        f"{it} for {first}" for it, first in zip(emotions, wanted, strict=True) if it != first
    ]
    return Intensity(
        **vars(trends),
        model=model.name,
        layer=layer,
        read=where_read(model, answering=answering),
        n_asked=sum(len(template.expects) for template in templates),
        n=len(asked),
        expectations=[
            JudgedExpectation(templates[row].name, emotion, sign) for row, sign, emotion, _ in asked
        ],
        stand_ins=sorted(set(stand_ins)),
        n_stand_ins=len(stand_ins),
        numbers={template.name: list(template.numbers) for template in templates},
        scores=in_messages[of_own, columns].tolist(),
        control_scores=alone[of_own, columns].tolist(),
    )


EXPERIMENT = Experiment(Intensity, measure)


def _along_shuffled(
    materials: Materials,
    messages: Float[Tensor, "e step d_model"],
    columns: Int[Tensor, "e"],
) -> Float[Tensor, "dealing e step"]:
    """Score each expectation's messages along vectors of stories with shuffled labels."""
    dealt = Remade(materials).shuffled(materials.config.validation.n_refits)
    unit = normalize(messages.double())
    return torch.stack([
        einsum(unit, normalize(vectors[columns].double()), "e step d, e d -> e step")
        for vectors in dealt
    ])  # fmt: skip
