"""What reading texts that are there will take: how many of each kind, and tokens on their way.

1. A sample of the shards in which a kind of text is read, spread evenly.
2. In each, the tokens that go through the model: a beginning that its texts share, and of which no
   token is wanted, once (`hooks.reading.beginnings`).

Contract: loads a tokenizer and no model. Exact where all shards are looked at; padding is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hooks.reading.beginnings import TextGroup, by_beginning
from hooks.tokens.encoding import Encoder
from probes.config import ActivationSettings
from probes.corpus.brought import CorpusKind
from probes.corpus.cells import Text
from probes.runs.folder import Run
from probes.stages.cost_of_writing import Asked, Seen, cells_of
from probes.stages.units import pooling_rules
from probes.vectors.activations import Kind, plan_shards

_SAMPLE = 4096
"""Texts of a kind that are looked at; of whole shards, but of one at least."""
_CORPUS: dict[Kind, CorpusKind] = {
    "stories": "stories",
    "said": "said",
    "neutral": "neutral",
    "matched": "neutral",
}


@dataclass(frozen=True)
class Passing:
    """Texts, and what of them goes through the model."""

    n_texts: int = 0
    n_tokens: int = 0
    """A beginning that is read once counts once."""
    n_letters: int = 0
    """Bytes."""
    n_apart: int = 0
    """Texts of shards in which closings are read apart."""

    def __add__(self, other: "Passing") -> "Passing":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Passing(*[one + another for one, another in pairs])


@dataclass(frozen=True)
class ThereAlready:
    """Texts of one kind that nobody has to write."""

    asked: Asked
    seen: Seen
    apart: float
    """Share of the texts in whose shards closings are read apart."""


def there_already(run: Run, kind: Kind, model: Encoder, *, can_share: bool) -> ThereAlready:
    """Count the texts of a kind, of which there are some, and look at a sample."""
    cells = cells_of(run, kind)
    corpus, settings = run.texts.corpus(_CORPUS[kind]).texts, run.config.activation
    counts = list(map(corpus.count, cells))
    shards = plan_shards(counts, settings.shard_size)
    n_shards = max(1, _SAMPLE // settings.shard_size)
    sample = Passing()
    for number in _spread(len(shards), n_shards):
        texts = [
            Text(cell.emotion, cell.topic, index, passage)
            for cell in (cells[place] for place in shards[number])
            for index, passage in enumerate(corpus[cell])
        ]
        sample += passing(model, texts[:_SAMPLE], kind, settings, can_share=can_share)
    seen = Seen(
        kept_per_text=1.0,
        tokens_per_text=sample.n_tokens / sample.n_texts,
        letters_per_text=sample.n_letters / sample.n_texts,
    )
    total = sum(counts)
    asked = Asked(len(cells), total, total, prompt_tokens=0.0, new_tokens=0)
    return ThereAlready(asked, seen, sample.n_apart / sample.n_texts)


def passing(
    model: Encoder,
    texts: Sequence[Text],
    kind: Kind,
    settings: ActivationSettings,
    *,
    can_share: bool,
) -> Passing:
    """Count what of one unit's texts goes through the model, as `units.Reader` reads them."""
    whole = [text.passage.whole for text in texts]
    encoded = list(map(model.encode, whole))
    rules = pooling_rules(model, texts, kind, settings)
    groups = [TextGroup(list(range(len(texts))), 0)]
    if can_share:
        groups = by_beginning(model, encoded, rules.given)
    return Passing(
        n_texts=len(texts),
        n_tokens=sum(group.n_tokens(encoded) for group in groups),
        n_letters=sum(len(text.encode()) for text in whole),
        n_apart=0 if rules.apart is None else len(texts),
    )


def _spread(n: int, n_wanted: int) -> Iterator[int]:
    """Yield numbers below `n`, spread evenly; all where no more than `n_wanted`."""
    taken = min(n, n_wanted)
    return ((2 * number + 1) * n // (2 * taken) for number in range(taken))
