"""Trends of scores with the number in a message, beside the same numbers in neutral sentences.

Contract: pure; one dictionary as ``analysis/intensity.json`` holds it becomes one description.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Heatmap
from probes.figures.reading import need, numbers


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
