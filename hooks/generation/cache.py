"""A key-value cache that is written in place instead of being copied at every token.

Copies in Hugging Face's `DynamicCache` grow with the square of the text's length. Here layers of
full attention own buffers of the final length and show the model the part that is filled.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class PreallocatedLayer(DynamicLayer):
    """One layer's keys and values in buffers [row head position d_head] with room to grow."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write new positions after the filled ones; return all that are filled."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        if self._buffers is None or end > self._buffers[0].shape[2]:
            length = max(self.length, end)
            keys, values = _buffer(key_states, length), _buffer(value_states, length)
            if self.keys is not None and self.values is not None and start:
                keys[:, :, :start], values[:, :, :start] = self.keys, self.values
            self._buffers = keys, values
        keys, values = self._buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep, drop or repeat rows, into new buffers."""
        filled = self.get_seq_length()
        if not filled or self.keys is None or self.values is None:
            return
        rows = beam_idx.to(self.keys.device)
        length = max(self.length, filled)
        keys, values = (_buffer(part, length, len(rows)) for part in (self.keys, self.values))
        torch.index_select(self.keys, 0, rows, out=keys[:, :, :filled])
        torch.index_select(self.values, 0, rows, out=values[:, :, :filled])
        self._buffers = keys, values
        self.keys, self.values = keys[:, :, :filled], values[:, :, :filled]


def _buffer(like: Any, length: int, n_rows: int | None = None) -> Tensor:
    rows, heads, _, width = like.shape
    return like.new_empty(rows if n_rows is None else n_rows, heads, length, width)


def room_for(config: Any, length: int) -> Any:
    """Return an empty cache for texts of up to `length` positions."""
    cache = DynamicCache(config=config)
    cache.layers = [
        PreallocatedLayer(length) if type(layer) is DynamicLayer else layer
        for layer in cache.layers
    ]
    return cache


def overlooks_padding(cache: Any, length: int) -> bool:
    """Whether padding within a text changes nothing: there is no recurrent layer, no window."""
    windows = [getattr(layer, "sliding_window", None) or length for layer in cache.layers]
    recurrent = any(hasattr(layer, "recurrent_states") for layer in cache.layers)
    return not recurrent and min(windows, default=length) >= length


def select_rows(cache: Any, rows: Tensor) -> None:
    """Make the cache hold exactly these of its rows, in this order."""
    cache.reorder_cache(rows.to(torch.long))
