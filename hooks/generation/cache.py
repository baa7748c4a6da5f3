"""A key-value cache that is written in place instead of being copied at every token.

Hugging Face's `DynamicCache` joins the whole cache and one new position at each step, so its copies
grow with the square of the text's length. `room_for` gives a `DynamicCache` whose layers of full
attention own buffers of the final length and show the model the part that is filled. Layers with a
sliding window and recurrent layers stay Hugging Face's own.
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
            self._buffers = (
                _moved(self.keys, key_states, start, length),
                _moved(self.values, value_states, start, length),
            )
        keys, values = self._buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep, drop or repeat rows, into new buffers."""
        filled = self.get_seq_length()
        if not filled or self.keys is None:
            return
        rows = beam_idx.to(self.keys.device)
        length = max(self.length, filled)
        keys, values = (_chosen(part, rows, filled, length) for part in (self.keys, self.values))
        self._buffers = keys, values
        self.keys, self.values = keys[:, :, :filled], values[:, :, :filled]


def _moved(old: Any, like: Tensor, filled: int, length: int) -> Tensor:
    """Return a buffer of `length` positions that starts with the filled part of the old one."""
    rows, heads, _, width = like.shape
    buffer = like.new_empty(rows, heads, length, width)
    if filled:
        buffer[:, :, :filled] = old
    return buffer


def _chosen(old: Any, rows: Tensor, filled: int, length: int) -> Tensor:
    """Return a buffer of `length` positions that starts with the chosen rows of the old one."""
    buffer = old.new_empty(len(rows), old.shape[1], length, old.shape[3])
    torch.index_select(old, 0, rows, out=buffer[:, :, :filled])
    return buffer


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
