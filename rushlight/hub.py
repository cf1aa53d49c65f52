"""`torch.hub`: models by download. Nothing is downloaded here: what lies in the folder already is used, or an error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse

import rushlight

_folder: str | None = None


def get_dir() -> str:
    """The folder of models: `$TORCH_HOME/hub`, or what `set_dir` said."""
    if _folder is not None:
        return _folder
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    return os.path.join(os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Chooses the folder of models."""
    global _folder
    _folder = os.path.expanduser(d)


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True, check_hash: bool = False,
    file_name: str | None = None, weights_only: bool = False,
) -> Any:  # fmt: skip
    """Loads the file that PyTorch would have downloaded, from `model_dir` or the `checkpoints` of the folder of models.

    Raises:
        RuntimeError: it is not there.
    """
    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    path = folder / (file_name or os.path.basename(urlparse(url).path))
    if not path.exists():
        raise RuntimeError(f"rushlight downloads nothing. Fetch {url} and put it at {path}, then this call loads it.")
    return rushlight.load(path, map_location=map_location)


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(
        f"torch.hub.{what}: rushlight neither downloads nor runs code of repositories. Copy the model's source beside "
        "your program, and load its weights by torch.load or torch.hub.load_state_dict_from_url."
    )


def load(repo_or_dir: str, model: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Models of repositories, which are not run here."""
    _refuse("load")


def list(github: str, *args: Any, **kwargs: Any) -> NoReturn:
    """The models of a repository, which are not looked at here."""
    _refuse("list")


def help(github: str, model: str, *args: Any, **kwargs: Any) -> NoReturn:
    """What a repository says of a model, which is not looked at here."""
    _refuse("help")


def download_url_to_file(url: str, dst: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Downloads, which are not made here."""
    raise RuntimeError(f"rushlight downloads nothing. Fetch {url} and put it at {dst}.")
