"""`load`: a name, a folder or a model object becomes a `LanguageModel`.

Hugging Face loads the weights, raw, and TransformerLens boots a second module tree over the same
tensors; nothing runs remote code.
"""

import contextlib
import copy
import io
import logging
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch

from hooks.errors import InvalidInput, ModelError
from hooks.models import embedded
from hooks.models.model import Booted, LanguageModel
from hooks.models.precision import quantization_config, resolve_device, resolve_dtype
from hooks.models.structure import find_structure
from hooks.models.twin import shared_twin

BackendChoice = Literal["auto", "transformerlens", "huggingface"]
_logger = logging.getLogger(__name__)


def load(
    name: Any,
    *,
    backend: BackendChoice = "auto",
    dtype: str | torch.dtype = "auto",
    device: str | torch.device = "auto",
    device_map: str | dict[str, Any] | None = None,
    quantize: str | None = None,
    revision: str | None = None,
    tokenizer: Any | None = None,
) -> LanguageModel:
    """Load a causal language model for reading, steering and writing.

    Parameters
    ----------
    name
        A Hugging Face id, a local folder, ``"embedded:NAME"``, or a model object: a
        `TransformerBridge`, a `HookedTransformer` or a `PreTrainedModel`.
    backend
        ``"transformerlens"``, ``"huggingface"``, or ``"auto"``: the first, then the second.
    dtype
        ``"auto"``: bfloat16 where the device computes in it, else float32.
    device, device_map
        One device, or Hugging Face's map over several.
    quantize
        None, ``"4bit"`` or ``"8bit"`` (bitsandbytes).
    revision
        Branch, tag or commit of a Hugging Face id.
    tokenizer
        Needed for a `PreTrainedModel` object; elsewhere the model's own.

    Raises
    ------
    InvalidInput
        For settings that have no meaning.
    ModelError
        When the model cannot be found, loaded, or driven by the backend asked for.
    """
    if backend not in ("auto", "transformerlens", "huggingface"):
        raise InvalidInput(
            f"backend: expected 'auto', 'transformerlens' or 'huggingface', got {backend!r}."
        )
    if not isinstance(name, str | Path):
        return _from_object(name, backend, tokenizer)
    device = resolve_device(device)
    options: dict[str, Any] = {"dtype": resolve_dtype(dtype, device)}
    if quantization := quantization_config(quantize, options["dtype"]):
        options["quantization_config"] = quantization
    if device_map is not None or quantization is not None:
        options["device_map"] = device_map or {"": str(device)}
    label = str(name)
    source = str(embedded.folder(label)) if embedded.is_embedded(label) else label
    hf, own_tokenizer = _load_hugging_face(label, source, revision, options)
    if "device_map" not in options:
        hf = hf.to(device)
    hf.eval().requires_grad_(False)
    return _assemble(label, hf, tokenizer or own_tokenizer, backend, quantize, revision)


def _load_hugging_face(
    label: str, source: str, revision: str | None, options: dict[str, Any]
) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    where: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
        return AutoModelForCausalLM.from_pretrained(source, **where, **options), tokenizer
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"could not load model {label!r}: {_first_line(error)}\n{embedded.expected(label)}"
        ) from error
    finally:
        transformers_logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _assemble(
    label: str,
    hf: Any,
    tokenizer: Any,
    backend: BackendChoice,
    quantize: str | None,
    revision: str | None,
) -> LanguageModel:
    # Booting rebuilds the tree it is given, which may be the caller's own object; and it may be
    # first asked for while something hangs on that one, which a twin made then would keep.
    twin = None if backend == "huggingface" else shared_twin(hf)

    def boot() -> Booted:
        if twin is None:
            return Booted(None, "huggingface", "asked for")
        try:
            if find_structure(hf).keeps_several:
                raise ModelError("it keeps several residual streams")
            hooked = _boot(label, twin, tokenizer)
        except Exception as error:
            kind = type(error).__name__
            reason = f"TransformerLens cannot boot it ({kind}: {_first_line(error)})"
            if backend == "transformerlens":
                advice = "Use backend='huggingface' or 'auto'."
                raise ModelError(f"{label}: {reason}. {advice}") from error
            _logger.info("%s: %s; reading through Hugging Face hooks", label, reason)
            return Booted(None, "huggingface", reason)
        return Booted(hooked, "transformerlens", "TransformerLens has an adapter for it")

    model = LanguageModel(
        name=label, tokenizer=tokenizer, hf=hf, boot=boot, revision=revision, quantize=quantize
    )
    if backend == "transformerlens":
        _ = model.hooked  # what was asked for is refused at once
    return model


def _boot(label: str, hf: Any, tokenizer: Any) -> Any:
    """Boot a bridge over a loaded model, quietly; TransformerLens 3.9 and 4 share the class."""
    # TransformerLens prints to the terminal while it boots.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from transformer_lens.model_bridge import TransformerBridge

        if not hf.config.architectures:  # set only on models that came from a file
            hf.config.architectures = [type(hf).__name__]
        with _nothing_installed(), _tokenizer_with_path(tokenizer) as own_tokenizer:
            return TransformerBridge.boot_transformers(
                hf.config._name_or_path or label,
                hf_model=hf,
                tokenizer=own_tokenizer,
                dtype=hf.dtype,
            )


@contextlib.contextmanager
def _tokenizer_with_path(tokenizer: Any) -> Iterator[Any]:
    """Copy a tokenizer for TransformerLens, which loads it from its path if it lacks its BOS."""
    named = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if tokenizer.name_or_path and None not in named and tokenizer.encode("a")[:1] == [named[0]]:
        flat = copy.copy(tokenizer)
        flat.init_kwargs = {**tokenizer.init_kwargs, "add_bos_token": True}
        yield flat
        return
    if tokenizer.name_or_path:
        yield copy.deepcopy(tokenizer)
        return
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        yield AutoTokenizer.from_pretrained(folder)


@contextlib.contextmanager
def _nothing_installed() -> Iterator[None]:
    """Keep TransformerLens from running `pip install torchvision`, which may replace torch itself.

    It does so for an image processor, without which it boots all the same.
    """

    def refuse(command: Any, *_: Any, **__: Any) -> None:
        raise ModelError(f"not run while a model boots: {command}")

    stock = subprocess.check_call
    subprocess.check_call = refuse
    try:
        yield
    finally:
        subprocess.check_call = stock


def _from_object(model: Any, backend: BackendChoice, tokenizer: Any | None) -> LanguageModel:
    kind = type(model).__name__
    if hasattr(model, "hooks") and hasattr(model, "cfg") and hasattr(model, "W_U"):
        if backend == "huggingface":
            raise InvalidInput(f"a {kind} is read through TransformerLens; drop backend=.")
        processing = "none"
        if getattr(model, "compatibility_mode", False):
            processing = "compatibility mode"
        elif getattr(model.cfg, "normalization_type", None) in ("LNPre", "RMSPre"):
            processing = "folded"
        return LanguageModel(
            name=str(getattr(model.cfg, "model_name", None) or kind),
            tokenizer=tokenizer or model.tokenizer,
            hf=_unbridged(model) if processing == "none" else None,
            boot=lambda: Booted(model, "transformerlens", f"a {kind} was given"),
            weight_processing=processing,
        )
    if hasattr(model, "get_output_embeddings") and hasattr(model, "config"):
        label = getattr(model.config, "_name_or_path", "") or kind
        return _assemble(label, model.eval(), tokenizer, backend, None, None)
    raise InvalidInput(
        "load: expected a name, a folder, a TransformerBridge, a HookedTransformer or a "
        f"PreTrainedModel, got {kind}."
    )


def _unbridged(bridge: Any) -> Any | None:
    """Return the plain Hugging Face model that a bridge was booted from, over the same tensors.

    None for what was not booted from a Hugging Face model, such as a `HookedTransformer`.
    """
    booted = getattr(bridge, "original_model", None)
    if not hasattr(booted, "get_output_embeddings"):
        return None
    return _unwrapped(shared_twin(booted)).eval()


def _unwrapped(module: Any) -> Any:
    """Take modules out of the wrappers into which booting put each of them."""
    while (inside := module._modules.get("_original_component")) is not None:
        module = inside
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = _unwrapped(child)
    return module
