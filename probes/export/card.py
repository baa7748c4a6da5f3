"""The cards of a shared run; what a user or model wrote is escaped, folders lose their path."""

from collections.abc import Mapping
from typing import Any

from huggingface_hub import CardData, DatasetCardData, ModelCardData
from markupsafe import Markup

from hooks.models.licenses import hub_id, license_of
from hooks.models.local_files import public_name
from probes.figures import pages
from probes.report import summary as summaries
from probes.report.limits import text_weaknesses, weaknesses
from probes.report.markdown import escape
from probes.vectors.bundle import Provenance

_OF_WAY = {
    "shown": "the mean over stories that convey an emotion without naming it",
    "said": "the mean over sentences that say an emotion",
    "carried": "the mean over words that are the same after every story of an emotion",
    "both": "the mean over stories that convey an emotion without naming it and that over "
    "sentences that say it, each of these two directions of length one, together",
}


def numbers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the run's own table, without the times."""
    return [row for row in summaries.rows(_public(summary)) if not row[0].startswith("seconds")]


def limits(summary: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each thing that was missing or weak, as the report has them."""
    lines = weaknesses(_public(summary))
    for name, experiment in summary.get("experiments", {}).items():
        lines += [f"{name}: {limit}" for limit in experiment.get("limits", ())]
    return lines


def _public(summary: Mapping[str, Any]) -> dict[str, Any]:
    public = dict(summary)
    for key, name in (("subject", "model"), ("stories", "writer")):
        if public.get(key) and public[key][name] is not None:
            public[key] = {**public[key], name: public_name(public[key][name])}
    return public


def model_card(
    record: Mapping[str, Any],
    summary: Mapping[str, Any],
    provenance: Provenance,
    *,
    repo: str,
    dataset: bool,
    picture: bool,
) -> str:
    """Return the README of the vectors' repository.

    `dataset` and `picture` say whether corpus and map go along.
    """
    name, writer = public_name(provenance.model), _writer(record["config"])
    subject = license_of(provenance.model, provenance.revision)
    bound = "Vectors derived from it may be bound by them."
    terms = [f"Subject model {name}: {subject.words}. {bound}"]
    return _fill(
        "model_card.md",
        ModelCardData(
            license=subject.identifier,
            base_model=hub_id(provenance.model),
            datasets=[repo] if dataset else None,
            tags=["emotion", "steering", "interpretability", "control-vectors"],
        ),
        provenance,
        repo,
        name=name,
        dataset=dataset,
        picture=picture,
        loaded=Markup(_loaded(provenance)),
        example=Markup(repr(provenance.emotions[0])),
        of_way=_OF_WAY[provenance.way],
        how=_how(record, provenance),
        numbers=numbers(summary),
        limits=limits(summary),
        terms=terms if writer is None else [*terms, _terms_of(writer)],
    )


def dataset_card(
    record: Mapping[str, Any],
    summary: Mapping[str, Any],
    provenance: Provenance,
    *,
    repo: str,
    counts: Mapping[str, int],
) -> str:
    """Return the README of the corpus' repository; `counts` maps a kind of text to its number."""
    config = record["config"]
    writer, sampling = _writer(config), config["generation"]
    how = [row for row in numbers(summary) if row[0].startswith(("stories", "neutral"))]
    terms = (
        "The texts are the author's own: their terms are not recorded. Say them here before you "
        "make this public."
    )
    if writer is not None:
        terms = _terms_of(writer)
        how = [
            ("writer", public_name(writer)),
            ("sampling", f"temperature {sampling['temperature']}, top_k {sampling['top_k']}"),
            ("longest text", f"{sampling['max_new_tokens']} tokens"),
            ("attempts", f"up to {sampling['max_attempts']} for each text"),
            ("seed", config["seed"]),
            *how,
        ]
    return _fill(
        "dataset_card.md",
        DatasetCardData(
            license=None if writer is None else license_of(writer).identifier,
            language=None if writer is None else "en",
            tags=["emotion"] if writer is None else ["emotion", "synthetic"],
            configs=[{"config_name": kind, "data_files": f"{kind}.parquet"} for kind in counts],
        ),
        provenance,
        repo,
        writer="the author's own files" if writer is None else public_name(writer),
        counts={Markup(kind): count for kind, count in counts.items()},
        how=how,
        limits=text_weaknesses(summary),
        terms=[terms],
    )


def _fill(template: str, front: CardData, provenance: Provenance, repo: str, **values: Any) -> str:
    page = pages.environment("probes.export", escape).get_template(template)
    return page.render(
        front=Markup(front.to_yaml()),  # neither this nor the address is read as Markdown
        repo=Markup(repo),
        made=provenance,
        version=provenance.versions.get("emotion-lens", ""),
        **values,
    )


def _writer(config: Mapping[str, Any]) -> str | None:
    """Name the model that wrote the texts; None: they are the user's own."""
    if config["corpus"]["stories"] is not None:
        return None
    return config["writer"]["name"] or config["model"]["name"]


def _terms_of(writer: str) -> str:
    return f"Writer {public_name(writer)}: {license_of(writer).words}."


def _how(record: Mapping[str, Any], provenance: Provenance) -> list[tuple[str, Any]]:
    config, writer = record["config"], _writer(record["config"])
    target, layers = provenance.layers.index(provenance.target_layer), provenance.layers
    span = ", ".join(map(str, layers))
    if len(layers) > 2 and list(layers) == list(range(layers[0], layers[-1] + 1)):
        span = f"{layers[0]} to {layers[-1]}"
    return [
        ("subject", public_name(provenance.model)),
        ("revision", provenance.revision or "as loaded"),
        ("fingerprint", provenance.fingerprint),
        ("precision", f"{provenance.dtype}, quantization {provenance.quantize or 'none'}"),
        ("read at", f"{provenance.hook_name}, layers {span}"),
        ("target layer", provenance.target_layer),
        ("texts by", "the author's own files" if writer is None else public_name(writer)),
        ("way of expression", provenance.way),
        ("tokens read", f"after the first {provenance.token_offset} content tokens of each text"),
        (
            "neutral components removed",
            f"{provenance.n_neutral_components[target]} at the target layer "
            f"(pca_variance_threshold {config['vectors']['pca_variance_threshold']}, "
            f"{config['vectors']['neutral_pca']} level)",
        ),
        ("seed", config["seed"]),
        ("settings", f"config.yaml, digest {record['config_hash']}"),
        ("versions", ", ".join(f"{k} {v}" for k, v in sorted(provenance.versions.items()))),
    ]


def _loaded(provenance: Provenance) -> str:
    if public_name(provenance.model) != provenance.model:
        return repr(f"path/to/{public_name(provenance.model)}")
    revision = f", revision={provenance.revision!r}" if provenance.revision else ""
    return f"{provenance.model!r}{revision}"
