"""Vectors that come with the package, where a command expects a run: none has to be made."""

from collections.abc import Mapping
from typing import Any

from probes.config import load_config
from probes.corpus import reference
from probes.corpus.reference import ReferenceCorpus
from probes.runs.folder import Run
from probes.vectors import bundle_file


class ShippedRun(Run):
    """The run that such vectors are of, by its settings; its folder is only for what is written.

    Raises InvalidInput where no vectors of that name come with the package.
    """

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        bundle_file.locate(name)
        own = {"model.name": name, "output_dir": f"output/{name.replace(':', '-')}"}
        super().__init__(load_config(reference.NAME, {**own, **settings}), name)

    @property
    def vectors_at(self) -> str:
        """What `EmotionVectors.load` takes."""
        return self.source

    def neutral_texts(self) -> list[str]:
        """Return the neutral dialogues of the corpus."""
        texts = ReferenceCorpus("neutral").texts
        return [passage.text for cell in texts if not cell.beside for passage in texts[cell]]
