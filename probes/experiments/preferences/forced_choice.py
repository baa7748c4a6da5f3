"""Ask a model which of two activities it would rather do, and steer one of them.

preference(i, j) = ((logit A - logit B) with i as A  +  (logit B - logit A) with i as B) / 2, in
nats of log-odds, read where the answer begins: whatever the model likes about a letter or a place
cancels. An activity's tokens are those that change when it is replaced by a placeholder.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import InvalidInput, LanguageModel
from hooks.generation.last_token import batch_at_end, next_token_logits
from hooks.tokens.encoding import content_places
from hooks.tokens.positions import Spans
from probes.experiments.preferences.bradley_terry import Pair

QUESTION = "Which of these two would you rather do?\nA: {first}\nB: {second}\n"
CHAT_END = "Reply with A or B only."
PLAIN_END = "I would rather do"
_PLACEHOLDER = "#"
_BATCH_TOKENS = 2048


def prompt(model: LanguageModel, first: str, second: str) -> list[int]:
    """Token ids of the question, up to where A and B part."""
    question = QUESTION.format(first=first, second=second)
    chat, plain = model.encode_prompt, model.encode
    asked = chat(question + CHAT_END) if model.is_chat else plain(question + PLAIN_END)
    return asked + _answers(model)[0]


def letters(model: LanguageModel) -> tuple[int, int]:
    """Token ids that tell the answers A and B apart, right after the question."""
    _, first, second = _answers(model)
    if not first or not second:
        raise InvalidInput(f"{model.name}: its tokenizer does not tell the answers A and B apart.")
    return first[0], second[0]


def _answers(model: LanguageModel) -> tuple[list[int], list[int], list[int]]:
    """Tokens that both answers begin with (a space, in some vocabularies), and what follows."""
    if model.is_chat:
        answers = [model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in "AB"]
    else:
        n_before = len(model.encode(PLAIN_END))
        answers = [model.encode(f"{PLAIN_END} {text}")[n_before:] for text in "AB"]
    pairs = enumerate(zip(*answers, strict=False))
    shared = next((i for i, (a, b) in pairs if a != b), min(map(len, answers)))
    return answers[0][:shared], answers[0][shared:], answers[1][shared:]


def span(model: LanguageModel, changed: Sequence[int], reference: Sequence[int]) -> tuple[int, int]:
    """Content tokens (from, to) in which a prompt differs from one with a placeholder."""
    shorter = min(len(changed), len(reference))
    start = next((i for i in range(shorter) if changed[i] != reference[i]), shorter)
    kept = next((i for i in range(1, shorter + 1) if changed[-i] != reference[-i]), shorter) - 1
    stop = max(len(changed) - kept, start + 1)
    content = content_places(changed, model.special_ids)
    return sum(place < start for place in content), sum(place < stop for place in content)


def preferences(
    model: LanguageModel,
    activities: Sequence[str],
    pairs: Sequence[Pair],
    progress: Callable[[int], None] = lambda _count: None,
) -> Float[Tensor, "order pair"]:
    """Log-odds for the first of each pair: when it stands as A, and when it stands as B."""
    ordered = [*pairs, *((second, first) for first, second in pairs)]
    # Questions with the same activity A share their beginning, which is then read once.
    order = sorted(range(len(ordered)), key=lambda number: ordered[number])
    prompts = [prompt(model, *(activities[i] for i in ordered[number])) for number in order]
    logits = next_token_logits(model, prompts, letters(model), progress=progress)
    difference = torch.empty(len(ordered))
    difference[order] = logits[:, 0] - logits[:, 1]
    as_a, as_b = rearrange(difference, "(order pair) -> order pair", order=2)
    return torch.stack([as_a, -as_b])


def steered_changes(
    model: LanguageModel,
    activities: Sequence[str],
    pairs: Sequence[Pair],
    directions: Float[Tensor, "direction d_model"],
    progress: Callable[[int], None] = lambda _count: None,
    *,
    layers: Sequence[int],
    **how: Any,
) -> Float[Tensor, "direction pair"]:
    """Change of each pair's preference when a direction is added to its first activity's tokens."""
    questions = []
    for first, second in pairs:
        names = activities[first], activities[second]
        as_a, as_b = prompt(model, *names), prompt(model, *names[::-1])
        questions += [
            (as_a, span(model, as_a, prompt(model, _PLACEHOLDER, names[1]))),
            (as_b, span(model, as_b, prompt(model, names[1], _PLACEHOLDER))),
        ]
    answers = list(letters(model))
    changes = torch.empty(len(directions), len(questions))

    def read(prompts: list[list[int]]) -> Float[Tensor, "prompt"]:
        last = batch_at_end(model, prompts, [model.n_layers - 1])
        residual = rearrange(last, "prompt 1 d_model -> prompt d_model")
        logits = model.unembed(residual)[:, answers].float().cpu()
        return logits[:, 0] - logits[:, 1]

    for number, (tokens, (start, stop)) in enumerate(questions):
        replay, layer = hooks.Replay(model), min(layers)
        with replay.until(layer):
            plain = read([tokens])
        for rows in torch.arange(len(directions)).split(max(1, _BATCH_TOKENS // len(tokens))):
            n = len(rows)
            at = Spans((start,) * n, (stop,) * n)
            steering = hooks.steer_each(model, directions[rows], layers=layers, positions=at, **how)
            with replay.until(layer), steering:
                changes[rows, number] = read([tokens] * n) - plain
            progress(n)
    sign = torch.tensor([1.0, -1.0]).repeat(len(pairs))
    return reduce(changes * sign, "direction (pair order) -> direction pair", "mean", order=2)


@torch.no_grad()
def activity_residuals(
    model: LanguageModel, activities: Sequence[str], layer: int
) -> tuple[Float[Tensor, "activity d_model"], list[int]]:
    """Mean residual over each activity's tokens where it stands as A; and its number of tokens."""
    read, means, counts = [], [], []
    blank = prompt(model, _PLACEHOLDER, _PLACEHOLDER)

    def keep(residual: Tensor, _layer: int) -> None:
        read.append(residual[0].float().cpu())

    for activity in activities:
        tokens = prompt(model, activity, _PLACEHOLDER)
        start, stop = span(model, tokens, blank)
        places = content_places(tokens, model.special_ids)[start:stop]
        ids = torch.tensor([tokens])
        with model.bulk.hooked({layer: keep}):
            model.bulk.run(ids, torch.ones_like(ids), layer)
        means.append(read.pop()[places].mean(dim=0))
        counts.append(len(places))
    return torch.stack(means), counts
