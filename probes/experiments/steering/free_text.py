"""Free text: do steered continuations convey the emotion, to judges that did not steer.

1. Topics are dealt into two halves. Steering vectors come from one half, at the target layer.
   Judges come from the other half, at another layer (`text_judges`), so that no judge is the vector
   that steered, nor has seen its stories.
2. Prompts of our own that promise no emotion are continued unsteered, under each of some emotions'
   vectors, and under random directions with the stories' covariance, all with one dose and seed.
3. A judge's gain for an emotion (`judged_texts`): mean score in the texts steered toward it minus
   that in the unsteered ones. Beside it: the same emotion's gain in random-steered texts, and in
   texts steered toward the other emotions.
4. Content leak (`story_leak`): do steered texts use the words of the emotion's own stories.

Source of the prompts: written for this project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import reduce, repeat
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import DataError, FromToken, LanguageModel
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.steering.controls import story_residuals
from probes.experiments.steering.figures import judged_gains as draw_judged_gains
from probes.experiments.steering.judged_texts import judged_answers, judged_gains
from probes.experiments.steering.judges import (
    JudgeServer,
    ask_judge,
    classifier,
    other_vectors,
    vectors_of,
)
from probes.experiments.steering.nulls import matched_directions
from probes.experiments.steering.story_leak import distinctive_words, leak, leaked
from probes.experiments.wording import effect
from probes.figures import Figure
from probes.runs.materials import Materials

PROMPTS = (
    "On the way home that evening",
    "The two of them sat down at the table and",
    "When the phone rang for the second time,",
    "By the end of the afternoon",
    "She put the box on the shelf and",
    "After the meeting the others left, but he",
    "The neighbor had been standing at the gate for a while when",
    "On the third page of the letter",
)
_DIRECTIONS_AT_ONCE = 16
_JUDGES = {"classifier": "held-out classifier", "vectors": "vectors of another layer"}
_UNITS = {"classifier": "nats", "vectors": "cosine"}


@dataclass(frozen=True)
class _Texts:
    """Continuations: [condition][prompt]; conditions of `steered` are those of `emotions`."""

    emotions: list[str]
    unsteered: list[str]
    steered: list[list[str]]
    random: list[list[str]]


def measure(materials: Materials) -> Measured:
    """Write, judge, compare."""
    settings = materials.config.validation
    judge = None
    if settings.judge_model is not None and settings.judge_base_url is not None:
        judge = JudgeServer(settings.judge_base_url, settings.judge_model, settings.api_key_env)
        judge.key()  # refused before anything is written
    judge_layer = other_layer(materials.vectors.layers, materials.layer)
    stories = materials.stories()
    steers = stories.topic % 2 == 0
    n = len(materials.emotions)
    vectors = vectors_of(stories, steers, n, materials.neutral_components())
    read = materials.stories(judge_layer)
    judging = vectors_of(read, ~steers, n, materials.neutral_components(judge_layer))
    fitted = classifier(read.mean, read.emotion, ~steers)
    center = reduce(read.mean[~steers].double(), "row d_model -> d_model", "mean")
    places = _spread(n, settings.free_text_emotions)
    model = materials.subject()
    texts = _write(materials, model, [materials.emotions[p] for p in places], vectors[places])

    flat = [*texts.unsteered, *sum(texts.steered, []), *sum(texts.random, [])]
    pooled = hooks.pooled_resid_post(
        model, [text or " " for text in flat], FromToken(0), layers=[judge_layer]
    )
    # An empty continuation conveys nothing: it is judged as the average story.
    seen = torch.where(pooled.mean[:, 0].isnan(), center.float(), pooled.mean[:, 0])
    judged = {
        "classifier": fitted.scores(seen),
        "vectors": other_vectors(seen, judging, center),
    }
    values: dict[str, Any] = {
        "model": model.name,
        "layer": materials.layer,
        "judge_layer": judge_layer,
        "dose": settings.free_text_dose,
        "emotions": texts.emotions,
        "n_choices": n,
        "prompts": list(PROMPTS),
        "n_random": len(texts.random),
        "classifier_accuracy": fitted.accuracy,
        "chance": 1 / n,
        "judges": {
            name: judged_gains(scores, places, len(PROMPTS), materials.seed)
            for name, scores in judged.items()
        },
        "leak": _leak(materials, texts, steers),
        "judge_model": None,
        "texts": {
            "unsteered": texts.unsteered,
            "steered": dict(zip(texts.emotions, texts.steered, strict=True)),
            "random": texts.random,
        },
    }
    if judge is not None:
        values["judge_model"] = _asked(judge, texts, materials.emotions, materials.seed)
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe what each judge hears in the texts."""
    return {
        f"free_text_{key}": draw_judged_gains(values, key, name, _UNITS[key])
        for key, name in _JUDGES.items()
    }


EXPERIMENT = Experiment(measure, figures)


def other_layer(layers: Sequence[int], target: int) -> int:
    """Return a layer about a sixth of the depth away from the target.

    Raises
    ------
    DataError
        When activations of one layer only were kept.
    """
    others = [layer for layer in layers if layer != target]
    if not others:
        raise DataError(
            "free text is judged at another layer than it is steered at, and activations of one "
            "layer only were kept; extract more layers (activation.layers)."
        )
    wanted = target + max(1, (max(layers) + 1) // 6)
    return min(others, key=lambda layer: (abs(layer - wanted), layer))


def _spread(n: int, wanted: int) -> list[int]:
    return torch.linspace(0, n - 1, min(n, wanted)).round().long().tolist()


def _write(
    materials: Materials,
    model: LanguageModel,
    emotions: list[str],
    vectors: Float[Tensor, "emotion d_model"],
) -> _Texts:
    settings = materials.config.validation
    bundle = materials.vectors
    norm = float(bundle.residual_norm[bundle.layer_index(materials.layer)])
    samples = story_residuals(materials)
    random = torch.empty(0, model.d_model)
    if len(samples) > 1:
        random = matched_directions(samples, settings.free_text_random, materials.seed + 2)
    directions = torch.cat([vectors, random])
    prompts = [model.encode(prompt) for prompt in PROMPTS]
    # A prompt's draws are the same under every direction.
    seeds = [materials.seed + place for place in range(len(prompts))]

    def write(steered: Tensor) -> list[list[str]]:
        n = max(1, len(steered))
        written = model.generate(
            prompts * n,
            max_new_tokens=settings.free_text_tokens,
            temperature=0.8,
            top_k=50,
            seed=seeds * n,
        )
        advance(n)
        texts = [text.text for text in written]
        return [texts[start : start + len(prompts)] for start in range(0, len(texts), len(prompts))]

    total = 1 + len(directions)
    with materials.reporter.task("free-text", total, "conditions") as advance:
        [unsteered] = write(directions[:0])
        written = []
        for chunk in directions.split(_DIRECTIONS_AT_ONCE):
            each = repeat(
                chunk, "direction d_model -> (direction prompt) d_model", prompt=len(prompts)
            )
            with hooks.steer_each(
                model,
                each,
                layer=materials.layer,
                dose=settings.free_text_dose,
                residual_norm=norm,
            ):
                written += write(chunk)
    return _Texts(emotions, unsteered, written[: len(vectors)], written[len(vectors) :])


def _leak(materials: Materials, texts: _Texts, steers: Tensor) -> dict[str, Any] | None:
    stories = materials.stories()
    if (stories.index < 0).any():
        return None
    written = materials.texts(stories)
    rows = steers.nonzero()[:, 0].tolist()
    topics, numbers = stories.topic.tolist(), stories.emotion.tolist()
    stories_of = [materials.emotions[numbers[row]] for row in rows]
    own = distinctive_words(
        [written[row] for row in rows], stories_of, [topics[row] for row in rows]
    )
    in_stories = [leak(written[row], own[name]) for row, name in zip(rows, stories_of, strict=True)]
    found = leaked(
        texts.unsteered, texts.steered, texts.random, texts.emotions, own, materials.seed
    )
    return {**found, "in_stories": sum(in_stories) / len(in_stories)}


def _asked(judge: JudgeServer, texts: _Texts, emotions: Sequence[str], seed: int) -> dict[str, Any]:
    unsteered, steered, random = (
        ask_judge(judge, group, emotions) if group else []
        for group in (texts.unsteered, sum(texts.steered, []), sum(texts.random, []))
    )
    found = judged_answers(unsteered, steered, random, texts.emotions, seed)
    return {"model": judge.model, **found}


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for key, name in _JUDGES.items():
        judged = values["judges"][key]
        low, high = judged["percentile_interval"]
        rows.append(
            (
                f"free text at dose {values['dose']:g}: {name}",
                f"own emotion {effect(judged['gain'], judged['gain_interval'])} {_UNITS[key]} "
                "over unsteered text"
                + (
                    ""
                    if judged["gain_in_random"] is None
                    else f", in random-steered {judged['gain_in_random']:+.2f}"
                )
                + f", in text steered elsewhere {judged['gain_in_others']:+.2f}; gains more than "
                f"{judged['percentile']:.0%} [{low:.0%}, {high:.0%}] of emotions (chance 50%)",
            )
        )
    asked = values["judge_model"]
    if asked is not None:
        rows.append(
            (
                f"free text: {asked['model']}",
                f"names the emotion steered to in {_share(asked, 'right')} of {asked['n']} texts; "
                f"that answer comes for {asked['right_unsteered']:.0%} of unsteered"
                + (
                    ""
                    if asked["right_random"] is None
                    else f" and {asked['right_random']:.0%} of random-steered"
                )
                + f" texts; no emotion in {asked['none']:.0%}, no readable answer in "
                f"{asked['unreadable']:.0%}",
            )
        )
    found = values["leak"]
    if found is not None:
        rows.append(
            (
                "free text: content leak",
                f"{found['steered']:.1%} words of the emotion's own stories, unsteered "
                f"{found['unsteered']:.1%}, in the stories {found['in_stories']:.1%}; steered "
                f"minus unsteered {_points(found, 'excess')} points"
                + (
                    ""
                    if found["random"] is None
                    else f", minus random-steered {_points(found, 'excess_over_random')}"
                ),
            )
        )
    return rows


def _share(found: Mapping[str, Any], key: str) -> str:
    low, high = found[f"{key}_interval"]
    return f"{found[key]:.0%} [{low:.0%}, {high:.0%}]"


def _ends(interval: Sequence[float]) -> str:
    return f"[{100 * interval[0]:+.0f}, {100 * interval[1]:+.0f}]"


def _points(found: Mapping[str, Any], key: str) -> str:
    return effect(100 * found[key], [100 * end for end in found[f"{key}_interval"]], digits=1)


def _paragraph(values: Mapping[str, Any]) -> str:
    parts = [
        f"{len(values['prompts'])} openings that promise no emotion were continued under each of "
        f"{len(values['emotions'])} emotions' vectors (half of the topics, layer "
        f"{values['layer']}, dose {values['dose']:g}) and judged by what comes from the other half "
        f"at layer {values['judge_layer']}."
    ]
    for key, name in _JUDGES.items():
        judged = values["judges"][key]
        low, high = judged["excess_interval"]
        verdict = "more" if low > 0 else "not reliably more" if high > 0 else "less"
        than = "random-steered" if judged["gain_in_random"] is not None else "otherwise steered"
        parts.append(
            f"By the {name} the emotion steered to gains {verdict} than in {than} text "
            f"({effect(judged['excess'], judged['excess_interval'])})."
        )
    parts.append(
        f"On stories of topics it has not seen the classifier is right for "
        f"{values['classifier_accuracy']:.0%} (chance {values['chance']:.0%})."
    )
    asked = values["judge_model"]
    if asked is not None:
        parts.append(
            f"{asked['model']} names the emotion steered to in {_share(asked, 'right')} of texts, "
            f"{100 * asked['excess']:+.0f} points over unsteered text "
            f"{_ends(asked['excess_interval'])}."
        )
    found = values["leak"]
    if found is not None:
        low, high = found["excess_interval"]
        verdict = "more" if low > 0 else "not reliably more" if high >= 0 else "fewer"
        parts.append(
            f"Of the words that set the emotion's own stories apart, its name and synonyms left "
            f"out, steered text uses {verdict} than unsteered text "
            f"({_points(found, 'excess')} points)"
            + (f", such as {', '.join(found['words'][:5])}." if found["words"] else ".")
        )
    return " ".join(parts)


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = [
        f"Free text: {len(values['prompts'])} prompts for each of {len(values['emotions'])} "
        "emotions, one continuation each."
    ]
    if values["judge_model"] is None:
        limits.append(
            "Free text: no judge model was asked (validation.judge_base_url and judge_model)."
        )
    elif values["judge_model"]["unreadable"] > 0.1:
        limits.append(
            f"Free text: {values['judge_model']['unreadable']:.0%} of the judge model's answers "
            "were not one word of the list and count as misses."
        )
    if values["leak"] is None:
        limits.append(
            "Free text: content leak needs activations per story; they were kept by cell."
        )
    if values["classifier_accuracy"] < 2 * values["chance"]:
        limits.append("Free text: the classifier is hardly better than chance on stories.")
    return limits
