"""Free text: do steered continuations convey the emotion, to judges that did not steer.

Topics are dealt into two halves: steering vectors come from one, judges from the other and from
another layer (`judges`). Prompts of our own that promise no emotion are continued unsteered, under
some emotions' vectors, and under random directions with the stories' covariance, all with one dose
and seed. `judged_texts` compares what the judges say, `story_leak` asks whether steered texts use
the words of the emotion's own stories.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import reduce, repeat
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import DataError, FromToken, LanguageModel
from probes.analysis.findings import Estimate, Finding, strongest
from probes.experiments import Experiment, Result
from probes.experiments.steering import judged_texts, judges, story_leak
from probes.experiments.steering.controls import matched_random
from probes.experiments.steering.figures import judged_gains
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
_JUDGES = {
    "classifier": ("held-out classifier", "nats", "+.2f"),
    "vectors": ("vectors of another layer", "cosine", "+.3f"),
}
"""Name, unit and format of each judge that scores."""


@dataclass(frozen=True)
class FreeText(Result):
    """What judges hear in steered texts.

    A judge chooses among `n_choices` emotions; `classifier_accuracy` is on stories of unseen
    topics; `leak` is None where activations were kept by cell, `judge_model` where none was asked.
    """

    model: str
    layer: int
    judge_layer: int
    dose: float
    emotions: list[str]
    n_choices: int
    prompts: list[str]
    n_random: int
    classifier_accuracy: float
    chance: float
    judges: Mapping[str, judged_texts.JudgedGains]
    leak: story_leak.ContentLeak | None
    judge_model: judged_texts.JudgedAnswers | None
    texts: judged_texts.Continuations

    @property
    def n(self) -> str:
        """How many texts were judged."""
        return f"{len(self.emotions)} emotions x {len(self.prompts)} prompts"

    def findings(self) -> list[Finding]:
        """Say what each judge hears, and whether steered texts retell stories."""
        findings = [self._gain(key) for key in _JUDGES]
        if self.judge_model is not None:
            asked, controls = self.judge_model, self.judge_model.controls()
            right = all(control.excess and control.excess.above_zero for control in controls)
            answers = Finding(
                f"free text: {asked.model}",
                asked.hits,
                "shown" if right else "not shown",
                spec=".0%",
                unit="named",
                n=f"{asked.n} texts",
                control=strongest(controls),
                note=f"no emotion in {asked.none:.0%}",
                rule="How often another model names the emotion steered to. Called shown when the "
                "intervals of its excess over each control lie above zero.",
            )
            findings.append(answers)
        if self.leak is not None:
            leak = Finding(
                "free text: content leak",
                Estimate(self.leak.steered),
                "described",
                spec=".1%",
                unit="words of the emotion's own stories",
                n=self.n,
                control=strongest(self.leak.controls()),
                note=f"in the stories {self.leak.in_stories:.1%}",
            )
            findings.append(leak)
        return findings

    def _gain(self, key: str) -> Finding:
        judged, (name, unit, spec) = self.judges[key], _JUDGES[key]
        exceeds = judged.control.excess is not None and judged.control.excess.above_zero
        in_part = "shown in part" if exceeds else "not shown"
        return Finding(
            f"free text at dose {self.dose:g}: {name}",
            judged.own,
            "shown" if exceeds and judged.own.above_zero else in_part,
            spec=spec,
            unit=unit,
            n=self.n,
            control=judged.control,
            note=f"gains more than {judged.beaten:.0%} of emotions (chance 50%)",
            rule="How much higher a judge scores an emotion in text steered toward it than in "
            "unsteered text. Called shown when the interval lies above zero, and so does that of "
            "its excess over the control; in part when that of the excess alone does.",
        )

    def paragraph(self) -> str:
        """Tell what was written, who judged it, and what they heard."""
        gains = " and ".join(
            f"{self.judges[key].own:{spec}} {unit} by the {name} "
            f"({self.judges[key].control.said(spec)}: {self._gain(key).verdict})"
            for key, (name, unit, spec) in _JUDGES.items()
        )
        text = (
            f"{len(self.prompts)} openings that promise no emotion were continued under each of "
            f"{len(self.emotions)} emotions' vectors (half of the topics, layer {self.layer}, dose "
            f"{self.dose:g}) and judged by what comes from the other half at layer "
            f"{self.judge_layer}, where a classifier is right for {self.classifier_accuracy:.0%} "
            f"of stories (chance {self.chance:.0%}). Over unsteered text the emotion "
            f"steered to gains {gains}."
        )
        if self.leak is not None and (self.leak.excess_interval[0] or 0) > 0:
            such_as = f", such as {', '.join(self.leak.words[:5])}" if self.leak.words else ""
            text += (
                " Steered text uses more of the words that set the emotion's own stories apart"
                f"{such_as}."
            )
        return text

    def limits(self) -> list[str]:
        """Say what little was written, and which judges are weak or were not asked."""
        limits = [
            f"Free text: {len(self.prompts)} prompts for each of {len(self.emotions)} emotions, "
            "one continuation each."
        ]
        if self.judge_model is None:
            limits.append(
                "Free text: no judge model was asked (validation.judge_base_url and judge_model)."
            )
        elif self.judge_model.unreadable > 0.1:
            limits.append(
                f"Free text: {self.judge_model.unreadable:.0%} of the judge model's answers were "
                "not one word of the list and count as misses."
            )
        if self.leak is None:
            limits.append(
                "Free text: content leak needs activations per story; they were kept by cell."
            )
        if self.classifier_accuracy < 2 * self.chance:
            limits.append("Free text: the classifier is hardly better than chance on stories.")
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe what each judge hears in the texts."""
        return {
            f"free_text_{key}": judged_gains(self, key, name, unit)
            for key, (name, unit, _) in _JUDGES.items()
        }


def measure(materials: Materials) -> FreeText:
    """Write, judge, compare."""
    settings = materials.config.validation
    server = None
    if settings.judge_model is not None and settings.judge_base_url is not None:
        server = judges.JudgeServer(
            settings.judge_base_url, settings.judge_model, settings.api_key_env
        )
        server.key()  # refused before anything is written
    judge_layer = other_layer(materials.vectors.layers, materials.layer)
    stories = materials.stories()
    steers = stories.topic % 2 == 0
    n = len(materials.emotions)
    vectors = judges.vectors_of(stories, steers, n, materials.neutral_components())
    read = materials.stories(judge_layer)
    judging = judges.vectors_of(read, ~steers, n, materials.neutral_components(judge_layer))
    fitted = judges.classifier(read.mean, read.emotion, ~steers)
    center = reduce(read.mean[~steers].double(), "row d_model -> d_model", "mean")
    steered = materials.steered_emotions()
    n_written = min(len(steered), settings.free_text_emotions)
    # Spread over the list.
    places = torch.linspace(0, len(steered) - 1, n_written).round().long().tolist()
    emotions = [steered[place] for place in places]
    columns = [materials.emotions.index(name) for name in emotions]
    model = materials.subject()
    texts = _write(materials, model, emotions, vectors[columns])

    each = [text or " " for text in texts.each]
    pooled = hooks.pooled_resid_post(model, each, FromToken(0), layers=[judge_layer])
    # An empty continuation conveys nothing: it is judged as the average story.
    seen = torch.where(pooled.mean[:, 0].isnan(), center.float(), pooled.mean[:, 0])
    scores = {
        "classifier": fitted.scores(seen),
        "vectors": judges.other_vectors(seen, judging, center),
    }
    answered = None
    if server is not None:
        say = materials.reporter.note
        answers = judges.ask_judge(server, texts.each, materials.emotions, say)
        answered = judged_texts.judged_answers(answers, emotions, len(PROMPTS), server.model)
    return FreeText(
        model=model.name,
        layer=materials.layer,
        judge_layer=judge_layer,
        dose=settings.free_text_dose,
        emotions=emotions,
        n_choices=n,
        prompts=list(PROMPTS),
        n_random=len(texts.random),
        classifier_accuracy=fitted.accuracy,
        chance=1 / n,
        judges={
            name: judged_texts.judged_gains(score, columns, len(PROMPTS))
            for name, score in scores.items()
        },
        leak=_leak(materials, texts),
        judge_model=answered,
        texts=texts,
    )


EXPERIMENT = Experiment(FreeText, measure)


def other_layer(layers: Sequence[int], target: int) -> int:
    """Return a layer a sixth of the depth from the target; raises `DataError` without any."""
    others = [layer for layer in layers if layer != target]
    if not others:
        raise DataError(
            "free text is judged at another layer than it is steered at, and activations of one "
            "layer only were kept; extract more layers (activation.layers)."
        )
    wanted = target + max(1, (max(layers) + 1) // 6)
    return min(others, key=lambda layer: (abs(layer - wanted), layer))


def _write(
    materials: Materials,
    model: LanguageModel,
    emotions: list[str],
    vectors: Float[Tensor, "emotion d_model"],
) -> judged_texts.Continuations:
    settings = materials.config.validation
    random = matched_random(materials, settings.free_text_random, materials.seed + 2)
    directions = torch.cat([vectors, random])
    prompts = [model.encode(prompt) for prompt in PROMPTS]
    # A prompt's draws are the same under every direction.
    seeds = [materials.seed + number for number in range(len(prompts))]

    def write(n: int) -> list[list[str]]:
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

    how = {
        "layers": [materials.layer],
        "dose": settings.free_text_dose,
        "residual_norm": materials.vectors.norm_by_layer,
    }
    with materials.reporter.task("free-text", 1 + len(directions), "conditions") as advance:
        [unsteered] = write(1)
        steered = []
        for chunk in directions.split(_DIRECTIONS_AT_ONCE):
            each = repeat(chunk, "direction d -> (direction prompt) d", prompt=len(prompts))
            with hooks.steer_each(model, each, **how):
                steered += write(len(chunk))
    n = len(emotions)
    return judged_texts.Continuations(
        unsteered, dict(zip(emotions, steered[:n], strict=True)), steered[n:]
    )


def _leak(
    materials: Materials,
    texts: judged_texts.Continuations,
) -> story_leak.ContentLeak | None:
    materials = materials.by_story
    stories = materials.stories()
    if (stories.index < 0).any():
        return None
    all_written = materials.texts(stories)
    rows = (stories.topic % 2 == 0).nonzero()[:, 0].tolist()
    written = [all_written[row] for row in rows]
    emotions = [materials.emotions[number] for number in stories.emotion[rows].tolist()]
    distinctive = story_leak.distinctive_words(written, emotions, stories.topic[rows].tolist())
    in_stories = [
        story_leak.leak(text, distinctive[name])
        for text, name in zip(written, emotions, strict=True)
    ]
    return story_leak.leaked(texts, distinctive, sum(in_stories) / len(in_stories))
