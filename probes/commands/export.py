"""``emotion-probes export``: a run's vectors and corpus for other tools, and for the hub.

1. The run is found, and every flag checked against it, before any work.
2. All files are made in memory; ``--dry-run`` shows them and stops.
3. They are written one by one, each atomically; for the hub, pushed as one commit per repository.
"""

from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput
from probes.commands.call import Call, listed
from probes.commands.terminal import Terminal
from probes.export import hub
from probes.export.formats import FORMATS, ExportChoice, ExportFiles, choose
from probes.export.source import Source, find_source
from probes.storage import write_bytes
from probes.vectors.hub import check_repo

_OF_SOME_FORMATS = ("emotions", "layers", "dose", "repo", "public")


def main(call: Call) -> int:
    """Export one run; 0 when everything was written, and pushed if asked."""
    target, dry_run = _target(call.flags), call.flags.get("dry_run", False)
    public = call.flags.get("public", False)
    if len(call.words) != 1:
        raise InvalidInput(
            "export: expected one run, its folder or its config, e.g. emotion-probes export demo "
            f"--to=gguf, got {' '.join(call.words) or 'none'}."
        )
    repo = call.flags.get("repo")
    if repo is not None:
        check_repo(str(repo))
    if target == "hub" and repo is None and not dry_run:
        raise InvalidInput(
            "export --to=hub: expected --repo=user/name, where vectors (a model) and corpus (a "
            "dataset) are pushed; --dry-run shows what that would be."
        )
    source = find_source(call.words[0])
    choice = choose(
        source.vectors,
        listed(call.flags.get("emotions")),
        listed(call.flags.get("layers")),
        _dose(call.flags.get("dose")),
        repo=None if repo is None else str(repo),
    )
    export = FORMATS[target].make(source, choice)
    folder = Path(str(call.flags.get("output") or source.root / "export" / target)).expanduser()
    if not dry_run:
        for name, content in export.files.items():
            write_bytes(folder / name, content)
    _show(export, folder, call.terminal, dry_run=dry_run)
    if dry_run:
        return 0
    if target == "hub":
        _push(source, folder, export, choice, call.terminal, public=public)
    return 0


def _target(flags: dict[str, Any]) -> str:
    target = str(flags.get("to"))
    if target not in FORMATS:
        came = "nothing" if "to" not in flags else repr(target)
        raise InvalidInput(f"export: expected --to={'|'.join(FORMATS)}, got {came}.")
    for name in _OF_SOME_FORMATS:
        takers = [name_of for name_of, kind in FORMATS.items() if name in kind.takes]
        if name in flags and target not in takers:
            raise InvalidInput(
                f"export: --{name} has no meaning for {target}; it belongs to {', '.join(takers)}."
            )
    return target


def _dose(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"export: --dose: expected a number such as 0.1, got {value!r}.")
    return float(value)


def _show(export: ExportFiles, folder: Path, terminal: Terminal, *, dry_run: bool) -> None:
    rows = [(name, _size(len(content))) for name, content in export.files.items()]
    rows.append(("together", _size(sum(map(len, export.files.values())))))
    terminal.table("what would be written" if dry_run else "written", rows)
    terminal.text(f"in {folder}")
    terminal.result(
        {
            "folder": str(folder),
            "written": not dry_run,
            "bytes": {name: len(content) for name, content in export.files.items()},
            "notices": export.notices,
        }
    )
    if dry_run:
        for name, content in export.files.items():
            if name.endswith("README.md"):
                terminal.text(f"--- {name} ---\n{content.decode()}")
    for notice in export.notices:
        terminal.note(notice)


def _size(n_bytes: int) -> str:
    if n_bytes < 1000:
        return f"{n_bytes} B"
    return f"{n_bytes / 1e3:.1f} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:.1f} MB"


def _push(
    source: Source,
    folder: Path,
    export: ExportFiles,
    choice: ExportChoice,
    terminal: Terminal,
    *,
    public: bool,
) -> None:
    pushed: dict[str, str] = {}
    kinds: list[tuple[hub.Kind, str]] = [("model", "vectors"), ("dataset", "corpus")]
    for kind, what in kinds:
        files = [n.removeprefix(f"{kind}/") for n in export.files if n.startswith(f"{kind}/")]
        if not files:
            continue
        message = f"Add the emotion {what} of {source.root.name}"
        address = pushed[kind] = hub.push(
            folder / kind, files, choice.repo, kind, message, public=public
        )
        terminal.note(f"pushed {what} to {kind} {choice.repo}: {address}")
    terminal.result({"pushed": pushed})
    terminal.note(f'load them with EmotionVectors.load("hf://{choice.repo}")')
