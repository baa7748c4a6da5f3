"""What a model costs, read from its config: no weights are loaded or downloaded.

Experts of a mixture are all counted, as memory needs and as an upper bound of the FLOPs.
"""

from dataclasses import dataclass
from typing import Any

import torch

from hooks.errors import ModelError
from hooks.models import embedded
from hooks.models.structure import find_blocks, follows_length


@dataclass(frozen=True)
class Architecture:
    """Sizes of one model."""

    name: str
    n_layers: int
    d_model: int
    d_vocab: int
    n_parameters: int
    block_parameters: int
    """Of all decoder blocks, matrices only."""
    head_parameters: int
    cache_numbers: int
    """Keys and values that one token leaves in the cache, in numbers."""
    n_positions: int | None = None
    """Longest sequence it takes, where it says so."""
    can_share: bool = False
    """Whether a beginning that texts share can be read once."""
    kind: str = ""
    """What the config calls the architecture of its text model, such as ``gemma3_text``."""
    blocks: str = ""
    """What transformers calls the list of decoder blocks in `base_model`, such as ``layers``."""

    def reading_flops(self, n_layers: int | None = None) -> float:
        """FLOPs of one token read up to a number of layers."""
        share = (self.n_layers if n_layers is None else n_layers) / self.n_layers
        return 2.0 * self.block_parameters * share

    def writing_flops(self) -> float:
        """FLOPs of one token written."""
        return self.reading_flops() + 2.0 * self.head_parameters


def describe(name: str, *, revision: str | None = None) -> Architecture:
    """Return the sizes of the model that `hooks.load` would load; ModelError without a config."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from hooks.models.backends import can_go_on

    source = str(embedded.folder(name)) if embedded.is_embedded(name) else name
    try:
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"could not read the config of model {name!r}: {reason}\n{embedded.expected(name)}"
        ) from error
    model.tie_weights()
    trunk, blocks = find_blocks(model)
    text = config.get_text_config(decoder=True)
    names = {id(module): name for name, module in model.base_model.named_modules()}
    # Where blocks differ, as Gemma 4's do, each has a config of its own.
    each = getattr(text, "per_layer_config", None) or [text] * len(blocks)
    return Architecture(
        name=name,
        n_layers=len(blocks),
        d_model=int(text.hidden_size),
        d_vocab=int(text.vocab_size),
        n_parameters=sum(p.numel() for p in model.parameters()),
        block_parameters=sum(p.numel() for p in blocks.parameters() if p.dim() > 1),
        head_parameters=int(model.get_output_embeddings().weight.numel()),
        cache_numbers=2 * sum(map(_key_numbers, each)),
        n_positions=getattr(text, "max_position_embeddings", None),
        can_share=can_go_on(trunk, config) and not any(map(follows_length, model.modules())),
        kind=text.model_type,
        blocks=names[id(blocks)],
    )


def _key_numbers(block: Any) -> int:
    """Return how many numbers the keys of one token are in one block, by its config."""
    heads = getattr(block, "num_key_value_heads", None) or block.num_attention_heads
    width = getattr(block, "head_dim", None) or block.hidden_size // block.num_attention_heads
    return int(heads) * int(width)
