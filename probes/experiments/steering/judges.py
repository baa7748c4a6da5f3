"""Judges of a text's emotion that did not steer it.

* `classifier`: logistic regression on stories' activations, of topics and at a layer that the
  steering vectors do not come from.
* `other_vectors`: cosine with vectors made from those same topics at that layer.
* `ask_judge`: another model, asked through an OpenAI-compatible server.

The first two read a text with the unsteered model.

Contract: scores are [text emotion], larger for more of the emotion; only differences between texts
mean something.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from einops import reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hooks import DataError
from probes.corpus.endpoint import read_key
from probes.corpus.exchange import EndpointError
from probes.runs.materials import Stories
from probes.vectors.denoising import project_out
from probes.vectors.normalize import normalize

_AT_ONCE = 4
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
    """Make emotion vectors from some of the stories, as the pipeline does from all.

    Raises
    ------
    DataError
        When an emotion has no story among them.
    """
    means = []
    for number in range(n_emotions):
        chosen = stories.mean[rows & (stories.emotion == number)].double()
        if len(chosen) == 0:
            raise DataError(
                "an emotion has no story in one half of the topics; free text needs stories of "
                "every emotion on at least two topics."
            )
        means.append(reduce(chosen, "row d_model -> d_model", "mean"))
    stacked = torch.stack(means)
    centered = stacked - reduce(stacked, "emotion d_model -> 1 d_model", "mean")
    return project_out(centered, components).float()


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier and how well it does on stories of topics it has not seen."""

    model: Any
    accuracy: float

    def scores(self, activations: Float[Tensor, "text d_model"]) -> Float[Tensor, "text emotion"]:
        """Log-probabilities of the emotions."""
        found = self.model.predict_log_proba(activations.double().numpy())
        return torch.from_numpy(found).float()


def classifier(
    activations: Float[Tensor, "row d_model"],
    emotion: Int[Tensor, "row"],
    train: Bool[Tensor, "row"],
) -> Classifier:
    """Fit on the rows of `train`, test on the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = activations.double().numpy(), emotion.numpy()
    # Few stories and many dimensions: strongly regularized.
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    fitted.fit(x[train.numpy()], y[train.numpy()])
    rest = ~train.numpy()
    return Classifier(fitted, float((fitted.predict(x[rest]) == y[rest]).mean()))


def other_vectors(
    activations: Float[Tensor, "text d_model"],
    vectors: Float[Tensor, "emotion d_model"],
    center: Float[Tensor, "d_model"],
) -> Float[Tensor, "text emotion"]:
    """Cosine of texts, around the mean of the stories, with vectors."""
    return normalize(activations.float() - center.float()) @ normalize(vectors).T


@dataclass(frozen=True)
class JudgeServer:
    """An OpenAI-compatible server that judges.

    Attributes
    ----------
    api_key_env
        Environment variable that holds the key; None for servers that want none.
    """

    base_url: str
    model: str
    api_key_env: str | None = None

    def key(self) -> str:
        """Return the key.

        Raises
        ------
        InvalidInput
            When the variable that should hold it is not set.
        """
        return read_key(self.api_key_env, "validation.api_key_env") or "none"


def ask_judge(
    server: JudgeServer, texts: Sequence[str], emotions: Sequence[str]
) -> list[str | None]:
    """Ask which emotion each text conveys; see `named` for what answers are read as.

    Raises
    ------
    EndpointError
        When the server cannot be reached or refuses.
    """
    import openai

    client = openai.OpenAI(
        base_url=server.base_url, api_key=server.key(), timeout=120.0, max_retries=2
    )

    def ask(text: str) -> str | None:
        question = _QUESTION.format(emotions=", ".join(emotions), text=text)
        answer = client.chat.completions.create(
            model=server.model,
            messages=[{"role": "user", "content": question}],
            temperature=0.0,
            max_tokens=200,
        )
        return named(answer.choices[0].message.content or "", emotions)

    try:
        with client, ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(ask, texts))
    except openai.OpenAIError as error:
        raise EndpointError(
            f"the judge {server.model} at {server.base_url} gave no answer "
            f"({type(error).__name__}). Check validation.judge_base_url, judge_model and "
            "api_key_env, or set judge_model to null to go without."
        ) from error


def named(answer: str, emotions: Sequence[str]) -> str | None:
    """Return the emotion that an answer is, or `NONE`; None where it is more than one word of them.

    "sad, not happy" names two emotions and is neither: it is not guessed at. What a model thinks
    aloud before its answer, and marks around the word, do not count.
    """
    said = re.sub(r"<think>.*?</think>", "", answer, flags=re.DOTALL).strip()
    word = re.sub(r"^answer:\s*", "", said.lower()).strip(" \t\n.!*_`'\"“”‘’")
    return word if word == NONE or word in emotions else None
