"""A finished run's numbers and figures, sent to wandb by way of the run's folder ``wandb``."""

import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from hooks.errors import InvalidInput

Mode = Literal["offline", "online"]


def flat_numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return every number of a nested mapping by its path, keys joined by slashes."""
    flat: dict[str, float] = {}
    for key, value in values.items():
        path = f"{prefix}/{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            flat |= flat_numbers(value, path)
        elif isinstance(value, numbers.Real) and not isinstance(value, bool):
            flat[path] = float(value)
    return flat


def send(
    folder: Path, name: str, project: str, mode: Mode, config: Mapping[str, Any], metrics: Any
) -> tuple[str, int]:
    """Send metrics and every PNG below ``figures/``; return the record's folder and how many."""
    try:
        import wandb
    except ImportError as error:
        raise InvalidInput(
            'tracking needs the extra "tracking": pip install "emotion-lens[tracking]".'
        ) from error
    figures = sorted((folder / "figures").glob("*.png"))
    quiet = wandb.Settings(console="off", silent=True)
    try:
        with wandb.init(
            project=project, name=name, mode=mode, dir=folder, config=dict(config), settings=quiet
        ) as run:
            run.log({**metrics, **{f"figures/{path.stem}": wandb.Image(path) for path in figures}})
            record = Path(run.dir).parent
    except wandb.Error as error:
        raise InvalidInput(f"track: wandb refused: {error}") from error
    return str(record), len(figures)
