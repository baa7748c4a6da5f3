"""Files of the Hugging Face hub, by `huggingface_hub`; `probes.export.hub` pushes."""

import re
from pathlib import Path
from typing import TypeGuard

from hooks.errors import DataError, EmotionLensError, InvalidInput

PREFIX = "hf://"


class HubError(EmotionLensError, OSError):
    """The hub refused, or was not reached."""


def is_hub(path: object) -> TypeGuard[str]:
    """Whether a path names a repository on the hub."""
    return isinstance(path, str) and path.startswith(PREFIX)


def parse(uri: str) -> tuple[str, str | None]:
    """Split ``hf://user/repo@revision`` into repository and revision, or InvalidInput."""
    parts = re.fullmatch(r"hf://([^/@\s]+/[^/@\s]+)(?:@(\S+))?", uri)
    if parts is None:
        raise InvalidInput(f"expected hf://user/repo or hf://user/repo@revision, got {uri!r}.")
    return check_repo(parts[1]), parts[2]


def check_repo(repo: str) -> str:
    """Return a repository's id; InvalidInput when it is not ``user/name``."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InvalidInput(f"expected a repository user/name, got {repo!r}: {error}") from error
    if repo.count("/") != 1:
        raise InvalidInput(f"expected a repository user/name, got {repo!r}.")
    return repo


def fetch(uri: str, file: str) -> Path:
    """Download one file of a model repository (`hf://user/repo@revision`), or find it in the cache.

    Raises InvalidInput for no address, DataError when repository, revision or file is not there,
    HubError when the hub was not reached.
    """
    import httpx
    from huggingface_hub import errors, hf_hub_download

    repo, revision = parse(uri)
    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.RemoteEntryNotFoundError,
    ) as error:
        raise DataError(
            f"{uri} has no {file} that you may read ({first_line(error)}). Check its name and "
            "revision; a private repository needs `hf auth login`."
        ) from error
    except (OSError, httpx.HTTPError) as error:
        raise HubError(
            f"could not fetch {file} of {uri}: {first_line(error)} It is not in the cache; check "
            "the network, and that HF_HUB_OFFLINE is not set."
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, as a sentence."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if line.endswith(".") else f"{line}."
