"""Sensitivity: how far the headline statistics hang on choices of method that could be otherwise.

1. Valence, arousal, held-out accuracy and agreement with the paper's clusters under the run's own
   choices, then with one choice changed at a time: readout (centered cosine, cosine, dot, z),
   neutral components (none; of documents or tokens, to 25, 50, 75 or 90% of the neutral variance),
   unit norm before the components.
2. Token offset (0, 20, 50): the same stories are read again at the target layer. That takes the
   model, so a part of the stories is read (``validation.sensitivity_texts``), spread evenly over
   emotions on as many topics as fit; offsets are compared with each other on this part alone.

Contract: a readout does not touch the vectors and unit norm does not touch the accuracy; there the
table repeats the run's own number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hooks import FromToken, LanguageModel, pooled_resid_post
from probes.analysis.held_out import Design, topic_folds
from probes.corpus.cells import read_corpus
from probes.experiments.decoding.figures import choice_bars
from probes.experiments.decoding.robustness import (
    STATISTICS,
    Choice,
    Headline,
    Outcome,
    Sample,
    headline_of,
    own_choice,
    sample_of,
)
from probes.experiments.folds import MIN_TOPICS, TopicFolds
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.wording import estimate, signed
from probes.figures import Figure
from probes.runs.materials import Materials, Stories

THRESHOLDS = (0.25, 0.5, 0.75, 0.9)
OFFSETS = (0, 20, 50)
_TEXTS_AT_ONCE = 16
"""Texts whose single tokens are held in memory at a time."""


def measure(materials: Materials) -> Measured:
    """Change one choice at a time."""
    n_topics = len(materials.topics)
    if n_topics < MIN_TOPICS:
        why = f"Sensitivity: needs {MIN_TOPICS} topics or more, this run has {n_topics}."
        return Measured({"lines": None}, [("sensitivity", "not measured: too few")], why, [why])
    folds = TopicFolds(materials, materials.config.validation.n_folds)
    headline = headline_of(materials, sample_of(materials, folds))
    choices = _choices(own_choice(materials), headline.sample)
    lines: list[dict[str, Any]] = []
    with materials.reporter.task("sensitivity", len(choices) + 1, "choices") as advance:
        own = headline.outcome(own_choice(materials))
        for name, choice in choices.items():
            found = headline.outcome(choice)
            mine = choice == own_choice(materials)
            change = None if mine else headline.change(own, found)
            lines.append({"name": name, "own": mine, **headline.to_json(found), "change": change})
            advance(1)
        offsets, about = _offsets(materials)
        advance(1)
    values = {
        "model": materials.index["model"],
        "layer": materials.layer,
        "emotions": materials.emotions,
        "n_rows": len(folds.design.emotion),
        "rows_are": "cell means" if materials.index["per_cell"] else "stories",
        "n_topics": n_topics,
        "n_folds": folds.design.n_folds,
        "chance": 1 / len(materials.emotions),
        "token_offset": materials.config.activation.token_offset,
        "lines": lines,
        "offsets": offsets,
        "about_offsets": about,
        "no_tokens": len(headline.sample.neutral["token"][0]) < 2,
        "range": {key: _range(lines, key) for key in STATISTICS},
        "range_of_offsets": {key: _range(offsets, key) for key in STATISTICS},
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the table, and that of token offsets."""
    if values["lines"] is None:
        return {}
    where = f"{values['model']}, layer {values['layer']}, {len(values['emotions'])} emotions"
    caption = (
        "|r|: correlation of a component with human valence. Accuracy: stories on held-out topics "
        f"whose own emotion comes first (chance {values['chance']:.2f}). One choice is changed at "
        "a time. Lines: 95% intervals."
    )
    found: dict[str, Figure] = {
        "sensitivity": choice_bars(
            values["lines"],
            title="The same statistics under other choices of method",
            subtitle=f"{where}, n = {values['n_rows']} {values['rows_are']} on "
            f"{values['n_topics']} topics",
            caption=caption,
        )
    }
    if values["offsets"]:
        about = values["about_offsets"]
        found["sensitivity_offsets"] = choice_bars(
            values["offsets"],
            title="The same statistics with other tokens left out",
            subtitle=f"{where}, n = {about['n_texts']} stories on {about['n_topics']} topics",
            caption=f"{caption} Read again on a part of the stories: compare these bars with each "
            "other, not with those of all stories.",
        )
    return found


EXPERIMENT = Experiment(measure, figures)


def _choices(own: Choice, sample: Sample) -> dict[str, Choice]:
    """Every choice by its name, the run's own first; none twice."""
    some = own if own.neutral != "none" else replace(own, neutral="document", threshold=0.5)
    named = [(_name_of(own), own)]
    for readout in ("centered cosine", "cosine", "dot", "z"):
        named.append((readout, replace(own, readout=readout)))
    flag = not own.unit_norm
    named.append(("unit norm" if flag else "no unit norm", replace(own, unit_norm=flag)))
    named.append(("neutral: none", replace(own, neutral="none", threshold=0.0)))
    for kind in ("document", "token"):
        if len(sample.neutral[kind][0]) >= 2:
            for threshold in THRESHOLDS:
                choice = replace(some, neutral=kind, threshold=threshold)
                named.append((_name_of(choice), choice))
    found: dict[str, Choice] = {}
    for name, choice in named:
        if choice not in found.values():
            found[name] = choice
    return found


def _name_of(choice: Choice) -> str:
    if choice.neutral == "none":
        return "neutral: none"
    return f"{choice.neutral}s {choice.threshold:.0%}"


def _offsets(materials: Materials) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Headline statistics by token offset on a part of the stories; why not, where not."""
    n_texts = materials.config.validation.sensitivity_texts
    if n_texts == 0:
        return [], {"why": "validation.sensitivity_texts is 0"}
    if materials.index["per_cell"]:
        return [], {"why": "activations were kept per cell"}
    stories = materials.stories(materials.layer)
    chosen = spread_out(stories, len(materials.emotions), n_texts)
    topics = stories.topic[chosen].unique()
    if len(topics) < MIN_TOPICS:
        return [], {"why": f"{n_texts} stories are on fewer than {MIN_TOPICS} topics"}
    model, own = materials.subject(), materials.config.activation.token_offset
    texts = materials.texts(stories)
    offsets = sorted({*OFFSETS, own})
    read = _read(model, [texts[place] for place in chosen.tolist()], materials.layer, offsets)
    names = {materials.topics[place] for place in topics.tolist()}
    neutral = [
        text
        for text in read_corpus(materials.run.root, materials.run.neutral_cells)
        if text.topic in names
    ]
    documents = _read(model, [text.text for text in neutral], materials.layer, offsets)
    # One set of stories for all offsets: those with a token left at the last of them.
    usable = torch.stack(list(read.values())).isfinite().all(dim=2).all(dim=0)
    usable_neutral = torch.stack(list(documents.values())).isfinite().all(dim=2).all(dim=0)
    kept = chosen[usable]
    place = {int(topic): number for number, topic in enumerate(stories.topic[kept].unique())}
    topic = torch.tensor([place[int(each)] for each in stories.topic[kept]], dtype=torch.long)
    if len(place) < MIN_TOPICS or len(stories.emotion[kept].unique()) < len(materials.emotions):
        return [], {"why": f"too few stories are longer than {max(offsets)} tokens"}
    n_folds = materials.config.validation.n_folds
    fold = topic_folds(len(place), n_folds, materials.seed)
    design = Design(
        stories.emotion[kept],
        topic,
        torch.ones_like(topic),
        fold,
        len(materials.emotions),
    )
    fold_of = {materials.topics[old]: int(fold[new]) for old, new in place.items()}
    about = [text.topic for text, use in zip(neutral, usable_neutral.tolist(), strict=True) if use]
    lines, before = [], None
    # The run's own offset first: the others are compared with it.
    for offset in [own, *(each for each in offsets if each != own)]:
        samples = {"document": (documents[offset][usable_neutral], about)}
        sample = Sample(read[offset][usable], design, samples, fold_of.get)
        headline = headline_of(materials, sample)
        found = headline.outcome(_for_documents(own_choice(materials)))
        before = found if before is None else before
        lines.append(_offset_line(headline, offset, own, before, found))
    return lines, {"n_texts": len(kept), "n_topics": len(place), "n_all": len(stories.emotion)}


def _offset_line(
    headline: Headline, offset: int, own: int, before: Outcome, found: Outcome
) -> dict[str, Any]:
    change = None if offset == own else headline.change(before, found)
    name = f"offset {offset}"
    return {"name": name, "own": offset == own, **headline.to_json(found), "change": change}


def _for_documents(choice: Choice) -> Choice:
    """Components of documents where the run takes them of tokens, which are not read again."""
    return replace(choice, neutral="document") if choice.neutral == "token" else choice


def spread_out(stories: Stories, n_emotions: int, n_texts: int) -> Int[Tensor, "chosen"]:
    """Choose stories: one of every emotion on a topic, topic after topic, then the next of each."""
    keys = list(
        zip(stories.topic.tolist(), stories.emotion.tolist(), stories.index.tolist(), strict=True)
    )
    seen: dict[tuple[int, int], int] = {}
    turn = []
    for topic, emotion, _ in keys:
        turn.append(seen.get((topic, emotion), 0))
        seen[topic, emotion] = turn[-1] + 1
    order = sorted(range(len(keys)), key=lambda place: (turn[place], *keys[place]))
    whole = max(n_texts - n_texts % n_emotions, min(n_texts, MIN_TOPICS * n_emotions))
    return torch.tensor(sorted(order[:whole]), dtype=torch.long)


def _read(
    model: LanguageModel, texts: Sequence[str], layer: int, offsets: Sequence[int]
) -> dict[int, Float[Tensor, "text d_model"]]:
    """Mean residual from every offset on, each text read once; NaN where no token is left."""
    found = {offset: torch.full((len(texts), model.d_model), float("nan")) for offset in offsets}
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = texts[start : start + _TEXTS_AT_ONCE]
        pooled = pooled_resid_post(model, some, layers=[layer], keep=FromToken(0))
        for number in range(len(some)):
            tokens = pooled.tokens[pooled.token_text == number, 0]
            for offset, rows in found.items():
                if len(tokens) > offset:
                    rows[start + number] = tokens[offset:].double().mean(dim=0).float()
    return found


def _range(lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any] | None:
    known = {line["name"]: line[key]["value"] for line in lines if line[key] is not None}
    if not known:
        return None
    low, high = (pick(known, key=lambda name: known[name]) for pick in (min, max))
    return {"low": known[low], "lowest": low, "high": known[high], "highest": high}


def _span(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not compared"
    return f"{found['low']:.2f} ({found['lowest']}) to {found['high']:.2f} ({found['highest']})"


def _line(line: Mapping[str, Any]) -> str:
    text = ", ".join(f"{title} {estimate(line[key])}" for key, title in STATISTICS.items())
    if line["change"] is None:
        return f"{text} (this run)"
    return f"{text}; change {', '.join(signed(line['change'][key]) for key in STATISTICS)}"


def _spans(spans: Mapping[str, Any]) -> str:
    return "; ".join(f"{title} {_span(spans[key])}" for key, title in STATISTICS.items())


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    spans = values["range"]
    rows = [
        (
            "sensitivity, range over choices",
            f"{_spans(spans)} ({len(values['lines'])} choices, n={values['n_rows']} "
            f"{values['rows_are']}, chance {values['chance']:.2f})",
        )
    ]
    about, spans = values["about_offsets"], values["range_of_offsets"]
    if values["offsets"]:
        rows.append(
            (
                "sensitivity, range over token offsets",
                f"{_spans(spans)} (read again: {about['n_texts']} of {about['n_all']} "
                f"stories on {about['n_topics']} topics)",
            )
        )
    else:
        rows.append(("sensitivity, range over token offsets", f"not measured: {about['why']}"))
    lines = [*values["lines"], *values["offsets"]]
    return rows + [(f"sensitivity: {line['name']}", _line(line)) for line in lines]


def _paragraph(values: Mapping[str, Any]) -> str:
    own = next(line for line in values["lines"] if line["own"])
    removed = (
        "no neutral components"
        if own["name"] == "neutral: none"
        else f"neutral components of {own['name']} of the variance"
    )
    text = (
        f"The vectors of layer {values['layer']} were made and read in {len(values['lines'])} "
        f"ways, one choice changed at a time. With the run's own choices ({removed}, centered "
        "cosine) "
    )
    parts = [
        f"{title} is {estimate(own[key])} and ranges from {_span(values['range'][key])}"
        for key, title in STATISTICS.items()
        if own[key] is not None
    ]
    text += "; ".join(parts) + "."
    about, spans = values["about_offsets"], values["range_of_offsets"]
    if values["offsets"]:
        said = "; ".join(
            f"{title} from {_span(spans[key])}"
            for key, title in STATISTICS.items()
            if spans[key] is not None
        )
        text += (
            f" For the token offset {about['n_texts']} of {about['n_all']} stories, on "
            f"{about['n_topics']} topics, were read again: {said}."
        )
    return text


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    for line in [*values["lines"], *values["offsets"]]:
        for key, title in STATISTICS.items():
            change = line["change"]
            found = None if change is None else change[key]
            if found is not None and (found["low"] > 0 or found["high"] < 0):
                limits.append(
                    f"Sensitivity: with {line['name']}, {title} would be {line[key]['value']:.2f} "
                    f"(change {signed(found)})."
                )
    if values["no_tokens"]:
        limits.append("Sensitivity: no single neutral tokens were kept to take components of.")
    if not values["offsets"]:
        limits.append(f"Sensitivity: token offsets: {values['about_offsets']['why']}.")
    return limits
