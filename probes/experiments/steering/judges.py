"""Judges of a text's emotion that did not steer it.

* `classifier`: logistic regression on stories' activations, read by the unsteered model.
* `other_vectors`: cosine with vectors made from the same stories.
* `ask_judge`: another model, asked through an OpenAI-compatible server.

Only differences of scores between texts mean something.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks import DataError
from probes.config import EndpointSettings
from probes.corpus.endpoint import Endpoint, read_key
from probes.corpus.exchange import EndpointError, Sampling
from probes.corpus.thoughts import without_thought
from probes.runs.materials import Stories
from probes.vectors.denoising import emotion_means, mean_difference, project_out
from probes.vectors.normalize import normalize

_SETTINGS = EndpointSettings(
    concurrency=4, timeout_seconds=120.0, attempts=3, patience_seconds=600.0
)
_GREEDY = Sampling(max_new_tokens=200, temperature=0.0, top_p=1.0, top_k=None)
NONE = "none"
"""What a judge answers where a text conveys no emotion of the list."""
_QUESTION = (
    "Which one of these emotions does the passage below convey best? Reply with exactly one word "
    'from the list, or with "none": no sentence, no explanation.\n\nEmotions: {emotions}\n\n'
    "Passage:\n{text}"
)


def vectors_of(
    stories: Stories,
    rows: Bool[Tensor, "row"],
    n_emotions: int,
    components: Float[Tensor, "component d_model"],
) -> Float[Tensor, "emotion d_model"]:
    """Make emotion vectors from some of the stories; DataError for an emotion without one."""
    if len(stories.emotion[rows].unique()) < n_emotions:
        raise DataError(
            "an emotion has no story in one half of the topics; free text needs stories of "
            "every emotion on at least two topics."
        )
    activations = rearrange(stories.mean[rows], "row d_model -> row 1 d_model")
    raw, _ = mean_difference(emotion_means(activations, stories.emotion[rows], n_emotions))
    return project_out(raw[0], components).float()


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier and how well it does on stories of topics it has not seen."""

    model: Any
    accuracy: float

    def scores(self, activations: Float[Tensor, "text d_model"]) -> Float[Tensor, "text emotion"]:
        """Log-probabilities of the emotions."""
        log_proba = self.model.predict_log_proba(activations.double().numpy())
        return torch.from_numpy(log_proba).float()


def classifier(
    activations: Float[Tensor, "row d_model"],
    emotion: Int[Tensor, "row"],
    train: Bool[Tensor, "row"],
) -> Classifier:
    """Fit on the rows of `train`, test on the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y, chosen = activations.double().numpy(), emotion.numpy(), train.numpy()
    # Few stories and many dimensions: strongly regularized.
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    fitted.fit(x[chosen], y[chosen])
    return Classifier(fitted, float(fitted.score(x[~chosen], y[~chosen])))


def other_vectors(
    activations: Float[Tensor, "text d_model"],
    vectors: Float[Tensor, "emotion d_model"],
    center: Float[Tensor, "d_model"],
) -> Float[Tensor, "text emotion"]:
    """Cosine of texts, around the mean of the stories, with vectors."""
    return normalize(activations.float() - center.float()) @ normalize(vectors).T


@dataclass(frozen=True)
class JudgeServer:
    """An OpenAI-compatible server that judges; `api_key_env` names the variable with its key."""

    base_url: str
    model: str
    api_key_env: str | None = None

    def key(self) -> str | None:
        """Return the key, if one is wanted; raises `InvalidInput` where its variable is not set."""
        return read_key(self.api_key_env, "validation.api_key_env")


def ask_judge(
    server: JudgeServer,
    texts: Sequence[str],
    emotions: Sequence[str],
    say: Callable[[str], None] = lambda _line: None,
) -> list[str | None]:
    """Ask which emotion each text conveys (`named`); raises `EndpointError` without an answer.

    `say` hears of a judge that cannot be reached.
    """
    names = ", ".join(emotions)
    questions = [_QUESTION.format(emotions=names, text=text) for text in texts]
    try:
        key = server.key()
        with Endpoint(server.model, [server.base_url], key, _SETTINGS, say=say) as judge:
            # Not waited for as long as an answer is.
            judge.connect(questions[0], _GREEDY)
            answers = judge.generate(questions, sampling=_GREEDY, seed=0)
    except EndpointError as error:
        raise EndpointError(
            f"the judge {server.model} at {server.base_url} gave no answer: {error} Check "
            "validation.judge_base_url, judge_model, api_key_env; without a judge_model none is "
            "asked."
        ) from error
    return [named(answer.text, emotions) for answer in answers]


def named(answer: str, emotions: Sequence[str]) -> str | None:
    """Return the emotion that an answer is, or `NONE`; None where it is more than one word of them.

    What a model thinks aloud before its answer, and marks around the word, do not count.
    """
    spoken = without_thought(answer) or ""
    word = re.sub(r"^answer:\s*", "", spoken.strip().lower()).strip(" \t\n.!*_`'\"“”‘’")
    return word if word == NONE or word in emotions else None
