"""Intensity: does a score follow how grave a number makes a message.

1. Six messages, each with ten numbers put in; and the same numbers in a neutral sentence.
2. All are read where the reply would begin; score = cosine of (residual - mean over stories) with
   the emotion's vector, at the target layer.
3. Two expectations for each message: an emotion, and whether its score should rise or fall with the
   number. Where the run lacks an emotion, the nearest one that it has stands in, and both are
   named.
4. `dose_response` judges them beside the neutral sentences and beside scrambled numbers.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probes.experiments.legacy import Experiment, Measured
from probes.experiments.messages.reading import N_PERMUTATIONS, cosines, place, read_messages
from probes.experiments.messages.trends import judge
from probes.figures import Figure
from probes.figures.description import Heatmap
from probes.figures.reading import need, numbers
from probes.runs.materials import Materials
from probes.stimuli import IntensityTemplate, intensity_templates


def measure(materials: Materials) -> Measured:
    """Read all messages and neutral sentences, and judge the expectations."""
    templates = intensity_templates()
    asked = [
        (row, expectation.sign, emotion, expectation.emotions[0])
        for row, template in enumerate(templates)
        for expectation in template.expects
        for emotion in [_first(expectation.emotions, materials.emotions)]
        if emotion is not None
    ]
    n_asked = sum(len(template.expects) for template in templates)
    if not asked:
        sentence = "Intensity: this run has none of the emotions that the messages expect."
        return Measured({"expectations": None}, [], sentence, [sentence])
    expected = [(row, sign, emotion) for row, sign, emotion, _ in asked]
    stand_ins = {f"{emotion} for {first}" for _, _, emotion, first in asked if emotion != first}
    model, layer = materials.subject(), materials.layer
    scores = _scores(materials, templates)
    emotions = [materials.emotions.index(emotion) for _, _, emotion in expected]
    owners = [row for row, _, _ in expected]
    found = judge(
        scores[0, owners, :, emotions],
        scores[1, owners, :, emotions],
        [sign for _, sign, _ in expected],
        owners,
        n_permutations=N_PERMUTATIONS,
        seed=materials.seed,
    )
    values = {
        "model": model.name,
        "layer": layer,
        "read": place(model),
        "n_asked": n_asked,
        "n": len(expected),
        "expectations": [
            {"template": templates[row].name, "emotion": emotion, "sign": sign}
            for row, sign, emotion in expected
        ],
        "stand_ins": sorted(stand_ins),
        "n_stand_ins": sum(emotion != first for _, _, emotion, first in asked),
        "numbers": {template.name: list(template.numbers) for template in templates},
        "scores": scores[0, owners, :, emotions].tolist(),
        "control_scores": scores[1, owners, :, emotions].tolist(),
        **asdict(found),
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe every expectation beside its control."""
    return {} if values["expectations"] is None else {"intensity": intensity_heatmap(values)}


EXPERIMENT = Experiment(measure, figures)


def _first(wanted: tuple[str, ...], emotions: list[str]) -> str | None:
    return next((emotion for emotion in wanted if emotion in emotions), None)


def _scores(
    materials: Materials, templates: tuple[IntensityTemplate, ...]
) -> Float[Tensor, "form template step emotion"]:
    """Cosines of every message (form 0) and every neutral sentence (form 1)."""
    texts = [
        text.format(number=number)
        for form in ("text", "neutral")
        for template in templates
        for text in [getattr(template, form)]
        for number in template.numbers
    ]
    layer = materials.layer
    with materials.reporter.task("intensity", len(texts), "messages") as advance:
        residual = read_messages(materials.subject(), texts, layer, advance)
    mean = materials.vectors.global_mean[materials.vectors.layer_index(layer)]
    cosine = cosines(residual - mean, materials.vectors.at(layer))
    return torch.unflatten(cosine, 0, (2, len(templates), -1))


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    low, high = values["gain_interval"]
    return [
        (
            "intensity: trends of the expected sign",
            f"{values['n_expected']} of {values['n']} (scrambled numbers "
            f"{values['scrambled_count']:.1f}, p={values['p_count']:.4f}; numbers alone "
            f"{values['n_control_expected']})",
        ),
        (
            "intensity: mean signed Spearman",
            f"{values['mean']:+.2f} [{values['mean_interval'][0]:+.2f}, "
            f"{values['mean_interval'][1]:+.2f}], p={values['p']:.4f} against scrambled numbers; "
            f"numbers alone {values['control_mean']:+.2f}, gain {values['gain']:+.2f} "
            f"[{low:+.2f}, {high:+.2f}]",
        ),
    ]


def _paragraph(values: Mapping[str, Any]) -> str:
    low, high = values["gain_interval"]
    n_numbers = len(next(iter(values["numbers"].values())))
    return (
        f"In six messages one number decides how grave things are; each was read with {n_numbers} "
        f"numbers, {values['read']}, at layer {values['layer']}. {values['n_expected']} of "
        f"{values['n']} emotions' scores move with the number in the expected direction; "
        f"scrambling the numbers gives {values['scrambled_count']:.1f} "
        f"(p={values['p_count']:.4f}). The mean signed rank correlation is "
        f"{values['mean']:+.2f}, that of the same numbers in neutral sentences "
        f"{values['control_mean']:+.2f}: what the message adds to the mere number is "
        f"{values['gain']:+.2f} (95% interval over templates [{low:+.2f}, {high:+.2f}])."
    )


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    if values["n"] < values["n_asked"]:
        limits.append(
            f"Intensity: {values['n']} of {values['n_asked']} expectations could be tested with "
            "this run's emotions."
        )
    if values["stand_ins"]:
        limits.append(
            f"Intensity: in {values['n_stand_ins']} of {values['n']} expectations another emotion "
            f"stands in for one that this run lacks: {', '.join(values['stand_ins'])}."
        )
    if values["gain_interval"][0] <= 0:
        limits.append(
            "Intensity: the interval of the gain over the same numbers in neutral sentences "
            "includes zero, so the trends may be those of the numbers alone."
        )
    return limits


def intensity_heatmap(intensity: Mapping[str, Any]) -> Heatmap:
    """Describe the signed rank correlation of every expectation and of its control.

    Raises
    ------
    DataError
        A part is missing or a correlation is not finite.
    """
    expectations = need(intensity, "expectations", "intensity")
    trend = numbers(need(intensity, "trend", "intensity"), "intensity.trend")
    control = numbers(need(intensity, "control", "intensity"), "intensity.control")
    return Heatmap(
        title="Scores that should follow a number",
        subtitle=f"{intensity['model']}, layer {intensity['layer']}, {len(trend)} of "
        f"{intensity['n_asked']} expectations",
        caption="Row: a message, an emotion and the direction its score should take as the number "
        "rises. Left: the message. Right: the same numbers in a neutral sentence. Red is as "
        f"expected: {intensity['n_expected']} of {len(trend)} messages, "
        f"{intensity['n_control_expected']} of {len(trend)} neutral sentences, "
        f"{intensity['scrambled_count']:.1f} when numbers are scrambled "
        f"(p={intensity['p_count']:.4f}).",
        rows=tuple(
            f"{row['template']}: {row['emotion']} {'rises' if row['sign'] > 0 else 'falls'}"
            for row in expectations
        ),
        columns=("message", "numbers alone"),
        values=tuple(zip(trend, control, strict=True)),
        value_label="Spearman x expected sign",
        x_label="text",
        y_label="expectation",
        limits=(-1.0, 1.0),
    )
