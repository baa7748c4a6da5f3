"""`diagnose`: prove on this machine that a model is read as it should be, or say what is wrong.

Measured on a few short texts: both backends give the same residual stream, the unembedding gives
the model's own logits, padding changes nothing, steering adds what it says, a greedy text is the
model's own, a sequence has one beginning-of-sequence token.

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

from hooks.errors import ModelError
from hooks.generation.sampling import stop_ids
from hooks.models.backends import HuggingFaceBackend
from hooks.models.loading import load
from hooks.models.model import LanguageModel
from hooks.models.precision import computes_in_bfloat16
from hooks.models.structure import first_tensor, relative_differences
from hooks.reading.capture import pooled_resid_post, resid_post
from hooks.reading.scoring import next_tokens
from hooks.steering.steer import steer
from hooks.tokens import encoding
from hooks.tokens.encoding import content_places, puts_beginning
from hooks.tokens.positions import FromToken
from hooks.tokens.text_positions import turn_end

TEXTS = (
    "The ferry was late, so they stood on the pier and counted the boats that came in.",
    "Nobody had opened the shop.",
    "A letter lay under the door when she came home, and she read it twice before she sat down.",
    "It rained.",
)
"""What the doctor reads."""
_FEW_POSITIONS = 512
_PROMPT_TOKENS = (12, 5, 9)
"""Of the first texts: prompts of different lengths, which are padded."""
_WRITTEN_TOKENS = 6


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
        pooled_resid_post(model, TEXTS, keep=FromToken(0), through=through).tokens
        for through in ("reader", "bulk")
    )
    return _compare(model, bulk.transpose(0, 1), reader.transpose(0, 1))


@torch.no_grad()
def _hidden_states_agree(model: LanguageModel) -> _Verdict:
    """Compare our hooks with what the model itself says of its blocks, all but the last."""
    tree = model.bulk
    if model.hf is None or not isinstance(tree, HuggingFaceBackend):
        return None, "only TransformerLens drives this model"
    read = resid_post(model, TEXTS[0])
    ids = torch.tensor([read.token_ids], device=model.device)
    entering: list[Tensor] = []
    hook = tree.structure.blocks[0].register_forward_pre_hook(
        lambda _module, inputs, named: entering.append(first_tensor(inputs or [*named.values()])),
        with_kwargs=True,
    )
    with hook:
        output = model.hf.base_model(ids, output_hidden_states=True, use_cache=False)
    states = output.hidden_states or ()
    if not states:
        return None, "the model does not tell its hidden states, and one backend drives it"
    # The first is the embedding, in some models left out; the last is behind the final norm.
    states = states[1:-1] if torch.equal(states[0], entering[0]) else states[:-1]
    content = content_places(read.token_ids, model.special_ids)
    streams = [tree.structure.stream_of(state)[0].float().cpu() for state in states]
    expected = torch.stack(streams)[:, content]
    agree, detail = _compare(model, read.resid[: len(states), content], expected)
    return agree, f"{detail} (compared with the model's own hidden states)"


@torch.no_grad()
def _unembedding(model: LanguageModel) -> _Verdict:
    read = resid_post(model, TEXTS[0], layers=[model.n_layers - 1])
    ids = torch.tensor([read.token_ids], device=model.device)
    module: Any = model.hf if model.hf is not None else model.hooked
    # Reading alone takes no cache, and a model may fail at making one of its own.
    expected = module(ids, use_cache=False).logits if model.hf is not None else module(ids)
    return _compare(model, model.unembed(read.resid).cpu(), expected.float().cpu(), what="logits")


def _batch(model: LanguageModel) -> _Verdict:
    whole = pooled_resid_post(model, TEXTS)
    single = pooled_resid_post(model, TEXTS, batch_tokens=1)
    return _compare(model, whole.mean.transpose(0, 1), single.mean.transpose(0, 1))


def _padding(model: LanguageModel) -> _Verdict:
    if not model.conventions.pads_left:
        return None, "it would count padding on the left as text, and is given none"
    left, right = (pooled_resid_post(model, TEXTS, padding_side=side) for side in ("left", "right"))
    return _compare(model, left.mean.transpose(0, 1), right.mean.transpose(0, 1))


@torch.no_grad()
def _steering(model: LanguageModel) -> _Verdict:
    """Add a direction in the middle: that is what must arrive there, and reach the last layer."""
    last = model.n_layers - 1
    layer = last // 2
    plain = resid_post(model, TEXTS[0], layers=sorted({layer, last}), through="bulk").resid
    direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    direction *= plain[0].norm(dim=1).median() / direction.norm()
    with steer(model, direction, layers=[layer], strength=float(direction.norm())):
        steered = resid_post(model, TEXTS[0], layers=sorted({layer, last}), through="bulk").resid
    agree, detail = _compare(model, steered[:1], plain[:1] + direction)
    reached = not torch.equal(steered[-1], plain[-1])
    beyond = "reaches" if reached else "does not reach"
    return agree and reached, f"{detail} at layer {layer}; it {beyond} the last layer"


@torch.no_grad()
def _writing(model: LanguageModel) -> _Verdict:
    """Compare each token of greedy texts with what whole passes without a cache find likeliest."""
    if model.hf is None:
        return None, "the model does not write here"
    prompts = [
        model.encode(text)[:length] for text, length in zip(TEXTS, _PROMPT_TOKENS, strict=False)
    ]
    written = model.generate(prompts, max_new_tokens=_WRITTEN_TOKENS, temperature=0.0)
    worst, n_tokens = 0.0, 0
    for prompt, continuation in zip(prompts, written, strict=True):
        n_tokens += len(continuation.tokens)
        ids = torch.tensor([[*prompt, *continuation.tokens]], device=model.device)
        logits = model.hf(ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
        for token, row in zip(continuation.tokens, logits, strict=True):
            worst = max(worst, float((row.max() - row[token]) / row.abs().max()))
    limit = _limit(model)
    reason = model.conventions.why_no_cache
    how = "with a cache" if reason is None else f"without a cache, which is slower ({reason})"
    return worst < limit, (
        f"{n_tokens} tokens {how}, at most {worst:.1e} below the likeliest; tolerance {limit:.0e}"
    )


def _limit(model: LanguageModel) -> float:
    return tolerance(torch.bfloat16 if model.quantize else model.dtype)


def _compare(
    model: LanguageModel,
    got: Float[Tensor, "layer row column"],
    expected: Float[Tensor, "layer row column"],
    what: str = "residuals",
) -> _Verdict:
    """Largest difference in units of each layer's largest entry, against the tolerance."""
    relative = relative_differences(got, expected)
    worst = int(relative.argmax())
    limit = _limit(model)
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
        for ids in (model.encode(TEXTS[0]), model.encode_prompt(TEXTS[0]))
    )
    said = f"a text starts with {text}, a prompt starts with {prompt}"
    return text == prompt == 1, said + _cost_of_beginning(model)


def _cost_of_beginning(model: LanguageModel) -> str:
    """Say what a BOS costs that the tokenizer would not put there, in the likelihood of texts."""
    if puts_beginning(model.tokenizer):
        return ""
    said = f"; the tokenizer puts no {model.tokenizer.bos_token} before plain text, we do"
    ids = [model.encode(text) for text in TEXTS]
    try:
        # A text's first token counts in neither, nor what follows it: the same ones are compared.
        costs = next_tokens(model, ids, FromToken(1)), next_tokens(model, [it[1:] for it in ids])
    except ModelError:  # its unembedding is refused, in a check of its own
        return said
    behind, without = (cost.loss for cost in costs)
    return f"{said}: texts cost {behind:.2f} nats a token behind it, {without:.2f} without it"


def _template(model: LanguageModel) -> _Verdict:
    if not model.is_chat:
        return None, "none: a base model"
    said = "prompts go through the model's chat template"
    end = turn_end(model.tokenizer)
    if end is None:
        return None, f"{said}; no token of its own ends an answer, so only the model's own end does"
    token = model.tokenizer.convert_ids_to_tokens(end)
    ends = model.hf is None or end in stop_ids(model.hf, model.tokenizer)
    return ends, f"{said}, and its {token} {'ends' if ends else 'does not end'} a text"


_CHECKS: dict[str, Callable[[LanguageModel], _Verdict]] = {
    "size": _size,
    "precision": _precision,
    "backend": lambda model: (None, f"{model.backend}: {model.backend_reason}"),
    "chat template": _template,
    "backends agree": _backends_agree,
    "unembedding is the model's own": _unembedding,
    "a batch equals its texts one by one": _batch,
    "left padding equals right padding": _padding,
    "steering adds what it says": _steering,
    "a greedy text is the model's own": _writing,
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
