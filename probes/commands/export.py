"""``emotion-probes export``: a run's vectors and corpus for other tools, and for the hub."""

from pathlib import Path

from hooks.errors import InvalidInput
from probes.commands import Export as Flags
from probes.commands.call import Call
from probes.commands.terminal import Terminal, file_size
from probes.export import hub
from probes.export.formats import FORMATS, ExportFiles, choose
from probes.export.source import find_source
from probes.storage import write_bytes
from probes.vectors.hub import check_repo


def main(call: Call[Flags]) -> int:
    """Export one run; 0 when everything was written, and pushed if asked."""
    flags = call.flags
    _check(flags, call.words)
    source = find_source(call.words[0], flags.vectors)
    choice = choose(
        source.vectors,
        flags.emotions,
        flags.layers,
        flags.dose,
        repo=flags.repo,
        texts=not flags.without_texts,
    )
    export = FORMATS[flags.to].make(source, choice)
    folder = Path(flags.output or source.root / "export" / flags.to).expanduser()
    if not flags.dry_run:
        for name, content in export.files.items():
            write_bytes(folder / name, content)
    _show(export, folder, call.terminal, dry_run=flags.dry_run)
    if flags.to == "hub" and not flags.dry_run:
        _push(call, source.root.name, folder, export)
    return 0


def _check(flags: Flags, words: list[str]) -> None:
    for name in ("emotions", "layers", "dose", "repo", "public", "without_texts", "vectors"):
        takers = [format_name for format_name, kind in FORMATS.items() if name in kind.takes]
        if name in flags.model_fields_set and flags.to not in takers:
            known = ", ".join(takers)
            raise InvalidInput(
                f"export: --{name} has no meaning for {flags.to}; it belongs to {known}."
            )
    if len(words) != 1:
        got = " ".join(words) or "none"
        raise InvalidInput(f"export: expected one run, its folder or its config, got {got}.")
    if flags.repo is not None:
        check_repo(flags.repo)
    elif flags.to == "hub" and not flags.dry_run:
        raise InvalidInput(
            "export --to=hub: expected --repo=user/name, where vectors (a model) and corpus (a "
            "dataset) are pushed; --dry-run shows what that would be."
        )


def _show(export: ExportFiles, folder: Path, terminal: Terminal, *, dry_run: bool) -> None:
    sizes = {name: len(content) for name, content in export.files.items()}
    rows = [(name, file_size(size)) for name, size in sizes.items()]
    rows.append(("together", file_size(sum(sizes.values()))))
    terminal.table("what would be written" if dry_run else "written", rows)
    terminal.text(f"in {folder}")
    where = {"folder": str(folder), "written": not dry_run}
    terminal.result({**where, "bytes": sizes, "notices": export.notices})
    if dry_run:
        for name, content in export.files.items():
            if name.endswith(("README.md", ".yaml")):
                terminal.text(f"--- {name} ---\n{content.decode()}")
    for notice in export.notices:
        terminal.note(notice)


def _push(call: Call[Flags], name: str, folder: Path, export: ExportFiles) -> None:
    repo, terminal = call.flags.repo or "", call.terminal
    pushed: dict[str, str] = {}
    kinds: list[tuple[hub.Kind, str]] = [("model", "vectors"), ("dataset", "corpus")]
    for kind, what in kinds:
        files = [n.removeprefix(f"{kind}/") for n in export.files if n.startswith(f"{kind}/")]
        if not files:
            continue
        message, public = f"Add the emotion {what} of {name}", call.flags.public
        pushed[kind] = hub.push(folder / kind, files, repo, kind, message, public=public)
        terminal.note(f"pushed {what} to {kind} {repo}: {pushed[kind]}")
    terminal.result({"pushed": pushed})
    terminal.note(f'load them with EmotionVectors.load("hf://{repo}")')
