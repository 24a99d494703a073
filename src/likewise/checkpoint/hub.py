"""The Hugging Face Hub: put a model's folder there, and say in words why the Hub refuses something."""

import os
from pathlib import Path

LOG_IN = "give token=, set HF_TOKEN, or log in with `hf auth login`"


def push_folder(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    token: str | None = None,
    private: bool | None = None,
    commit_message: str = "Add a model",
    commit_description: str | None = None,
    exist_ok: bool = False,
    replace_model_card: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
) -> str:
    """Upload all files of ``folder`` to the model repository ``repo_id``; returns the address of the commit.

    The repository is made, ``private`` or as its owner's settings say. One that exists is an error unless ``exist_ok``
    or ``create_pr``. A README.md that is there stays unless ``replace_model_card``. ``revision`` is the branch to
    upload to, made where there is none. ``create_pr`` opens a pull request; the address is then that of the request.

    Raises:
        PermissionError: There is no token, or it may not write there.
        FileExistsError: The repository exists.
        ConnectionError: The Hub is not reached, or it fails.
        NotADirectoryError: There is no such folder.
        ValueError: ``repo_id`` is no name that a repository can have, or both a branch and a request are wanted.
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HFValidationError

    if not Path(folder).is_dir():
        raise NotADirectoryError(f"{os.fspath(folder)} is not a folder, so it cannot be pushed")
    if create_pr and revision is not None:
        raise ValueError(f"a pull request is one to the main branch; leave out create_pr or revision={revision!r}")
    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("nothing can be pushed: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it")
    if token is None and get_token() is None:
        raise PermissionError(f"pushing to the Hub needs a token with the right to write: {LOG_IN}")
    hub = HfApi(token=token, library_name="likewise")
    try:
        # The Hub gives back the whole name, where the user's own organisation was left out.
        repo_id = hub.create_repo(repo_id, private=private, exist_ok=exist_ok or create_pr).repo_id
        if revision is not None:
            hub.create_branch(repo_id, branch=revision, exist_ok=True)
        keeps_card = not replace_model_card and hub.file_exists(repo_id, "README.md", revision=revision)
        commit = hub.upload_folder(
            repo_id=repo_id,
            folder_path=Path(folder),
            commit_message=commit_message,
            commit_description=commit_description,
            revision=revision,
            create_pr=create_pr,
            ignore_patterns=["README.md"] if keeps_card else None,
        )
    except HFValidationError as error:
        raise ValueError(f"{repo_id!r} cannot be the name of a repository: {error}") from error
    except Exception as error:  # each version of huggingface_hub has its own kinds, of the HTTP client that it uses
        if _status(error) == 409 and not (exist_ok or create_pr):
            raise FileExistsError(f"{repo_id} exists; to add to it, give exist_ok=True or create_pr=True") from error
        kind = PermissionError if _status(error) in (401, 403, 404) else ConnectionError
        raise kind(f"{repo_id} was not pushed: {in_words(error, repo_id, revision)}") from error
    return str(commit.pr_url or commit.commit_url)  # no request is opened where nothing has changed


def in_words(error: Exception, repository: str, revision: str | None) -> str:
    """Why something failed with ``repository``, on one line, and what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return f"it is gated: ask for access at https://huggingface.co/{repository}, then {LOG_IN}"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub has no such repository, or it is private; for a private one {LOG_IN}"
    if isinstance(error, RevisionNotFoundError):
        return f"it has no branch, tag or commit {revision!r}"
    if _status(error) == 401:
        return f"the Hub does not know the token; {LOG_IN}"
    if _status(error) == 403:
        return "the token has not the right to do this; make one that has at https://huggingface.co/settings/tokens"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _status(error: Exception) -> int | None:
    """The HTTP status of the Hub's answer, where the error is one."""
    return getattr(getattr(error, "response", None), "status_code", None)
