"""``emotion-probes compare``: how alike the vectors of runs are, pair by pair, at target layers.

Two runs of one model and layer are also set beside each other way by way of expression, and each
names the stories of the other: the writer effect. Runs that were validated stand beside the paper.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from hooks.errors import DataError, InvalidInput, StaleArtifact
from probes.analysis import similarity
from probes.commands import Compare
from probes.commands.call import Call
from probes.commands.others_stories import Side, own_accuracy, read_by, rows_of
from probes.config import load_config
from probes.figures import draw_all
from probes.figures.description import Heatmap
from probes.report import scorecard, scorecard_file
from probes.runs.reporting import Reporter
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
    sides = [_side(name, word, flags) for name, word in zip(names, call.words, strict=True)]
    pairs = []
    for first, second in itertools.combinations(sides, 2):
        compared = _compare((first, second), flags, call.terminal)
        pair = {"first": first.name, "second": second.name, **compared}
        pairs.append(pair)
        title = f"{first.name} and {second.name}: {pair['what_differs']}"
        call.terminal.table(title, _rows(pair))
        for notice in pair["notices"]:
            call.terminal.note(notice)
    lines = _scorecards(sides)
    if lines:
        call.terminal.table("beside the paper", scorecard.side_by_side(lines))
    result = {
        **{"runs": names, "seed": flags.seed, "resamples": flags.resamples, "pairs": pairs},
        "scorecards": {name: scorecard.to_json(it)["lines"] for name, it in lines.items()},
    }
    written = []
    if output is not None:
        write_json(output / "comparison.json", result)
        figures = {f"layers_{n}": layers_alike(pair) for n, pair in enumerate(pairs, 1)}
        written = [output / "comparison.json", *draw_all(figures, output)]
    call.terminal.written(written)
    call.terminal.result({**result, "files": [str(path) for path in written]})
    return 0


def _side(name: str, word: str, flags: Compare) -> Side:
    path = Path(word)
    is_run = path.is_dir() or path.suffix == ".safetensors"
    root = path if is_run else Path(load_config(word).output_dir).expanduser()
    vectors = EmotionVectors.load(root)
    layer = vectors.provenance.target_layer if flags.layer is None else flags.layer
    return Side(name, root, vectors, layer)


def _scorecards(sides: Sequence[Side]) -> dict[str, list[scorecard.ScorecardLine]]:
    """Return what stands beside the paper of every run that has it; see `scorecard_file`."""
    lines = {}
    for side in sides:
        if (side.root / scorecard.FILE).is_file():
            lines[side.name] = scorecard.from_json(scorecard_file.read_lines(side.root))
    return lines


def _compare(sides: tuple[Side, Side], flags: Compare, reporter: Reporter) -> dict[str, Any]:
    both, layers = [side.vectors for side in sides], [side.layer for side in sides]
    first, second = both
    shared = [name for name in first.emotions if name in second.emotions]
    if unknown := [name for name in flags.emotions if name not in shared]:
        raise InvalidInput(f"--emotions: {unknown[0]!r} is not in both runs.")
    shared = [name for name in shared if name in (flags.emotions or shared)]
    rows = [[bundle.emotions.index(name) for name in shared] for bundle in both]
    tables = [bundle.at(layer)[row] for bundle, layer, row in zip(both, layers, rows, strict=True)]
    have_cosines = tables[0].shape == tables[1].shape
    measures = [similarity.rsa, similarity.cka, similarity.procrustes]
    measures += [similarity.mean_cosine] if have_cosines else []
    options = {"n_resamples": flags.resamples, "seed": flags.seed}
    measured = {}
    with reporter.task("comparing", len(measures), "measures") as advance:
        for measure in measures:
            measured[measure.__name__] = asdict(measure(*tables, **options))
            advance(1)
    if have_cosines:
        cosines = _cosines(shared, *tables)
        notices = _meaning(both, layers)
    else:
        sizes = " and ".join(str(table.shape[1]) for table in tables)
        cosines, notices = None, [f"no cosine per emotion: the vectors have {sizes} dimensions."]
    every = [bundle.vectors[:, row] for bundle, row in zip(both, rows, strict=True)]
    one, two = first.provenance, second.provenance
    subjects = "same subject" if one.fingerprint == two.fingerprint else "different subjects"
    texts = "same texts" if one.corpus_hash == two.corpus_hash else "different texts"
    ways = "" if first.way == second.way else f", vectors of {first.way} and of {second.way}"
    pair = {
        "what_differs": f"{subjects}, {texts}{ways}",
        "layers": layers,
        "emotions": shared,
        "layers_of": [bundle.layers for bundle in both],
        "rsa_by_layer": similarity.rsa_by_layer(*every).tolist(),
        "measures": measured,
        "cosines": cosines,
        "notices": notices,
    }
    # Without a notice cosines mean what they say: one model, one basis, one layer.
    return pair if notices else {**pair, **_of_one_model(sides, shared, options, reporter)}


def _of_one_model(
    sides: tuple[Side, Side],
    emotions: Sequence[str],
    options: Mapping[str, int],
    reporter: Reporter,
) -> dict[str, Any]:
    """Compare every way of the one run with every way of the other, and read stories crosswise."""
    first, second = sides
    stories, notices = [], []
    own: dict[str, dict[str, Any] | None] = {second.name: None, first.name: None}
    for reader, side in ((first, second), (second, first)):
        with _noted(notices, f"{reader.name} did not read the stories of {side.name}"):
            stories += read_by(reader, side, emotions, **options)
        with _noted(notices, f"how {side.name} reads its own stories is not known"):
            own[side.name] = own_accuracy(side)
    ways = _ways(first.vectors, second.vectors, first.layer, emotions, options, reporter)
    return {"ways": ways, "stories": stories, "own_accuracy": own, "notices": notices}


@contextlib.contextmanager
def _noted(notices: list[str], what: str) -> Iterator[None]:
    """Go on without what cannot be read, and note why."""
    try:
        yield
    except (DataError, StaleArtifact) as error:
        notices.append(f"{what}: {str(error).removesuffix('.')}.")


def _ways(
    first: EmotionVectors,
    second: EmotionVectors,
    layer: int,
    emotions: Sequence[str],
    options: Mapping[str, int],
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Cosines and RSA of all pairs of ways; none where both runs have one alone."""
    pairs = list(itertools.product(first.ways, second.ways))
    if len(pairs) == 1:
        return []
    compared = []
    with reporter.task("comparing", len(pairs), "pairs of ways") as advance:
        for one, two in pairs:
            tables = [
                bundle.using(way).at(layer)[[bundle.emotions.index(name) for name in emotions]]
                for bundle, way in ((first, one), (second, two))
            ]
            cosine = asdict(similarity.mean_cosine(*tables, **options))
            rsa = asdict(similarity.rsa(*tables, **options))
            each = _cosines(emotions, *tables)
            compared.append(
                {"first": one, "second": two, "mean_cosine": cosine, "rsa": rsa, "cosines": each}
            )
            advance(1)
    return compared


def _cosines(emotions: Sequence[str], *tables: Tensor) -> dict[str, float]:
    return dict(zip(emotions, similarity.own_cosines(*tables).tolist(), strict=True))


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
    for ways in pair.get("ways", ()):
        measured = f"mean cosine {_interval(ways['mean_cosine'])}, RSA {_interval(ways['rsa'])}"
        one, two = (f"{ways[side]} of {pair[side]}" for side in ("first", "second"))
        rows.append((f"{one} beside {two}", measured))
    return rows + rows_of(pair.get("stories", ()), pair.get("own_accuracy", {}))


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
