"""`diagnose`: prove on this machine that a model is read as it should be, or say what is wrong.

Measured on a few short texts: both backends give the same residual stream, the unembedding gives
the model's own logits, padding changes nothing, a sequence has one beginning-of-sequence token.

Differences are relative to the largest entry of each layer. Of residuals only content tokens are
compared: the first token's are many times larger and would hide the others.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.models.loading import load
from hooks.models.model import LanguageModel
from hooks.models.precision import computes_in_bfloat16
from hooks.reading.capture import pooled_resid_post, resid_post
from hooks.tokens import encoding
from hooks.tokens.encoding import content_places
from hooks.tokens.positions import FromToken

_TEXTS = (
    "The ferry was late, so they stood on the pier and counted the boats that came in.",
    "Nobody had opened the shop.",
    "A letter lay under the door when she came home, and she read it twice before she sat down.",
    "It rained.",
)
_FEW_POSITIONS = 512


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool | None
    """None for a fact or a notice, which cannot fail."""
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """All checks of one model."""

    model: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)


def diagnose(name: Any, **options: Any) -> Diagnosis:
    """Load a model with the options and the errors of `hooks.load`, and examine it."""
    return examine(load(name, **options))


def examine(model: LanguageModel) -> Diagnosis:
    """Run every check on a loaded model; one that raises has failed, and the others run."""
    checks = []
    for name, check in _CHECKS.items():
        try:
            verdict = check(model)
        except Exception as error:  # noqa: BLE001 - whatever a model does wrong is the finding
            verdict = False, f"{type(error).__name__}: {error}"
        checks.append(Check(name, *verdict))
    return Diagnosis(model.name, (*checks, *_limits(model)))


_Verdict = tuple[bool | None, str]


def tolerance(dtype: torch.dtype) -> float:
    """Largest relative difference that rounding explains."""
    return 1e-5 if dtype in (torch.float32, torch.float64) else 5e-2


def _size(model: LanguageModel) -> _Verdict:
    module: Any = model.hf if model.hf is not None else model.hooked
    count = sum(parameter.numel() for parameter in module.parameters())
    packed = f" (as stored in {model.quantize})" if model.quantize else ""
    return None, (
        f"{count:,} parameters{packed}, {model.n_layers} layers, d_model {model.d_model}, "
        f"vocabulary of {model.d_vocab:,}"
    )


def _precision(model: LanguageModel) -> _Verdict:
    taken = str(model.dtype).removeprefix("torch.")
    quantized = f", weights in {model.quantize}" if model.quantize else ""
    auto, reason = "float32", "would only emulate bfloat16"
    if computes_in_bfloat16(model.device):
        auto, reason = "bfloat16", "multiplies bfloat16 in hardware"
    return None, (
        f"{taken}{quantized}; 'auto' is {auto} on this device ({model.device}), which {reason}"
    )


def _backends_agree(model: LanguageModel) -> _Verdict:
    if model.reader is model.bulk:
        return _hidden_states_agree(model)
    reader, bulk = (
        pooled_resid_post(model, _TEXTS, keep=FromToken(0), through=through).tokens
        for through in ("reader", "bulk")
    )
    return _compare(model, bulk.transpose(0, 1), reader.transpose(0, 1))


@torch.no_grad()
def _hidden_states_agree(model: LanguageModel) -> _Verdict:
    """Compare our hooks with what the model itself says of its blocks, all but the last."""
    if model.hf is None:
        return None, "only TransformerLens drives this model"
    read = resid_post(model, _TEXTS[0])
    ids = torch.tensor([read.token_ids], device=model.device)
    # The first is the embedding, and the last is behind the final norm.
    states = (model.hf.base_model(ids, output_hidden_states=True).hidden_states or ())[1:-1]
    if not states:
        return None, "the model does not tell its hidden states, and one backend drives it"
    content = content_places(read.token_ids, model.special_ids)
    expected = torch.stack([layer[0].float().cpu() for layer in states])[:, content]
    agree, detail = _compare(model, read.resid[:-1, content], expected)
    return agree, f"{detail} (compared with the model's own hidden states)"


@torch.no_grad()
def _unembedding(model: LanguageModel) -> _Verdict:
    read = resid_post(model, _TEXTS[0], layers=[model.n_layers - 1])
    ids = torch.tensor([read.token_ids], device=model.device)
    module: Any = model.hf if model.hf is not None else model.hooked
    output = module(ids)
    expected = output.logits if model.hf is not None else output
    return _compare(model, model.unembed(read.resid).cpu(), expected.float().cpu(), what="logits")


def _batch(model: LanguageModel) -> _Verdict:
    whole = pooled_resid_post(model, _TEXTS)
    single = pooled_resid_post(model, _TEXTS, batch_tokens=1)
    return _compare(model, whole.mean.transpose(0, 1), single.mean.transpose(0, 1))


def _padding(model: LanguageModel) -> _Verdict:
    left, right = (
        pooled_resid_post(model, _TEXTS, padding_side=side) for side in ("left", "right")
    )
    return _compare(model, left.mean.transpose(0, 1), right.mean.transpose(0, 1))


def _compare(
    model: LanguageModel,
    got: Float[Tensor, "layer row column"],
    expected: Float[Tensor, "layer row column"],
    what: str = "residuals",
) -> _Verdict:
    """Largest difference in units of each layer's largest entry, against the tolerance."""
    difference = (got - expected).abs().amax(dim=(1, 2))
    relative = difference / expected.abs().amax(dim=(1, 2))
    worst = int(relative.argmax())
    limit = tolerance(torch.bfloat16 if model.quantize else model.dtype)
    where = f" (layer {worst})" if len(relative) > 1 else ""
    detail = f"{what} differ by at most {float(relative[worst]):.1e}{where}; tolerance {limit:.0e}"
    # NaN is not below the limit.
    return bool((relative < limit).all()), detail


def _beginning(model: LanguageModel) -> _Verdict:
    bos = model.tokenizer.bos_token_id
    if bos is None:
        return None, "the tokenizer has no beginning-of-sequence token, and none is added"
    # Only the beginning counts: some models' chat turns begin with the same token.
    text, prompt = (
        len(list(itertools.takewhile(lambda token: token == bos, ids)))
        for ids in (model.encode(_TEXTS[0]), model.encode_prompt(_TEXTS[0]))
    )
    return text == prompt == 1, f"a text starts with {text}, a prompt starts with {prompt}"


_CHECKS: dict[str, Callable[[LanguageModel], _Verdict]] = {
    "size": _size,
    "precision": _precision,
    "backend": lambda model: (None, f"{model.backend}: {model.backend_reason}"),
    "chat template": lambda model: (
        None,
        "prompts go through the model's chat template" if model.is_chat else "none: a base model",
    ),
    "backends agree": _backends_agree,
    "unembedding is the model's own": _unembedding,
    "a batch equals its texts one by one": _batch,
    "left padding equals right padding": _padding,
    "one beginning-of-sequence token": _beginning,
}


def _limits(model: LanguageModel) -> list[Check]:
    """List what will not work with this model."""
    notices = {
        "no TransformerLens": (
            model.hooked is None,
            "model.hooked is None: no tools of TransformerLens; reading, steering and writing work",
        ),
        "no generation": (
            model.hf is None,
            f"a {type(model.hooked).__name__} does not write texts here; load the model by name",
        ),
        "quantized": (
            model.quantize is not None,
            "vectors made with these weights are refused for the plain ones, and vice versa",
        ),
        "processed weights": (
            model.weight_processing != "none",
            f"TransformerLens changed the weights ({model.weight_processing}) and with them the "
            "residual stream's basis",
        ),
        "plain prompts only": (
            not encoding.is_chat(model.tokenizer),
            "system messages and lists of messages need a chat model",
        ),
        "short texts only": (
            model.n_positions is not None and model.n_positions <= _FEW_POSITIONS,
            f"the model reads at most {model.n_positions} tokens; longer texts are refused",
        ),
    }
    return [Check(name, None, detail) for name, (applies, detail) in notices.items() if applies]
