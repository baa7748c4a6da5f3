"""``python -m benchmarks [SECTION ...] [--quick]``: print RESULTS.md, ratios first.

Sections: reading, writing, vllm, start, steering, demo, plan, emotions, memory, corpus, materials;
none named means all of these. By name: gpu, for a machine with one (six minutes, no network, and
no other package than `hooks` needs), and beginning (what a BOS is worth; six minutes). Lines on
what is going on go to standard error.
"""

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.measure import Company, say
from benchmarks.tables import table

Part = tuple[list[tuple[str, str, str]], str]
"""Ratios, and the section's text."""
PACKAGES = ("torch", "transformers", "transformer-lens", "nnsight")


ROUNDS = 3


def _reading(quick: bool, dtype: str, rounds: int) -> Iterator[Part]:
    from benchmarks import reading

    for name in reading.SUBJECTS:
        read = reading.measure(name, dtype, 4 if quick else 64, 1 if quick else rounds)
        yield reading.ratios(read), reading.section(read)


def _writing(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import writing

    written = writing.measure(24, 8, 1) if quick else writing.measure(96, 64, 2)
    yield writing.ratios(written), writing.section(written)


def _vllm(quick: bool, dtype: str, rounds: int) -> Iterator[Part]:
    from benchmarks import beside_vllm

    if not beside_vllm.PYTHON.exists():
        yield [], beside_vllm.MISSING
        return
    sizes = (8, 8, 1) if quick else (64, 64, rounds)
    made = beside_vllm.measure(*sizes, dtype)
    yield beside_vllm.ratios(made), beside_vllm.section(made)


def _start(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import start

    started = start.measure(1 if quick else ROUNDS)
    yield start.ratios(started), start.section(started)


def _steering(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import steering

    steered = steering.measure(4, 1) if quick else steering.measure(64, ROUNDS)
    yield steering.ratios(steered), steering.section(steered)


def _demo(quick: bool, dtype: str, *_: object) -> Iterator[Part]:
    from benchmarks import demo

    ran = demo.measure(dtype, quick)
    yield demo.ratios(ran), demo.section(ran)


def _plan(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import plans

    planned = plans.measure(*((4, 40) if quick else (16, 96)))
    yield plans.ratios(planned), plans.section(planned)


def _emotions(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import small_runs

    yield (
        [],
        small_runs.emotions_section(small_runs.emotions((6, 12) if quick else small_runs.EMOTIONS)),
    )


def _memory(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import small_runs

    held = small_runs.memory(*((200, 400) if quick else (200, 5000)))
    yield small_runs.ratios(held), small_runs.memory_section(held)


def _corpus(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import big_corpus

    yield [], big_corpus.section(big_corpus.measure(2 if quick else 100))


def _materials(quick: bool, *_: object) -> Iterator[Part]:
    from benchmarks import materials

    size = materials.QUICK if quick else materials.WHOLE
    costs = materials.measure(size)
    yield materials.ratios(costs, size), materials.section(costs, size)


def _beginning(quick: bool, dtype: str, *_: object) -> Iterator[Part]:
    from benchmarks import beginning

    yield [], beginning.section(beginning.measure(dtype, quick=quick))


def _gpu(quick: bool, dtype: str, *_: object) -> Iterator[Part]:
    from benchmarks import gpu

    precision = None if dtype == "auto" else getattr(torch, dtype)
    measured = gpu.measure(gpu.QUICK if quick else gpu.WHOLE, precision)
    gpu.write_json(measured, Path("gpu.json"))
    say("everything that was measured: gpu.json")
    yield gpu.ratios(measured), gpu.section(measured)


SECTIONS: dict[str, Callable[..., Iterator[Part]]] = {
    "reading": _reading,
    "writing": _writing,
    "vllm": _vllm,
    "start": _start,
    "steering": _steering,
    "demo": _demo,
    "plan": _plan,
    "emotions": _emotions,
    "memory": _memory,
    "corpus": _corpus,
    "materials": _materials,
    "gpu": _gpu,
    "beginning": _beginning,
}
BY_NAME_ALONE = ("gpu", "beginning")
"""What is for other machines, or no matter of speed."""


def _machine() -> list[tuple[str, str]]:
    """Return what decides the numbers beside the code."""
    cpu = platform.processor() or platform.machine()
    lines = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    cpu = next((n.split(":")[1].strip() for n in lines.splitlines() if "model name" in n), cpu)
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return [
        ("processor", f"{cpu}, {_matrix_products()}"),
        ("threads", str(torch.get_num_threads())),
        ("device", torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]


def _matrix_products() -> str:
    """Name what multiplies matrices in bfloat16, or what there is without it."""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    if torch.cpu._is_avx512_bf16_supported():
        return "AVX512-BF16"
    return f"{torch.backends.cpu.get_cpu_capability()}, no bfloat16"


def main(arguments: list[str] | None = None) -> None:
    """Measure the sections asked for and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of reading with each recipe")
    parser.add_argument("--dtype", default="auto", help="of reading and of the demo: float32, ...")
    asked = parser.parse_args(arguments)
    company, began = Company(), time.monotonic()
    first, texts = [], []
    for name in asked.sections or [name for name in SECTIONS if name not in BY_NAME_ALONE]:
        say(f"{name} ...")
        for ratios, text in SECTIONS[name](asked.quick, asked.dtype, asked.rounds):
            first += ratios
            texts.append(text)
    others = company.share()
    about = [
        *_machine(),
        ("other programs", "unknown" if others is None else f"{others:.0%} of the processors"),
        ("the whole run", f"{time.monotonic() - began:.0f} s"),
    ]
    small = " Small sizes (`--quick`): only to see that it runs." if asked.quick else ""
    named = f", sections {' and '.join(asked.sections)}" if asked.sections else ""
    print(f"# Speed and memory\n\nPrinted by `make bench` in one run{named}.{small}\n")
    if first:
        print(f"## Ratios\n\n{table(('what', 'ratio', 'goal'), first)}\n")
    print(table(("machine", ""), about))
    print("\n" + "\n\n".join(texts))


if __name__ == "__main__":
    main()
