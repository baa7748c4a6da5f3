"""Which texts a run has: cells that a model writes, or those taken of a corpus that is there.

Contract: no text is read to tell which cells there are; of a corpus, its index is enough.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from hooks.errors import InvalidInput
from probes.config import Config
from probes.config.checks import check_steered
from probes.corpus import reference
from probes.corpus.brought import BroughtCorpus, CorpusKind
from probes.corpus.cells import Cell, neutral_cells, story_cells
from probes.corpus.reference import ReferenceCorpus

AnyCorpus = BroughtCorpus | ReferenceCorpus


class RunTexts:
    """The cells of a run, by kind."""

    def __init__(self, config: Config, kept: Path) -> None:
        self._config = config
        settings = config.corpus
        said = settings.said
        if said is None and settings.stories == reference.NAME:
            said = reference.NAME
        named: dict[CorpusKind, str | None] = {
            "stories": settings.stories,
            "said": said,
            "neutral": settings.neutral,
        }
        self._corpora: dict[CorpusKind, AnyCorpus] = {
            kind: _open(path, kind, kept / f"{kind}.json")
            for kind, path in named.items()
            if path is not None
        }

    @property
    def is_brought(self) -> bool:
        """Whether the texts are there, and not written by the run."""
        return "stories" in self._corpora

    def corpora(self) -> dict[CorpusKind, AnyCorpus]:
        """Return the corpora that texts are taken of, by kind."""
        return dict(self._corpora)

    def corpus(self, kind: CorpusKind) -> AnyCorpus:
        """Return the corpus of a kind."""
        return self._corpora[kind]

    @cached_property
    def emotions(self) -> tuple[str, ...]:
        """The run's emotions; of a corpus, those of its stories, in their order."""
        if not self.is_brought:
            return self._config.emotions
        return _chosen(self._named("stories", "emotion"), self._config.generation.emotions_subset)

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The topics of stories; of a corpus, those of the forms asked for, in their order."""
        if not self.is_brought:
            return self._config.topics
        return _chosen(self._of_forms("stories"), self._topics_subset)

    @cached_property
    def frames(self) -> tuple[str, ...]:
        """The frames that say an emotion."""
        if "said" not in self._corpora:
            return ()
        return _chosen(self._of_forms("said"), self._config.corpus.frames_subset)

    @cached_property
    def neutral_topics(self) -> tuple[str, ...]:
        """Of a corpus, the topics of the neutral texts that stand alone."""
        return _chosen(self._named("neutral", "topic"), self._config.corpus.neutral_subset)

    @cached_property
    def forms(self) -> dict[str, str]:
        """The form of each topic and frame of which it is known."""
        known = [corpus.contents.forms for corpus in self._corpora.values()]
        places = {*self.topics, *self.frames}
        return {topic: form for of in known for topic, form in of.items() if topic in places}

    @property
    def topics_are_ignored(self) -> bool:
        """Whether topics were asked for that a user's own corpus is not cut down to."""
        asked = self._config.generation.topics_subset is not None
        return self.is_brought and asked and self._topics_subset is None

    @property
    def is_whole(self) -> bool:
        """Whether all topics and frames of the corpora are taken."""
        corpus = self._config.corpus
        return (self._topics_subset, corpus.forms, corpus.frames_subset) == (None, None, None)

    @property
    def story_cells(self) -> list[Cell]:
        """Story cells in the order in which they are written and read."""
        if not self.is_brought:
            return story_cells(self._config.emotions, self._config.topics)
        return self._cells("stories", self.topics)

    @property
    def said_cells(self) -> list[Cell]:
        """Cells of the frames that say an emotion."""
        return self._cells("said", self.frames) if self.frames else []

    @property
    def neutral_cells(self) -> list[Cell]:
        """Cells of neutral texts that stand alone."""
        if not self.is_brought:
            return neutral_cells(self._config.topics)
        topics = set(self.neutral_topics)
        cells = self._corpora["neutral"].contents.counts
        return [cell for cell in cells if not cell.beside and cell.topic in topics]

    @property
    def matched_cells(self) -> list[Cell]:
        """Cells of neutral texts that are told in the places of stories."""
        if not self.is_brought:
            return []
        places = set(self.topics)
        cells = self._corpora["neutral"].contents.counts
        return [cell for cell in cells if cell.beside and cell.topic in places]

    @property
    def all_cells(self) -> list[Cell]:
        """All of them."""
        return [*self.story_cells, *self.said_cells, *self.neutral_cells, *self.matched_cells]

    def check(self) -> None:
        """Refuse corpora that do not fit together, and subsets of what is not in them."""
        self._check_way()
        if not self.is_brought:
            return
        config, path = self._config, self._config.corpus.stories
        if self._corpora["stories"].contents.sha256 == self._corpora["neutral"].contents.sha256:
            raise InvalidInput(
                f"corpus.neutral: expected texts without emotion, got the same file as "
                f"corpus.stories, {path}. Vectors would be freed of their own emotions."
            )
        self._check_forms()
        generation = config.generation
        subsets: tuple[tuple[str, int | list[str] | None, CorpusKind, str], ...] = (
            ("generation.emotions_subset", generation.emotions_subset, "stories", "emotion"),
            ("generation.topics_subset", self._topics_subset, "stories", "topic"),
            ("corpus.frames_subset", config.corpus.frames_subset, "said", "topic"),
            ("corpus.neutral_subset", config.corpus.neutral_subset, "neutral", "topic"),
        )
        for key, subset, kind, field in subsets:
            if subset is not None:
                self._check_subset(key, subset, kind, field)
        if len(self.emotions) < 2:
            raise InvalidInput(
                f"corpus.stories: expected stories of at least two emotions (a vector is a "
                f"difference from the mean over emotions), got {', '.join(self.emotions)}."
            )
        check_steered(config, self.emotions)
        if "said" not in self._corpora:
            return
        if missing := set(self.emotions) - set(self._named("said", "emotion")):
            raise InvalidInput(
                f"corpus.said: expected frames of every emotion of the stories, got none of "
                f"{', '.join(sorted(missing))} in {self._corpora['said'].path}. Add them, or name "
                "the others in generation.emotions_subset."
            )

    @property
    def _topics_subset(self) -> int | list[str] | None:
        """Which topics are asked for of the project's corpus; of a user's own, all are taken."""
        subset = self._config.generation.topics_subset
        return subset if self._config.corpus.stories == reference.NAME else None

    def _check_subset(
        self, key: str, subset: int | list[str], kind: CorpusKind, field: str
    ) -> None:
        if kind not in self._corpora:
            raise InvalidInput(f"{key} is set and there are no frames: set corpus.said.")
        path, known = self._corpora[kind].path, self._named(kind, field)
        for name in subset if isinstance(subset, list) else []:
            if name not in known:
                raise InvalidInput(
                    f"{key}: {name!r} is not in {path}; it has: {', '.join(sorted(known))}."
                )
        if isinstance(subset, int) and subset > len(known) and field == "emotion":
            raise InvalidInput(
                f"{key}: expected at most {len(known)}, as many as there are in {path}, got "
                f"{subset}. null takes all."
            )

    def _check_way(self) -> None:
        way = self._config.vectors.way
        there = "said" in self._corpora or (way == "carried" and self.is_brought)
        if way not in (None, "shown") and not there:
            raise InvalidInput(
                f"vectors.way={way}: the stories of this run show their emotions and nothing else. "
                "Take a corpus that says or carries them too (corpus.stories=reference, or your "
                "own files), or vectors.way=shown."
            )

    def _check_forms(self) -> None:
        asked = self._config.corpus.forms
        if asked is None:
            return
        kinds: tuple[CorpusKind, ...] = ("stories", "said")
        for kind in kinds:
            if kind in self._corpora and not self._of_forms(kind):
                known = sorted(set(self._corpora[kind].contents.forms.values()))
                raise InvalidInput(
                    f"corpus.forms: expected some of {', '.join(known) or 'none'}, which are the "
                    f"forms of corpus.{kind}, got {', '.join(asked) or 'none'}."
                )

    def _named(self, kind: CorpusKind, field: str) -> list[str]:
        cells: Iterable[Cell] = self._corpora[kind].contents.counts
        if kind == "neutral":
            cells = [cell for cell in cells if not cell.beside]
        return list(dict.fromkeys(getattr(cell, field) or "" for cell in cells))

    def _of_forms(self, kind: CorpusKind) -> list[str]:
        asked, forms = self._config.corpus.forms, self._corpora[kind].contents.forms
        topics = self._named(kind, "topic")
        return [it for it in topics if asked is None or forms.get(it) in asked]

    def _cells(self, kind: CorpusKind, topics: Iterable[str]) -> list[Cell]:
        emotions, places = set(self.emotions), set(topics)
        cells = self._corpora[kind].contents.counts
        return [cell for cell in cells if cell.emotion in emotions and cell.topic in places]


def _open(path: str, kind: CorpusKind, kept: Path) -> AnyCorpus:
    if path == reference.NAME:
        return ReferenceCorpus(kind)
    return BroughtCorpus(path, kind, kept=kept)


def _chosen(known: Sequence[str], subset: int | list[str] | None) -> tuple[str, ...]:
    """Take the first few, or those named; always in the order of the corpus."""
    if isinstance(subset, int):
        return tuple(known[:subset])
    return tuple(name for name in known if subset is None or name in subset)
