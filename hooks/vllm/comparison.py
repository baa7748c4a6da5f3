"""`compare`: prove that vLLM reads and goes on as our hooks do, or say what is missing.

Hidden states and log-probabilities of a few texts are compared layer by layer, relative to the
largest entry; of states only content tokens are, as by `hooks.doctor`.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.doctor import TEXTS, Check, Diagnosis
from hooks.errors import EmotionLensError
from hooks.generation.last_token import next_token_logits
from hooks.models.loading import load
from hooks.models.model import LanguageModel
from hooks.models.structure import relative_differences
from hooks.reading.capture import resid_post
from hooks.tokens.encoding import content_places
from hooks.vllm.engine import Picked, Prompt, VllmEngine, VllmOptions

_N_TEXTS = 3
_TOKENS_COMPARED = 50


def limit(dtype: torch.dtype) -> float:
    """Largest relative difference between two engines that rounding explains."""
    return 1e-3 if dtype == torch.float32 else 3e-2


def compare(name: str, settings: VllmOptions) -> Diagnosis:
    """Load a model here and in vLLM and compare them; what is missing is a failed check."""
    checks: list[Check] = []

    def look(what: str, check: Callable[[], tuple[bool | None, str]]) -> bool:
        try:
            verdict = check()
        except EmotionLensError as error:
            verdict = False, str(error)
        checks.append(Check(what, *verdict))
        return verdict[0] is not False

    if look("environment", lambda: (None, f"vLLM {settings.version()} in {settings.python}")):
        model = load(
            name,
            backend="huggingface",
            dtype=settings.dtype,
            device="cpu",
            revision=settings.revision,
        )
        assert model.hf is not None
        source = model.hf.config._name_or_path
        same = replace(settings, dtype=str(model.dtype).removeprefix("torch."))
        look("hidden states", lambda: _states(model, source, same))
        look("log-probabilities", lambda: _log_probs(model, source, same))
    return Diagnosis(name, tuple(checks))


def _states(model: LanguageModel, source: str, settings: VllmOptions) -> tuple[bool, str]:
    ours, picked = [], []
    for text in TEXTS[:_N_TEXTS]:
        read = resid_post(model, text, through="bulk")
        places = content_places(read.token_ids, model.special_ids)
        ours.append(read.resid[:, places])
        picked.append(Picked(read.token_ids, places, keep=places))
    with VllmEngine(source, settings) as engine:
        read_texts = engine.read(picked)
    theirs = [text.keep.transpose(0, 1) for text in read_texts if text.keep is not None]
    differences = relative_differences(torch.cat(theirs, dim=1), torch.cat(ours, dim=1))
    return _verdict(model, differences, "residuals differ by")


def _log_probs(model: LanguageModel, source: str, settings: VllmOptions) -> tuple[bool, str]:
    prompts = [model.encode(text) for text in TEXTS[:_N_TEXTS]]
    everything = range(model.d_vocab)
    log_probs = next_token_logits(model, prompts, everything).log_softmax(dim=1)
    likely = log_probs.topk(min(_TOKENS_COMPARED, model.d_vocab)).indices
    free = replace(settings, options={"max_logprobs": -1})
    one = {"max_tokens": 1, "temperature": 0.0}
    asked = [
        Prompt(ids, one, tokens=some) for ids, some in zip(prompts, likely.tolist(), strict=True)
    ]
    with VllmEngine(source, free) as engine:
        theirs = torch.tensor([text.logprobs for text in engine.generate(asked)])
    differences = relative_differences(theirs[None], log_probs.gather(1, likely)[None])
    return _verdict(model, differences, f"those of the {likely.shape[1]} likeliest differ by")


def _verdict(
    model: LanguageModel, differences: Float[Tensor, "layer"], what: str
) -> tuple[bool, str]:
    most, worst = limit(model.dtype), float(differences.max())  # NaN is the largest
    per_layer = " ".join(f"{it:.0e}" for it in differences.tolist())
    listed = f"; by layer {per_layer}" if len(differences) > 1 else ""
    return worst < most, f"{what} at most {worst:.1e}, tolerance {most:.0e}{listed}"
