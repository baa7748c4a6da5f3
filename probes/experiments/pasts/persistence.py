"""Persistence: does an emotion that is read at one token of a text last.

Some of the run's stories are read token by token after the offset. Score: projection on an
emotion's vector at the target layer, less its mean over all texts. Its autocorrelation over lags
in tokens (`analysis.autocorrelation`), averaged over emotions, stands beside that of

* random: sets of as many directions with the covariance of stories around the means of their
  emotion and topic, as close to each other, and with the variance that emotions' scores have along
  the same tokens (`analysis.matched_variance`),
* directions of topics: the same around the means of their emotion alone,
* shuffled labels: sets of vectors made as the run's are, tilted to the same variance, and
* words alone: the first layer that was kept, where a token knows little but itself, with the
  vectors of that layer.

Neutral dialogues are followed turn by turn: a turn's score is the mean over its tokens, less the
mean over all turns of its speaker.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

import hooks
from hooks import FromToken, LanguageModel
from hooks.reading.pieces import spans_of_pieces
from hooks.tokens.encoding import content_places, n_common
from hooks.tokens.positions import Rule
from probes.analysis.findings import Finding
from probes.analysis.matched_variance import Spectrum, draw_alike
from probes.corpus.cells import Passage, read_corpus
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.pasts.lags import (
    FEWEST,
    RANDOM,
    SHUFFLED,
    TOPICS,
    Course,
    Directions,
    Steps,
    follow,
)
from probes.experiments.remade import Remade
from probes.experiments.steering.controls import matched_random
from probes.experiments.steering.dose_response import neutral_texts, spread_over
from probes.experiments.steering.nulls import matched_directions
from probes.figures import Figure
from probes.runs.materials import Materials
from probes.vectors.denoising import project_out
from probes.vectors.normalize import normalize

N_TEXTS = 64
_POOL = 512
"""Random directions that those of all sets are mixed of."""
_TURN = re.compile(r"^(Person|Assistant):", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Persistence(Result):
    """How long scores last along stories, and along neutral dialogues where the run has any."""

    model: str
    layer: int
    first_layer: int
    n_emotions: int
    courses: Sequence[Course]

    def findings(self) -> list[Finding]:
        """Say how much of a score is left, along stories first."""
        return [course.finding(self.n_emotions) for course in self.courses]

    def paragraph(self) -> str:
        """Tell what was read, how soon it fades, and whether other directions fade as soon."""
        said = " ".join(course.sentences() for course in self.courses)
        return (
            f"Projections on {self.n_emotions} emotions' vectors at layer {self.layer} were "
            f"followed along texts, beside sets of as many directions that vary as much. {said} "
            "The paper calls its emotion representations local, not a chronic state; a score that "
            "lasts is no proof of a state that is kept, for the text itself may go on to convey it."
        )

    def limits(self) -> list[str]:
        """Say what could not be followed."""
        if any(course.step == "turn" for course in self.courses):
            return []
        return ["Persistence: the run has too few neutral dialogues to be followed turn by turn."]

    def figures(self) -> dict[str, Figure]:
        """Describe a curve over lags for stories, and one for dialogues."""
        words = f"layer {self.first_layer} with its own vectors"
        subtitle = f"{self.model}, layer {self.layer}, {self.n_emotions} emotions"
        return {
            f"persistence_{course.step}s": course.curves(subtitle, words) for course in self.courses
        }


def measure(materials: Materials) -> Persistence | NotMeasured:
    """Follow scores along stories and neutral dialogues."""
    model, vectors, target = materials.subject(), materials.vectors, materials.layer
    layers = list(dict.fromkeys((target, vectors.layers[0])))
    passages = sample_stories(materials, N_TEXTS)
    dialogues = [it for it in neutral_texts(materials.run, N_TEXTS) if _TURN.search(it)]
    rules = [FromToken(own_start(materials, model, passage)) for passage in passages]
    with materials.reporter.task("persistence", len(passages) + len(dialogues), "texts") as advance:
        whole = [passage.whole for passage in passages]
        stories = _read(materials, whole, rules, layers, advance)
        spoken = _read(materials, dialogues, FromToken(0), layers, advance)
    if sum(len(each) > 1 for each in stories) < FEWEST:
        why = f"needs {FEWEST} stories with tokens after the offset that this run reads"
        return NotMeasured("Persistence", why)
    tokens = [each - torch.cat(stories).mean(dim=0) for each in stories]
    turns = less_speakers([turn_means(model, *it) for it in zip(dialogues, spoken, strict=True)])
    own = [normalize(vectors.at(layer).float()) for layer in layers]
    sets = _sets(materials, own[0], torch.cat([each[:, 0] for each in tokens]))
    followed = (follow("token", tokens, own, sets), follow("turn", turns, own, sets))
    return Persistence(
        model=materials.index["model"],
        layer=target,
        first_layer=vectors.layers[0],
        n_emotions=len(materials.emotions),
        courses=[course for course in followed if course is not None],
    )


EXPERIMENT = Experiment(Persistence, measure)


def sample_stories(materials: Materials, n: int) -> list[Passage]:
    """Return up to `n` stories, spread over topics and emotions; several of a cell if need be."""
    cells = spread_over(materials.run.story_cells, n)
    per_cell = -(-n // max(len(cells), 1))
    of_cells = [[*read_corpus(materials.run.root, [cell])][:per_cell] for cell in cells]
    return [text.passage for texts in of_cells for text in texts][:n]


def own_start(materials: Materials, model: LanguageModel, passage: Passage) -> int:
    """Return the content token from which on a story is its emotion's own."""
    own = spans_of_pieces(model, passage.pieces)[1]
    if passage.opening and own is not None:
        return own.start
    return materials.config.activation.token_offset


def _read(
    materials: Materials,
    texts: Sequence[str],
    rule: Rule,
    layers: Sequence[int],
    progress: Callable[[int], None],
) -> list[Steps]:
    """Return the chosen tokens of every text."""
    if not texts:
        return []
    read = hooks.pooled_resid_post(
        materials.subject(),
        texts,
        rule,
        layers=layers,
        keep=rule,
        batch_tokens=materials.batch_tokens,
        progress=progress,
    )
    counts = torch.bincount(read.token_text, minlength=len(texts))
    return list(read.tokens.split(counts.tolist()))


def turn_means(model: LanguageModel, text: str, tokens: Steps) -> tuple[list[str], Steps]:
    """Average a dialogue's content tokens turn by turn; return who speaks, and the means."""
    ids, marks = model.encode(text), [*_TURN.finditer(text)]
    edges = [n_common(model.encode(text[: mark.start()]), ids) for mark in marks]
    content = content_places(ids, model.special_ids)
    places = [sum(place < edge for place in content) for edge in (*edges, len(ids))]
    spans = zip(marks, places[:-1], places[1:], strict=True)
    kept = [(mark[1], tokens[a:b].mean(dim=0)) for mark, a, b in spans if a < b]
    return [speaker for speaker, _ in kept], torch.stack([mean for _, mean in kept])


def less_speakers(dialogues: Sequence[tuple[list[str], Steps]]) -> list[Steps]:
    """Subtract from each turn the mean over all turns of its speaker."""
    speakers = [speaker for names, _ in dialogues for speaker in names]
    every = torch.cat([turns for _, turns in dialogues]) if dialogues else torch.zeros(0)
    means = {
        speaker: every[[name == speaker for name in speakers]].mean(dim=0)
        for speaker in set(speakers)
    }
    return [turns - torch.stack([means[name] for name in names]) for names, turns in dialogues]


def _sets(
    materials: Materials,
    own: Directions,
    tokens: Float[Tensor, "token d_model"],
) -> dict[str, list[Directions]]:
    """Make sets of other directions, of length one and with the own ones' variance along tokens."""
    n, spectrum = materials.config.validation.n_random, Spectrum.of(tokens)
    variance = spectrum.variance(own)
    generator = torch.Generator().manual_seed(materials.seed + 2)

    def drawn(pool: Float[Tensor, "_pool d_model"]) -> Iterator[Directions]:
        usable = pool if len(pool) and bool(pool.any()) else torch.eye(own.shape[1])
        return (draw_alike(usable, own, generator) for _ in range(n))

    sets = {
        RANDOM: drawn(_within_topics(materials)),
        SHUFFLED: Remade(materials).shuffled(n),
        TOPICS: drawn(matched_random(materials, _POOL, materials.seed + 1)),
    }
    return {
        name: [spectrum.tilted(each, variance).float() for each in of_kind]
        for name, of_kind in sets.items()
    }


def _within_topics(materials: Materials) -> Float[Tensor, "_pool d_model"]:
    """Draw directions where stories differ around the means of their emotion and of their topic."""
    stories = materials.stories()
    apart = stories.mean.double()
    for group in (stories.emotion, stories.topic):
        names, number = group.unique(return_inverse=True)
        sums = apart.new_zeros(len(names), apart.shape[1]).index_add_(0, number, apart)
        apart = apart - (sums / rearrange(number.bincount(), "group -> group 1"))[number]
    samples = project_out(apart, materials.neutral_components()).float()
    return matched_directions(samples, _POOL, materials.seed)
