"""Files over HTTP: downloads that go on where they were cut, and are never spliced from two versions of a file.

Place: `models` downloads a hub's file or a wheel through `download`; `pip_index` reads its pages through `get_page`.
A download grows in a `.part` file. Beside it, `.tag` has the ETag (or the date) of what it is a part of; a server is asked
to go on only if that is still the same (RFC 9110, 13.1.5). Credentials go to their own host only, and into no message.

It does not know what the files are, and it unpacks nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from sixfold.errors import ModelError

if TYPE_CHECKING:
    import httpx

Progress = Callable[[str, int, int], None]
"""Called with a stage (waiting, downloading, checking, unpacking, copying, converting), bytes done, bytes in all or 0."""
Room = Callable[[int, int], None]
"""Called with the bytes still to come and the bytes in all; raises where the disk has no room for them."""

_TRIES, _RETRY_WAIT_S, _LONGEST_WAIT_S, _TIMEOUT_S = 5, 0.5, 30.0, 30.0
_CHUNK_BYTES, _PAGE_BYTES = 1 << 20, 64 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Link:
    """A file to download. `help` is for when it is refused or not there; `auth` goes to its own host only; `cafile` has
    certificates to trust besides the usual ones."""

    url: str
    what: str
    help: str
    sha256: str | None = None
    size_bytes: int | None = None
    auth: str = ""
    cafile: str = ""


class _UnfinishedError(Exception):
    """A transfer that may go well at the next try."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def download(link: Link, part: Path, report: Progress, room: Room) -> str:
    """Bring a file to `part`, going on from what is there; returns its SHA-256 (hex).

    Raises `ModelError`. What is left then is either nothing or the beginning of the file, from which the next call goes on.
    """
    while True:
        resumed = size(part) > 0
        with _open_client(link) as client:
            wanted = _tried(lambda: _transfer(client, link, part, report, room), link, lambda: size(part))
        digest = hash_file(part, report)
        if wanted in (None, digest):
            return digest
        forget(part)
        if not resumed:
            raise ModelError(f"the SHA-256 of {link.what} is {digest}, and should be {wanted}", hint=link.help)


def get_page(link: Link, accept: str) -> tuple[str, str, str]:
    """A small text: its content type, itself, and the address that it came from in the end."""

    def get() -> tuple[str, str, str]:
        import httpx

        text = bytearray()
        try:
            with client.stream("GET", link.url, headers=_headers(link) | {"Accept": accept}) as response:
                _check(response, link)
                for chunk in response.iter_bytes():
                    text.extend(chunk)
                    if len(text) > _PAGE_BYTES:
                        raise ModelError(f"{shown(link.url)} is too long to be an index page", hint=link.help)
        except httpx.RequestError as error:
            raise _UnfinishedError(str(error) or type(error).__name__) from error
        return response.headers.get("content-type", "").lower(), text.decode("utf-8", "replace"), str(response.url)

    with _open_client(link) as client:
        return _tried(get, link, lambda: 0)


def hash_file(path: Path, report: Progress) -> str:
    """The SHA-256 (hex) of a file."""
    digest, done, total = hashlib.sha256(), 0, size(path)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            report("checking", done, total)
    return digest.hexdigest()


def size(path: Path) -> int:
    """The bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def forget(part: Path) -> None:
    """Delete an unfinished download."""
    part.unlink(missing_ok=True)
    _tag_path(part).unlink(missing_ok=True)


def origin(url: str) -> tuple[str, str, int]:
    """What credentials belong to: scheme, host and port.

    >>> origin("https://me:secret@Example.org/simple") == origin("https://example.org:443/x")
    True
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def shown(url: str) -> str:
    """An address without what must not be shown.

    >>> shown("https://me:secret@example.org/a?signature=b")
    'https://example.org/a'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _open_client(link: Link) -> httpx.Client:
    import httpx

    try:
        if origin(link.url)[0] not in ("http", "https") or not httpx.URL(link.url).host:
            raise ValueError
    except (ValueError, httpx.InvalidURL):
        raise ModelError(f"{shown(link.url)} is no address of a web server", hint=link.help) from None
    try:
        context = httpx.create_ssl_context()
        if link.cafile:
            context.load_verify_locations(cafile=link.cafile)
        return httpx.Client(verify=context, follow_redirects=True, timeout=_TIMEOUT_S)
    except OSError as error:
        files = "SSL_CERT_FILE, SSL_CERT_DIR and PIP_CERT"
        raise ModelError(f"the certificates cannot be read: {error}", hint=f"correct {files}") from error
    except (ImportError, ValueError, httpx.InvalidURL):
        hint = "correct HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; only http:// proxies need no further package"
        raise ModelError("the proxy that the environment sets cannot be used", hint=hint) from None


def _headers(link: Link) -> dict[str, str]:
    # httpx drops this one when it is redirected to another host.
    return {"Authorization": link.auth} if link.auth else {}


def _tried(action: Callable[[], _T], link: Link, progress: Callable[[], int]) -> _T:
    """Repeat what may go well the next time; tries that brought something do not count."""
    failures, best = 0, progress()
    while True:
        try:
            return action()
        except _UnfinishedError as error:
            failures = 1 if progress() - best >= _CHUNK_BYTES else failures + 1
            best = max(best, progress())
            if failures >= _TRIES:
                raise ModelError(
                    f"{link.what} could not be fetched from {shown(link.url)}: {error}",
                    hint="check the network and any proxy, and pull again: a download goes on from where it was cut",
                ) from error
            time.sleep(min(error.wait_s or _RETRY_WAIT_S * 2 ** (failures - 1), _LONGEST_WAIT_S))


def _transfer(client: httpx.Client, link: Link, part: Path, report: Progress, room: Room) -> str | None:
    """One try. Returns the SHA-256 that the whole should have, as far as that is known."""
    import httpx

    have, tag = size(part), _read_tag(part)
    if have and not (tag or link.sha256):
        forget(part)
        have = 0
    headers = _headers(link) | {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={have}-"} if have else {}
    headers |= {"If-Range": tag} if have and tag else {}
    try:
        with client.stream("GET", link.url, headers=headers) as response:
            if have and response.status_code == 416:
                if response.headers.get("content-range", "").strip() == f"bytes */{have}":
                    return link.sha256 or _linked_sha256(response, link)
                forget(part)
                raise _UnfinishedError("the file is shorter than what there is of it")
            _check(response, link)
            _check_kind(response, link)
            start, total = _span(response, have, tag, part)
            if total and link.size_bytes and total != link.size_bytes:
                raise ModelError(f"{link.what} has {total} bytes and should have {link.size_bytes}", hint=link.help)
            room(total - start if total else 0, total)
            _append(response, part, start, total, report)
            return link.sha256 or _linked_sha256(response, link)
    except httpx.RequestError as error:
        raise _UnfinishedError(str(error) or type(error).__name__) from error


def _append(response: httpx.Response, part: Path, start: int, total: int, report: Progress) -> None:
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        if not start:
            _tag_path(part).write_text(_validator(response), encoding="utf-8")
        for chunk in response.iter_raw():
            file.write(chunk)
            done += len(chunk)
            report("downloading", done, total)
        file.flush()
        os.fsync(file.fileno())
    if total and done != total:
        raise _UnfinishedError(f"{done} of {total} bytes came")


def _span(response: httpx.Response, have: int, tag: str, part: Path) -> tuple[int, int]:
    """Where an answer's bytes begin in the file, and the file's size, 0 where it is not said."""
    if response.status_code != 206:
        length = response.headers.get("content-length", "")
        return 0, int(length) if length.isdecimal() else 0
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("content-range", "").strip())
    now = _validator(response)
    if not span or int(span[1]) != have or (tag and now and now != tag):
        forget(part)
        raise _UnfinishedError("the file changed, or the server sent another part of it than was asked for")
    return have, int(span[2]) if span[2] != "*" else 0


def _check(response: httpx.Response, link: Link) -> None:
    """Raises `ModelError` for an answer that will not change, `_UnfinishedError` for one that may."""
    status, where = response.status_code, shown(str(response.url))
    if status in (408, 425, 429) or status >= 500:
        wait = response.headers.get("retry-after", "")
        raise _UnfinishedError(f"the server answered {status}", float(wait) if wait.isdecimal() else 0.0)
    if response.url.scheme != "https" and origin(link.url)[0] == "https":
        raise ModelError(f"{link.what} is redirected to {where}, which is not encrypted", hint=link.help)
    if status not in (200, 206):
        problem = {401: "asks for a key", 403: "refuses access", 404: "has no such file"}.get(status, "refuses")
        raise ModelError(f"{link.what} cannot be fetched: {where} {problem} ({status})", hint=link.help)


def _check_kind(response: httpx.Response, link: Link) -> None:
    if response.headers.get("content-type", "").lower().startswith("text/html"):
        raise ModelError(
            f"{shown(str(response.url))} answers with a web page instead of {link.what}",
            hint=f"a proxy or a login page may be in the way; {link.help}",
        )
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise ModelError(f"{shown(str(response.url))} sends {link.what} compressed again", hint=link.help)


def _linked_sha256(response: httpx.Response, link: Link) -> str | None:
    """What the Hugging Face hub says the SHA-256 of a large file is, in the answer that redirects to its store."""
    for answer in (*response.history, response):
        value = str(answer.headers.get("x-linked-etag", "")).strip('"')
        if _SHA256.fullmatch(value) and origin(str(answer.url)) == origin(link.url):
            return value
    return None


def _validator(response: httpx.Response) -> str:
    """What tells two versions of a file apart. A weak ETag does not."""
    tag, date = (str(response.headers.get(name, "")).strip() for name in ("etag", "last-modified"))
    return tag if tag.startswith('"') else date


def _tag_path(part: Path) -> Path:
    return part.with_name(part.name.removesuffix(".part") + ".tag")


def _read_tag(part: Path) -> str:
    try:
        tag = _tag_path(part).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return tag if tag.isascii() and tag.isprintable() else ""
