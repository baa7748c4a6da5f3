"""``emotion-probes compare``: how alike the vectors of runs are, pair by pair, at target layers."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hooks.errors import DataError, InvalidInput
from probes.analysis import similarity
from probes.commands import Compare
from probes.commands.call import Call
from probes.config import load_config
from probes.figures import draw_all
from probes.figures.description import Heatmap
from probes.storage import write_json
from probes.vectors.emotion_vectors import EmotionVectors

_MEASURES = {
    "rsa": "RSA (Spearman of cosines)",
    "cka": "CKA (unbiased, linear)",
    "procrustes": "Procrustes, left over",
    "mean_cosine": "mean cosine, same emotion",
}


def main(call: Call[Compare]) -> int:
    """Compare every pair of runs; writes comparison.json and figures to ``--output``."""
    flags = call.flags
    if len(call.words) < 2:
        expected = "at least two runs (folders, configs or files of vectors)"
        raise InvalidInput(f"compare: expected {expected}, got {len(call.words)}.")
    output = None if flags.output is None else Path(flags.output).expanduser()
    if output is not None and output.is_file():
        raise DataError(f"--output: expected a folder, {output} is a file.")
    names = [Path(word).stem for word in call.words]
    names = names if len(set(names)) == len(names) else call.words
    sets = [EmotionVectors.load(_folder(word)) for word in call.words]
    pairs = []
    for (a, first), (b, second) in itertools.combinations(zip(names, sets, strict=True), 2):
        pair = {"first": a, "second": b, **_compare([first, second], flags)}
        pairs.append(pair)
        call.terminal.table(f"{a} and {b}: {pair['what_differs']}", _rows(pair))
        for notice in pair["notices"]:
            call.terminal.note(notice)
    result = {"runs": names, "seed": flags.seed, "resamples": flags.resamples, "pairs": pairs}
    written = []
    if output is not None:
        write_json(output / "comparison.json", result)
        figures = {f"layers_{n}": layers_alike(pair) for n, pair in enumerate(pairs, 1)}
        written = [output / "comparison.json", *draw_all(figures, output)]
    call.terminal.written(written)
    call.terminal.result({**result, "files": [str(path) for path in written]})
    return 0


def _folder(word: str) -> Path:
    path = Path(word)
    is_run = path.is_dir() or path.suffix == ".safetensors"
    return path if is_run else Path(load_config(word).output_dir).expanduser()


def _compare(both: Sequence[EmotionVectors], flags: Compare) -> dict[str, Any]:
    first, second = both
    shared = [name for name in first.emotions if name in second.emotions]
    if unknown := [name for name in flags.emotions if name not in shared]:
        raise InvalidInput(f"--emotions: {unknown[0]!r} is not in both runs.")
    shared = [name for name in shared if name in (flags.emotions or shared)]
    layers = [
        bundle.provenance.target_layer if flags.layer is None else flags.layer for bundle in both
    ]
    rows = [[bundle.emotions.index(name) for name in shared] for bundle in both]
    tables = [bundle.at(layer)[row] for bundle, layer, row in zip(both, layers, rows, strict=True)]
    have_cosines = tables[0].shape == tables[1].shape
    measures = [similarity.rsa, similarity.cka, similarity.procrustes]
    measures += [similarity.mean_cosine] if have_cosines else []
    options = {"n_resamples": flags.resamples, "seed": flags.seed}
    measured = {measure.__name__: asdict(measure(*tables, **options)) for measure in measures}
    if have_cosines:
        cosines = dict(zip(shared, similarity.own_cosines(*tables).tolist(), strict=True))
        notices = _meaning(both, layers)
    else:
        sizes = " and ".join(str(table.shape[1]) for table in tables)
        cosines, notices = None, [f"no cosine per emotion: the vectors have {sizes} dimensions."]
    every = [bundle.vectors[:, row] for bundle, row in zip(both, rows, strict=True)]
    one, two = first.provenance, second.provenance
    subjects = "same subject" if one.fingerprint == two.fingerprint else "different subjects"
    texts = "same texts" if one.corpus_hash == two.corpus_hash else "different texts"
    return {
        "what_differs": f"{subjects}, {texts}",
        "layers": layers,
        "emotions": shared,
        "layers_of": [bundle.layers for bundle in both],
        "rsa_by_layer": similarity.rsa_by_layer(*every).tolist(),
        "measures": measured,
        "cosines": cosines,
        "notices": notices,
    }


def _meaning(both: Sequence[EmotionVectors], layers: list[int]) -> list[str]:
    one, two = (bundle.provenance for bundle in both)
    if one.weight_processing != two.weight_processing:
        return ["cosines mean nothing here: the weights were processed differently (other basis)."]
    if layers[0] != layers[1]:
        return [f"cosines compare layer {layers[0]} with layer {layers[1]}: read them with care."]
    if one.fingerprint != two.fingerprint:
        return ["cosines mean something only if one subject was trained from the other."]
    return []


def _rows(pair: dict[str, Any]) -> list[tuple[str, str]]:
    layers = " and ".join(map(str, pair["layers"]))
    rows = [("layers", layers), ("shared emotions", str(len(pair["emotions"])))]
    for name, one in pair["measures"].items():
        chance = f"permuted emotions: mean {one['null_mean']:.2f}, 5% reach {one['null_bound']:.2f}"
        rows.append((_MEASURES[name], f"{_interval(one)}, p={one['p']:.4f} ({chance})"))
    if pair["cosines"]:
        ordered = sorted(pair["cosines"].items(), key=lambda item: item[1])
        for title, some in (("most alike", ordered[:-6:-1]), ("least alike", ordered[:5])):
            rows.append((title, ", ".join(f"{name} {value:.2f}" for name, value in some)))
    return rows


def _interval(one: Mapping[str, float]) -> str:
    return f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def layers_alike(pair: Mapping[str, Any]) -> Heatmap:
    """Draw the RSA of every layer of one run with every layer of the other."""
    one = pair["measures"]["rsa"]
    layers = pair["layers_of"]
    where = " and ".join(map(str, pair["layers"]))
    subtitle = f"{pair['what_differs']}; {len(pair['emotions'])} shared emotions; at layers {where}"
    return Heatmap(
        title=f"Geometry of {pair['first']} and {pair['second']}",
        subtitle=(
            f"{subtitle}: RSA {_interval(one)}, 5% of permutations reach {one['null_bound']:.2f}"
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
