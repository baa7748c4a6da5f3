"""The Hugging Face hub: fetch one file, push one folder. Everything else of it is elsewhere.

Contract
--------
* `huggingface_hub` does the work: its cache, its login, its ``HF_ENDPOINT`` and ``HF_HUB_OFFLINE``.
* A new repository is private unless asked otherwise; one that exists keeps its visibility.
"""

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeGuard

from hooks.errors import DataError, EmotionLensError, InvalidInput

PREFIX = "hf://"
Kind = Literal["model", "dataset"]


class HubError(EmotionLensError, OSError):
    """The hub refused, or was not reached."""


def is_hub(path: object) -> TypeGuard[str]:
    """Whether a path names a repository on the hub."""
    return isinstance(path, str) and path.startswith(PREFIX)


def parse(uri: str) -> tuple[str, str | None]:
    """Split ``hf://user/repo@revision`` into repository and revision.

    Raises
    ------
    InvalidInput
        For anything else.
    """
    address = re.fullmatch(r"hf://([^/@\s]+/[^/@\s]+)(?:@(\S+))?", uri)
    if address is None:
        raise InvalidInput(f"expected hf://user/repo or hf://user/repo@revision, got {uri!r}.")
    return check_repo(address[1]), address[2]


def check_repo(repo: str) -> str:
    """Return a repository's id, checked.

    Raises
    ------
    InvalidInput
        When it is not ``user/name``.
    """
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
    """Download one file of a model repository, or find it in the hub's cache.

    Parameters
    ----------
    uri
        ``hf://user/repo``, with ``@revision`` for a branch, tag or commit.
    file
        Its path in the repository.

    Raises
    ------
    InvalidInput
        When the address is none.
    DataError
        When repository, revision or file is not there.
    HubError
        When the hub was not reached.
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
            f"{uri} has no {file} that you may read ({_first_line(error)}). Check its name and "
            "revision; a private repository needs `hf auth login`."
        ) from error
    except (OSError, httpx.HTTPError) as error:
        raise HubError(
            f"could not fetch {file} of {uri}: {_first_line(error)} It is not in the cache; check "
            "the network, and that HF_HUB_OFFLINE is not set."
        ) from error


def push(
    folder: Path,
    files: Sequence[str],
    repo: str,
    kind: Kind,
    message: str,
    *,
    public: bool = False,
) -> str:
    """Upload files of a folder as one commit, making the repository where there is none.

    Parameters
    ----------
    folder
        Where the files are; whatever else lies there stays on this machine.
    files
        Their paths below the folder, which become those in the repository.
    repo
        ``user/name``.
    kind
        ``"model"`` or ``"dataset"``.
    message
        The commit's message.
    public
        Whether a new repository is public.

    Returns
    -------
    str
        The commit's address.

    Raises
    ------
    HubError
        When the hub refused or was not reached; nothing or everything is there.
    """
    import httpx
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repo, repo_type=kind, private=not public, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            repo_type=kind,
            commit_message=message,
            allow_patterns=[glob.escape(file) for file in files],
        )
    except (OSError, httpx.HTTPError) as error:
        raise HubError(
            f"could not push {folder} to {kind} {repo}: {_first_line(error)} Log in with `hf auth "
            "login` (a token that may write), check the network, and run the same command again."
        ) from error
    return str(done.commit_url)


def _first_line(error: BaseException) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if line.endswith(".") else f"{line}."
