"""``emotion-probes compare``: how alike the vectors of two or more runs are.

A run is named by its folder, its config, or the file of its vectors. Every pair is compared at the
target layer of each, over the emotions they share.
"""

import itertools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hooks.errors import DataError, InvalidInput
from probes.commands.call import Call, listed, load
from probes.figures.description import Heatmap

_MEASURES = {
    "rsa": "RSA (Spearman of cosines)",
    "cka": "CKA (unbiased, linear)",
    "procrustes": "Procrustes, left over",
    "mean_cosine": "mean cosine, same emotion",
}


def main(call: Call) -> int:
    """Compare every pair of runs; writes comparison.json and figures to ``--output``."""
    if len(call.words) < 2:
        raise InvalidInput(
            "compare: expected at least two runs (folders, configs or files of vectors), got "
            f"{len(call.words)}."
        )
    resamples = call.flags.get("resamples", 1000)
    layer, seed = call.flags.get("layer"), call.flags.get("seed", 0)
    for name, value, least in (
        ("resamples", resamples, 20),
        ("layer", layer, 0),
        ("seed", seed, 0),
    ):
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not whole and value is not None:
            raise InvalidInput(
                f"compare: --{name}: expected a number of {least} or more, got {value}."
            )
    wanted = listed(call.flags.get("emotions"))
    folders = [_folder(word) for word in call.words]
    from probes.vectors.emotion_vectors import EmotionVectors

    sets = [EmotionVectors.load(folder) for folder in folders]
    names = _names(call.words)
    pairs = []
    for a, b in itertools.combinations(range(len(sets)), 2):
        pair = _compare(sets[a], sets[b], wanted, layer, resamples, seed)
        pairs.append({"first": names[a], "second": names[b], **pair})
        title = f"{names[a]} and {names[b]}: {pair['what_differs']}"
        call.terminal.table(title, _rows(pair))
        for notice in pair["notices"]:
            call.terminal.note(notice)
    result = {"runs": names, "seed": seed, "resamples": resamples, "pairs": pairs}
    written = _write(call.flags.get("output"), result)
    for path in written:
        call.terminal.note(f"written: {path}")
    call.terminal.result({**result, "files": [str(path) for path in written]})
    return 0


def _folder(word: str) -> Path:
    path = Path(word)
    if path.is_dir() or path.suffix == ".safetensors":
        return path
    return Path(load(word, {}).output_dir).expanduser()


def _names(words: list[str]) -> list[str]:
    short = [Path(word).stem or word for word in words]
    return short if len(set(short)) == len(short) else list(words)


def _compare(
    first: Any, second: Any, wanted: list[str], layer: int | None, resamples: int, seed: int
) -> dict[str, Any]:
    """Compare two bundles of vectors at one layer of each."""
    from probes.analysis import similarity

    shared = [name for name in first.emotions if name in second.emotions]
    unknown = [name for name in wanted if name not in shared]
    if unknown:
        raise InvalidInput(f"--emotions: {unknown[0]!r} is not in both runs.")
    shared = [name for name in shared if not wanted or name in wanted]
    layers = [
        bundle.provenance.target_layer if layer is None else layer for bundle in (first, second)
    ]
    tables = []
    for bundle, chosen in zip((first, second), layers, strict=True):
        places = [bundle.emotions.index(name) for name in shared]
        tables.append(bundle.at(chosen)[places])
    options = {"n_resamples": resamples, "seed": seed}
    found = {
        "rsa": similarity.rsa(*tables, **options),
        "cka": similarity.cka(*tables, **options),
        "procrustes": similarity.procrustes(*tables, **options),
    }
    every = [
        bundle.vectors[:, [bundle.emotions.index(name) for name in shared]]
        for bundle in (first, second)
    ]
    notices, cosines = [], None
    if tables[0].shape == tables[1].shape:
        found["mean_cosine"] = similarity.mean_cosine(*tables, **options)
        cosines = dict(zip(shared, similarity.own_cosines(*tables).tolist(), strict=True))
        notices += _meaning(first, second, layers)
    else:
        sizes = " and ".join(str(table.shape[1]) for table in tables)
        notices.append(f"no cosine per emotion: the vectors have {sizes} dimensions.")
    return {
        "what_differs": _difference(first, second),
        "layers": layers,
        "emotions": shared,
        "layers_of": [first.layers, second.layers],
        "rsa_by_layer": similarity.rsa_by_layer(*every).tolist(),
        "measures": {name: asdict(one) for name, one in found.items()},
        "cosines": cosines,
        "notices": notices,
    }


def _meaning(first: Any, second: Any, layers: list[int]) -> list[str]:
    """Say when a cosine between vectors of two runs means something."""
    one, two = first.provenance, second.provenance
    if one.weight_processing != two.weight_processing:
        return ["cosines mean nothing here: the weights were processed differently (other basis)."]
    if layers[0] != layers[1]:
        return [f"cosines compare layer {layers[0]} with layer {layers[1]}: read them with care."]
    if one.fingerprint != two.fingerprint:
        return [
            "cosines mean something only if one subject was trained from the other (base and "
            "instruct): unrelated models of one size share no basis."
        ]
    return []


def _difference(first: Any, second: Any) -> str:
    one, two = first.provenance, second.provenance
    subjects = "same subject" if one.fingerprint == two.fingerprint else "different subjects"
    texts = "same texts" if one.corpus_hash == two.corpus_hash else "different texts"
    return f"{subjects}, {texts}"


def _rows(pair: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("layers", " and ".join(map(str, pair["layers"])))]
    rows.append(("shared emotions", str(len(pair["emotions"]))))
    for name, one in pair["measures"].items():
        chance = f"permuted emotions: mean {one['null_mean']:.2f}, 5% reach {one['null_bound']:.2f}"
        rows.append(
            (
                _MEASURES[name],
                f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}], p={one['p']:.4f} "
                f"({chance})",
            )
        )
    if pair["cosines"]:
        ordered = sorted(pair["cosines"].items(), key=lambda item: item[1])
        rows.append(("most alike", _named(ordered[:-6:-1])))
        rows.append(("least alike", _named(ordered[:5])))
    return rows


def _named(pairs: list[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in pairs)


def _write(output: Any, result: dict[str, Any]) -> list[Path]:
    if output is None:
        return []
    from probes.commands.compare import layers_alike
    from probes.figures import draw_all
    from probes.storage import write_json

    folder = Path(str(output)).expanduser()
    if folder.is_file():
        raise DataError(f"--output: expected a folder, {folder} is a file.")
    write_json(folder / "comparison.json", result)
    pairs = result["pairs"]
    figures = {f"layers_{n}": layers_alike(pair) for n, pair in enumerate(pairs, start=1)}
    return [folder / "comparison.json", *draw_all(figures, folder)]


def layers_alike(pair: Mapping[str, Any]) -> Heatmap:
    """Draw the RSA of every layer of one run with every layer of the other."""
    one = pair["measures"]["rsa"]
    layers = pair["layers_of"]
    return Heatmap(
        title=f"Geometry of {pair['first']} and {pair['second']}",
        subtitle=(
            f"{pair['what_differs']}; {len(pair['emotions'])} shared emotions; at layers "
            f"{pair['layers'][0]} and {pair['layers'][1]}: RSA {one['value']:.2f} "
            f"[{one['low']:.2f}, {one['high']:.2f}], 5% of permutations reach "
            f"{one['null_bound']:.2f}"
        ),
        caption=(
            "Spearman correlation of the cosines between emotions at a layer of one run with those "
            "at a layer of the other. 1: the same emotions lie close to each other in both."
        ),
        rows=tuple(map(str, layers[0])),
        columns=tuple(map(str, layers[1])),
        values=tuple(map(tuple, pair["rsa_by_layer"])),
        value_label="RSA (Spearman)",
        x_label=f"layer of {pair['second']}",
        y_label=f"layer of {pair['first']}",
        limits=(-1.0, 1.0),
    )
