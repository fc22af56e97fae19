"""Open a dataset as a stream of rows; what the libraries say when they can't, in our words."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError, SourceError
from domainforge.files import file_hash, find_file
from domainforge.records import canonical_json, text_hash
from domainforge.sources.hub_datasets.config import DatasetConfig

_HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_NO_FOLDER = "no folder of that name is in the project"
_SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` writes


@dataclass(frozen=True)
class Place:
    """Where a dataset is.

    Attributes:
        folder: On this machine; None: on the Hub.
        token: For the Hub; goes nowhere else.
    """

    config: DatasetConfig
    folder: Path | None
    token: str | None

    @property
    def label(self) -> str:
        """Its name in uris, which says nothing of the machine."""
        return self.folder.name if self.folder is not None else self.config.name


def find_place(config: DatasetConfig, project: Path) -> Place:
    """Return where a dataset is, without asking the Hub.

    Raises:
        ConfigError: The token's variable is not set.
        SourceError: No such folder, and no name that the Hub could have.
    """
    folder = find_file(config.name, project)
    if folder.is_dir():
        return Place(config, folder.resolve(), None)
    if folder.exists() or not _HUB_NAME.fullmatch(config.name) or config.name.startswith("."):
        kind = "a file; read it with `files:`" if folder.exists() else "no folder there"
        raise SourceError(
            f"sources: dataset: {config.name}: {kind} (looked in {project}); write a folder "
            "relative to the project folder, or owner/name of a dataset on the Hub"
        )
    token = None
    if config.token_env is not None:
        token = os.environ.get(config.token_env)
        if not token:
            raise ConfigError(
                f"sources: dataset: the environment variable {config.token_env} is not set; it "
                "holds the Hub token"
            )
    return Place(config, None, token)


def folder_state(folder: Path) -> str:
    """Return a hash of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return text_hash(
        canonical_json([[path.relative_to(folder).as_posix(), file_hash(path)] for path in files])
    )


def find_revision(place: Place) -> str:
    """Return what changes when the dataset does: the Hub's commit, or the hash of the folder.

    Raises:
        SourceError: The Hub has no such dataset or revision, or can't be reached.
    """
    if place.folder is not None:
        return folder_state(place.folder)
    from huggingface_hub import HfApi

    with told(place):
        info = HfApi(token=place.token).dataset_info(
            place.config.name, revision=place.config.revision
        )
    return str(info.sha)


def open_dataset(place: Place, revision: str) -> Any:
    """Return the dataset as an `IterableDataset` of one split; images and sound stay encoded.

    Raises:
        SourceError: It can't be opened: gated, no such configuration or split, a script.
    """
    with told(place):
        splits = _load(place, revision)
        names = sorted(map(str, splits))
        wanted = place.config.split or ("train" if "train" in names else names[0])
        if wanted not in names or (place.config.split is None and wanted != "train" and names[1:]):
            raise SourceError(
                f"sources: dataset: {place.config.name}: "
                + (f"no split '{wanted}'" if wanted not in names else "it has several splits")
                + f"; there are: {', '.join(names)}"
            )
        found = splits[wanted]
        # CSV and text have no types before they are read, and so no pictures to leave encoded.
        return found if found.features is None else found.decode(False)


@contextmanager
def told(place: Place, after_rows: int = 0) -> Iterator[None]:
    """Turn what the libraries raise into an error that says what to do.

    Raises:
        SourceError: In the place of any of theirs.
    """
    import pyarrow as pa
    from datasets.exceptions import DatasetsError
    from httpx2 import HTTPError

    # HTTPError is what the Hub's own errors and those of the line have in common.
    broken = (DatasetsError, HTTPError, pa.ArrowException, OSError, ValueError, RuntimeError)
    try:
        yield
    except (*broken, KeyError, TypeError, AttributeError, EOFError) as error:
        raise _explain(error, place, after_rows) from None


def _load(place: Place, revision: str) -> Any:
    from datasets import DatasetDict, load_dataset, load_from_disk

    config = place.config
    if place.folder is None:
        return load_dataset(
            config.name, name=config.config, revision=revision, streaming=True, token=place.token
        )
    if not any((place.folder / name).is_file() for name in _SAVED):
        return load_dataset(str(place.folder), name=config.config, streaming=True)
    saved = load_from_disk(str(place.folder))
    if not isinstance(saved, DatasetDict):
        saved = {str(saved.split or "train"): saved}
    return {name: part.to_iterable_dataset() for name, part in saved.items()}


def _explain(error: Exception, place: Place, after_rows: int) -> SourceError:
    said = " ".join(str(error).split()) or type(error).__name__
    # The Hub's own texts go on with how to log in and the number of the request.
    said = re.split(r" ?(?:\(Request ID| for url: | Please make sure| If you are trying)", said)[0]
    if place.token:
        said = said.replace(place.token, "[token removed]")
    if place.folder is not None:
        said = said.replace(f"{place.folder.parent}/", "")
    where = f" after {after_rows:,} rows" if after_rows else ""
    advice = _advise(said, type(error).__name__, place)
    return SourceError(f"sources: dataset: {place.config.name}{where}: {said[:400]}; {advice}")


def _advise(said: str, kind: str, place: Place) -> str:
    low = said.lower()
    token = "name the variable of a token that may read it in `token_env`"
    if place.token:
        token = f"the token in {place.config.token_env} may not read it"
    if kind == "GatedRepoError" or "is a gated dataset" in low:
        return f"accept its terms on its page, and {token}"
    if kind == "RevisionNotFoundError":
        return "check `revision`: a branch, tag or commit"
    if kind == "OfflineModeIsEnabled" or "hf_hub_offline" in low:
        return "unset HF_HUB_OFFLINE to reach the Hub, or name a folder"
    if kind == "RepositoryNotFoundError" or "doesn't exist on the hub" in low:
        return f"check its name ({_NO_FOLDER}); if it is private, {token}"
    if "builderconfig" in low or "config name is missing" in low:
        return "set `config` to one of these"
    if "scripts are no longer supported" in low:
        return "DomainForge runs no code of a dataset; look for one in Parquet"
    if "data files" in low or "data file" in low:
        return "a folder needs files that a dataset is made of: Parquet, JSON lines, CSV, text"
    if kind.endswith(("ConnectionError", "ConnectError", "Timeout", "ProtocolError", "ReadError")):
        where = "" if place.folder is not None else f" ({_NO_FOLDER})"
        return f"is the Hub reachable?{where} The same command goes on from there"
    return "mend it, or leave it out, and run the same command again"
