"""A folder of files pushed to the Hugging Face hub, as one commit; new repositories are private."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from probes.vectors.hub import HubError, first_line

Kind = Literal["model", "dataset"]


def push(
    folder: Path, files: Sequence[str], repo: str, kind: Kind, message: str, *, public: bool = False
) -> str:
    """Upload files of a folder as one commit; a repository (``user/name``) is made if missing.

    Returns the commit's address; raises HubError when the hub refused or was not reached.
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
            f"could not push {folder} to {kind} {repo}: {first_line(error)} Log in with `hf auth "
            "login` (a token that may write), check the network, and run the same command again."
        ) from error
    return str(done.commit_url)
