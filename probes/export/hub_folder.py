"""A run as two repositories of the hub: ``model/`` and ``dataset/``; no path of this machine."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hooks.errors import DataError
from hooks.models.local_files import public_name
from probes.export.card import dataset_card, model_card
from probes.export.parquet_files import texts_parquet
from probes.export.source import Source
from probes.report.markdown import escape
from probes.storage import map_leaves
from probes.vectors.bundle_file import FILE_NAME

PICTURE = "pca_scatter.png"
_NOT_SHARED = (("generation", "api_key_env"), ("validation", "api_key_env"), ("writer", "system"))
"""Settings that are nobody else's affair: where a key lies, what one's own writer is told."""
ANY_SERVER = "http://localhost:8000/v1"  # instead of a server's address


def hub_files(source: Source, repo: str, *, texts: bool = True) -> dict[str, bytes]:
    """Return the files of both repositories; DataError when the run's summary is missing.

    Without `texts` there is no dataset.
    """
    try:
        record, summary, vectors = source.record, source.summary, source.vectors
        provenance = vectors.provenance
        kinds = {
            kind: list(source.texts(kind))
            for kind in ("stories", "neutral")
            if texts and source.has(kind)
        }
        picture = source.root / "figures" / PICTURE
        shared = dataclasses.replace(
            vectors, provenance=dataclasses.replace(provenance, model=public_name(provenance.model))
        )
        made = (record, summary, provenance)
        card = model_card(*made, repo=repo, dataset=bool(kinds), picture=picture.is_file())
        files = {
            "model/README.md": _without_folders(card, record["config"]).encode(),
            f"model/{FILE_NAME}": shared.to_bytes(),
            "model/config.yaml": _settings(record["config"]).encode(),
        }
        if picture.is_file():
            files[f"model/{PICTURE}"] = picture.read_bytes()
        if kinds:
            counts = {kind: len(rows) for kind, rows in kinds.items()}
            dataset = dataset_card(*made, repo=repo, counts=counts)
            files["dataset/README.md"] = _without_folders(dataset, record["config"]).encode()
            for kind, rows in kinds.items():
                files[f"dataset/{kind}.parquet"] = texts_parquet(rows, emotion=kind == "stories")
        return files
    except (LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"run.json or analysis/summary.json in {source.root} lacks {error}: "
            "another version of emotion-lens wrote it. Run the config again: complete stages are "
            "skipped."
        ) from error


def _without_folders(text: str, config: Mapping[str, Any]) -> str:
    """Shorten a run's folders wherever a card has them, even in an experiment's words."""
    names = (config["model"]["name"], config["writer"]["name"], *config["corpus"].values())
    names = filter(lambda it: isinstance(it, str), names)
    for name in (*names, config["output_dir"]):
        if name is not None and (shown := public_name(name)) != name:
            text = text.replace(escape(name), escape(shown)).replace(name, shown)
    return text


def _settings(config: Mapping[str, Any]) -> str:
    """Spell the settings as a config file that says nothing of this machine and its network."""
    values = map_leaves({key: it for key, it in config.items() if key != "compute"}, _shared)
    for section in ("model", "writer"):
        if values[section]["name"] is not None:
            values[section]["name"] = public_name(config[section]["name"])
    for kind in ("stories", "neutral"):
        if values["corpus"][kind] is not None:
            values["corpus"][kind] = Path(values["corpus"][kind]).name
    for section, key in _NOT_SHARED:
        values[section][key] = None
    values["output_dir"] = f"output/{Path(config['output_dir']).name}"
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _shared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shared(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shared(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if "://" in value:
        return ANY_SERVER
    return Path(value).name if value.startswith(("/", "~")) else value
