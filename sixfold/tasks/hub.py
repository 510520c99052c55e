"""Rows of a data set on the Hugging Face hub, at one commit of it.

Place: `benchmarks.py` reads a set here when no folder has it (`local.py`). A file is downloaded once, to `<home>/data/hub`, and
read row by row. A set without a pinned revision is resolved once; the commit, the files that a pattern means, and the SHA-256
of every file read are written to `<home>/data/revisions.json`, and what differs from it later is refused. It runs no code of a
set and knows nothing of what rows mean.

Environment: HF_TOKEN or HF_TOKEN_PATH (else `token` under HF_HOME), HF_ENDPOINT, HF_HUB_OFFLINE, and httpx's for proxies.
"""

from __future__ import annotations

import csv
import fcntl
import gzip
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from sixfold.config import home_dir
from sixfold.core import Split
from sixfold.errors import TaskError

FOLDER_HINT = "set SIXFOLD_DATA to a folder that has the set"
_COMMIT = re.compile("[0-9a-f]{40}")
_BATCH_ROWS = 64
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Repo:
    """Where a set lies. `files` are paths or patterns (`*` stands for anything) for each split; `revision` is a commit (40 hex
    digits) or `None`: the newest at the first use, and from then on that one. `access` says how a gated set is got at."""

    name: str
    files: Mapping[Split, tuple[str, ...]]
    revision: str | None = None
    access: str = ""

    @property
    def page(self) -> str:
        return f"{_endpoint()}/datasets/{self.name}"


def commit_of(repo: Repo) -> str:
    """The commit that is read: the pinned one, else the recorded one, else the newest, which is then recorded."""
    if repo.revision:
        return repo.revision
    recorded = _read_record().get(repo.name, {}).get("revision")
    if isinstance(recorded, str):
        return recorded
    hub = _import_hub()
    if not _reachable(_endpoint()):
        raise _out_of_reach(repo.name)
    try:
        commit = hub.HfApi(endpoint=_endpoint(), token=_token()).dataset_info(repo.name, revision="main").sha
    except Exception as error:  # its HTTP library, and so what it raises, changes with its version
        raise _explained(repo, error) from error
    if not _COMMIT.fullmatch(str(commit)):
        raise TaskError(f"{repo.name} has no commit", hint=f"look at {repo.page}, or {FOLDER_HINT}")
    with _record() as record:
        # Another process may have been first; then all go on with its commit.
        return str(record.setdefault(repo.name, {}).setdefault("revision", commit))


def recorded_commit(repo: Repo) -> str | None:
    """The same without asking the hub: `None` where that would be needed."""
    return repo.revision or _read_record().get(repo.name, {}).get("revision")


def read(repo: Repo, split: Split) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Path, number within the file and content of every row of a split, file by file.

    Raises `TaskError` where a file cannot be had, is not what it was, or cannot be read.
    """
    commit = commit_of(repo)
    for path in _paths(repo, repo.files[split], commit):
        file = _file(repo, path, commit)
        try:
            for index, row in enumerate(read_rows(file, path)):
                yield path, index, row
        except (OSError, ValueError, csv.Error) as error:
            raise TaskError(
                f"{path} of {repo.name} cannot be read: {error}", hint=f"delete {file} and load it again"
            ) from error


def read_rows(file: Path, name: str = "") -> Iterator[dict[str, Any]]:
    """Rows of a .parquet, .jsonl, .json, .csv or .tsv file (.gz as well), as the end of its `name` says; a JSON file may hold a
    list, or an object with one list. Raises `ValueError` for another kind or content."""
    name = (name or file.name).lower()
    if name.endswith(".parquet"):
        yield from _parquet(file)
        return
    plain = name.removesuffix(".gz")
    with gzip.open(file, "rt", encoding="utf-8") if plain != name else file.open(encoding="utf-8", newline="") as lines:
        if plain.endswith((".jsonl", ".ndjson")):
            yield from (_object(json.loads(line)) for line in lines if line.strip())
        elif plain.endswith(".json"):
            content = json.load(lines)
            lists = [value for value in content.values() if isinstance(value, list)] if isinstance(content, dict) else [content]
            if len(lists) != 1 or not isinstance(lists[0], list):
                raise ValueError("it holds no list of rows")
            yield from map(_object, lists[0])
        elif plain.endswith((".csv", ".tsv")):
            yield from csv.DictReader(lines, delimiter="\t" if plain.endswith(".tsv") else ",")
        else:
            raise ValueError(f"files like {name} are not known")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a row is no object")
    return value


def _parquet(file: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise _missing_extra("pyarrow") from error
    with pyarrow.parquet.ParquetFile(file) as source:
        for batch in source.iter_batches(batch_size=_BATCH_ROWS):
            yield from batch.to_pylist()


def _paths(repo: Repo, patterns: tuple[str, ...], commit: str) -> list[str]:
    """The files that paths and patterns mean, in order."""
    paths: list[str] = []
    for pattern in patterns:
        if "*" not in pattern:
            paths.append(pattern)
            continue
        known = _read_record().get(repo.name, {}).get("listed", {}).get(f"{commit}:{pattern}")
        paths += known if isinstance(known, list) else _listed(repo, pattern, commit)
    return paths


def _listed(repo: Repo, pattern: str, commit: str) -> list[str]:
    hub = _import_hub()
    if not _reachable(_endpoint()):
        raise _out_of_reach(repo.name)
    try:
        files = hub.HfApi(endpoint=_endpoint(), token=_token()).list_repo_files(repo.name, revision=commit, repo_type="dataset")
    except Exception as error:  # its HTTP library, and so what it raises, changes with its version
        raise _explained(repo, error) from error
    found = sorted(file for file in files if fnmatch(file, pattern))
    if not found:
        raise TaskError(f"{repo.name} has no file {pattern} at {commit}", hint=f"look at {repo.page}, or {FOLDER_HINT}")
    with _record() as record:
        record.setdefault(repo.name, {}).setdefault("listed", {})[f"{commit}:{pattern}"] = found
    return found


def _file(repo: Repo, path: str, commit: str) -> Path:
    """A file of the set on this disk: from the cache without a request, where it is there."""
    hub, cache_dir = _import_hub(), home_dir() / "data" / "hub"
    cached = hub.try_to_load_from_cache(repo.name, path, cache_dir=cache_dir, revision=commit, repo_type="dataset")
    if not isinstance(cached, str) and not _reachable(_endpoint()):
        raise _out_of_reach(f"{path} of {repo.name}")
    try:
        file = Path(
            hub.hf_hub_download(
                repo.name, path, repo_type="dataset", revision=commit, endpoint=_endpoint(), token=_token(),
                cache_dir=cache_dir,
            )
        )  # fmt: skip
    except Exception as error:  # its HTTP library, and so what it raises, changes with its version
        raise _explained(repo, error, path) from error
    if commit not in file.parts:
        raise TaskError(f"{_endpoint()} gave another commit of {repo.name} than {commit}", hint="unset HF_ENDPOINT")
    digest = _sha256(file)
    with _record() as record:
        known = record.setdefault(repo.name, {}).setdefault("files", {}).setdefault(f"{commit}:{path}", digest)
    if known != digest:
        raise TaskError(
            f"{path} of {repo.name} is not what it was: its SHA-256 is {digest}, not {known}",
            hint=f"delete {file}; if it was meant to change, delete {repo.name} in {_record_path()} too",
        )
    return file


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _reachable(endpoint: str) -> bool:
    """Whether anything answers there, asked once: the hub's own library tries for half a minute, for every file."""
    import httpx

    try:
        httpx.head(endpoint, timeout=10.0)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return False
    except httpx.HTTPError:
        pass
    return True


def _out_of_reach(what: str) -> TaskError:
    return TaskError(
        f"{what} is not on this disk, and {_endpoint()} cannot be reached", hint=f"check the network, or {FOLDER_HINT}"
    )


def _explained(repo: Repo, error: Exception, path: str = "") -> TaskError:
    """What went wrong at the hub, and what to do. The order matters: a gated set is also one that is not found."""
    errors = _import_hub().errors
    what, status = path or repo.name, getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or (repo.access and status in (401, 403)):
        done = "HF_TOKEN is set, but this account has no access to it" if _token() else "no HF_TOKEN is set"
        hint = f"{repo.access or 'accept its terms'} at {repo.page}, then set HF_TOKEN; or {FOLDER_HINT}"
        return TaskError(f"{repo.name} is gated, and {done}", hint=hint)
    if isinstance(error, errors.RevisionNotFoundError):
        return TaskError(
            f"{repo.name} no longer has the revision {recorded_commit(repo)}",
            hint=f"look at {repo.page}; to take the newest, delete {repo.name} in {_record_path()}"
            if not repo.revision
            else f"look at {repo.page}, update this program, or {FOLDER_HINT}",
        )
    if (
        isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled)
        or type(error).__name__ == "ConnectError"
    ):
        return _out_of_reach(f"{path} of {repo.name}" if path else repo.name)
    if isinstance(error, errors.EntryNotFoundError):
        return TaskError(f"{repo.name} has no file {path}", hint=f"look at {repo.page}, or {FOLDER_HINT}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return TaskError(
            f"{_endpoint()} has no data set {repo.name}, or it is private", hint=f"look at {repo.page}, or {FOLDER_HINT}"
        )
    said = str(error).strip().splitlines() or [type(error).__name__]
    return TaskError(f"{what} cannot be fetched: {said[0][:300]}", hint=f"check network, proxy and disk, or {FOLDER_HINT}")


def _missing_extra(module: str) -> TaskError:
    return TaskError(f"{module} is not installed, which data sets need", hint=f"pip install 'sixfold[hub]', or {FOLDER_HINT}")


def _import_hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise _missing_extra("huggingface-hub") from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every retry; what came of them is told here
    return huggingface_hub


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _token() -> str | bool:
    """The user's token, or False: then none is sent, and none is looked for elsewhere."""
    token = os.environ.get("HF_TOKEN", "")
    if not token:
        home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
        try:
            token = Path(os.environ.get("HF_TOKEN_PATH") or f"{home}/token").expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, RuntimeError):
            return False
    token = token.strip()
    if not re.fullmatch("[!-~]*", token):
        raise TaskError("HF_TOKEN has characters that no token has", hint="set it again, without spaces or line ends")
    return token or False


def _record_path() -> Path:
    return home_dir() / "data" / "revisions.json"


def _read_record() -> dict[str, Any]:
    path = _record_path()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict) and all(isinstance(entry, dict) for entry in record.values()):
            return record
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        pass
    # To begin anew would be to accept changed data.
    raise TaskError(f"{path} cannot be read", hint="mend it, or delete it to accept the data sets as they are now")


@contextmanager
def _record() -> Iterator[dict[str, Any]]:
    """The record, to be changed by one process at a time; it is written where it has changed."""
    path = _record_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(".revisions.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = _read_record()
            before = json.dumps(record)
            yield record
            if json.dumps(record) != before:
                scratch = path.with_name(".revisions.json.tmp")
                scratch.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
                os.replace(scratch, path)
    except OSError as error:
        raise TaskError(f"{path} cannot be written: {error}", hint="free room on the disk, or set SIXFOLD_HOME") from error
