"""A cache with room shows the model what Hugging Face's growing cache would, in place."""

import torch
from tiny_models import tiny_model
from transformers import DynamicCache

from hooks.generation.cache import PreallocatedLayer, overlooks_padding, room_for, select_rows


def states(seed: int, rows: int, positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    keys, values = torch.randn(
        2, rows, 2, positions, 8, generator=torch.Generator().manual_seed(seed)
    )
    return keys, values


def test_the_model_is_shown_the_same_keys_and_values_as_with_a_growing_cache():
    roomy, growing = room_for(tiny_model("llama").config, 9), DynamicCache()
    rows = 3
    for step, positions in enumerate((4, 1, 1, 5)):  # the last goes beyond the room
        for layer in (0, 1):
            pair = states(step + 10 * layer, rows, positions)
            seen, expected = roomy.update(*pair, layer), growing.update(*pair, layer)
            assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))
        if step == 1:
            rows = 2
            for cache in (roomy, growing):
                select_rows(cache, torch.tensor([2, 0]))
    assert roomy.get_seq_length() == growing.get_seq_length() == 11


def test_a_token_is_written_in_place():
    cache = room_for(tiny_model("llama").config, 9)
    cache.update(*states(0, 3, 4), 0)
    select_rows(cache, torch.tensor([0, 1, 1, 2]))
    before = cache.layers[0].keys.data_ptr()
    for step in range(5):
        cache.update(*states(step, 4, 1), 0)
        assert cache.layers[0].keys.data_ptr() == before


def test_windows_and_recurrent_layers_stay_hugging_faces_own():
    kinds = [type(layer) for layer in room_for(tiny_model("gemma3").config, 64).layers]
    assert [kind is PreallocatedLayer for kind in kinds] == [False, True, False, True]
    assert not overlooks_padding(room_for(tiny_model("gemma3").config, 0), 64)
    assert overlooks_padding(room_for(tiny_model("gemma3").config, 0), 8)
    assert not overlooks_padding(room_for(tiny_model("qwen3_5").config, 0), 8)
