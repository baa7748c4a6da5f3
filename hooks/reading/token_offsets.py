"""Which characters of a text each of its tokens stands for; the pieces, put together, are the text.

Tokens that share one character (bytes of an emoji) are empty but for the first; so is a
beginning-of-sequence token.
"""

from itertools import accumulate, pairwise
from typing import Any

from hooks.models.model import LanguageModel
from hooks.tokens.encoding import content_places

Stretch = tuple[int, int]


def content_pieces(model: LanguageModel, text: str) -> list[Stretch]:
    """Return (start, stop) in characters of each content token of a text."""
    ids, pieces = token_pieces(model, text)
    return [pieces[place] for place in content_places(ids, model.special_ids)]


def token_pieces(model: LanguageModel, text: str) -> tuple[list[int], list[Stretch]]:
    """Return the ids of a text, as `LanguageModel.encode` does, and each token's characters."""
    tokenizer: Any = model.tokenizer
    if getattr(tokenizer, "is_fast", False):
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ids, ends = encoded["input_ids"], [stop for _, stop in encoded["offset_mapping"]]
    else:
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        # A token's characters are those by which the decoded text grows with it.
        ends = [len(tokenizer.decode(ids[: n + 1])) for n in range(len(ids))]
    whole = model.encode(text)
    ends = [0] * (len(whole) - len(ids)) + [min(end, len(text)) for end in ends]
    return whole, list(pairwise(accumulate(ends, max, initial=0)))
