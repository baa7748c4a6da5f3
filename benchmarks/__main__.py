"""``python -m benchmarks [--quick]``: print the table of RESULTS.md, ratios first."""

import platform
import sys

import torch

import hooks
from benchmarks.measure import in_turn, peak_memory, roofline, seconds
from benchmarks.recipes import RECIPES
from hooks.architecture import describe

SUBJECTS = ("embedded:gemma-3-270m", "embedded:smollm2-135m-instruct")
WRITER = "embedded:smollm2-135m-instruct"
SENTENCES = (
    "He closed the door behind him and stood still for a while.",
    "The kettle whistled in the kitchen, and nobody took it off the stove.",
    "Her fingers drummed on the table while the clock went on.",
    "A bus rolled past the window and the glass trembled.",
    "They walked along the river without saying a word to each other.",
)


def texts(number: int) -> list[str]:
    """Texts of 4 to 15 sentences (about 50 to 200 tokens), long and short ones mixed."""
    return [
        " ".join(SENTENCES[(i + n) % 5] for n in range(4 + (7 * i) % 12)) for i in range(number)
    ]


def reading(name: str, number: int, rounds: int) -> None:
    model = hooks.load(name)
    given = texts(number)
    n_tokens = sum(len(model.encode(text)) for text in given)
    peak = roofline(1024, model.d_model, 4 * model.d_model)
    took = in_turn({n: (lambda f=f: f(model, given)) for n, f in RECIPES.items()}, rounds)
    rates = {recipe: n_tokens / time for recipe, time in took.items()}
    used = rates["ours"] * describe(name).reading_flops() / peak
    print(f"\n## Reading: {name}, {number} texts, {n_tokens} tokens, {model.dtype}\n")
    print("| recipe | ours is faster by | tokens/s |\n|---|---|---|")
    for recipe, rate in rates.items():
        print(f"| {recipe} | {rates['ours'] / rate:.1f}x | {rate:,.0f} |")
    print(f"\nRoofline {peak / 1e9:.0f} GFLOP/s in the same run; ours uses {used:.0%} of it.")
    half = seconds(lambda: hooks.pooled_resid_post(model, given, layers=[model.n_layers // 2]))
    print(f"Up to the middle layer only: {half / took['ours']:.2f} of the time of all layers.")
    few = seconds(lambda: hooks.pooled_resid_post(model, given[: number // 2]))
    print(f"Half of the texts: {few / took['ours']:.2f} of the time.")


def writing(rows: int, new_tokens: int) -> None:
    model = hooks.load(WRITER, backend="huggingface")
    prompts = [
        f"Write a short story about a {w} {n}." for w in ("lost", "late") for n in range(rows)
    ]
    options = {"max_new_tokens": new_tokens, "temperature": 0.8, "top_k": 50}
    n_batch = n_single = 0

    def batched() -> None:
        nonlocal n_batch
        n_batch = sum(len(g.tokens) for g in model.generate(prompts[:rows], **options))

    def single() -> None:
        nonlocal n_single
        n_single = sum(len(model.generate([p], **options)[0].tokens) for p in prompts[:2])

    took = in_turn({"batched": batched, "single": single}, 1)
    fast, slow = n_batch / took["batched"], n_single / took["single"]
    print(f"\n## Writing: {WRITER}, {new_tokens} new tokens\n")
    print("| recipe | ours is faster by | tokens/s |\n|---|---|---|")
    print(f"| ours, {rows} rows | 1.0x | {fast:,.0f} |")
    print(f"| one text at a time | {fast / slow:.1f}x | {slow:,.0f} |")


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    threads = torch.get_num_threads()
    print(f"# {platform.processor() or platform.machine()}, {threads} thread(s), ", end="")
    print(f"torch {torch.__version__}{', quick' if quick else ''}\n")
    print("Rates are per CPU second and thread-share of one process, so that other load matters")
    print("little; the ratios come first.")
    for name in SUBJECTS:
        reading(name, 4 if quick else 64, 1 if quick else 3)
    writing(24 if quick else 144, 8 if quick else 100)
    print(f"\nPeak memory of the whole run: {peak_memory():.1f} GB.")


if __name__ == "__main__":
    main()
