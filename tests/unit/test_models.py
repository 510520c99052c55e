"""The model store with local files: what is pulled, what is refused, and what a failure or a kill leaves behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tiny_gguf import largest_file, read_weights, write_tiny

from sixfold.engine import models
from sixfold.engine.models import find, list_models, pull, remove, verify
from sixfold.errors import ModelError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "Tiny.F32.gguf")
    return tmp_path / "Tiny.F32.gguf"


def files(home: Path) -> set[str]:
    """What is in the models folder, but for the lock."""
    return {path.name for path in (home / "models").glob("*")} - {".lock"}


def test_pull_converts_and_lists(home: Path, source: Path) -> None:
    stages: list[str] = []
    model = pull(str(source), home=home, progress=lambda stage, done, total: stages.append(stage))
    assert (model.name, model.gguf_type, model.licence) == ("tiny-q8_0", "Q8_0", "mit")
    assert model.origin == f"file:{source}"
    assert model.path == home / "models" / "tiny-q8_0.gguf"
    assert model.size_bytes == model.path.stat().st_size
    assert list(dict.fromkeys(stages)) == ["checking", "converting"]
    assert read_weights(model.path).keys() == read_weights(source).keys()
    assert list_models(home) == [model]
    assert files(home) == {"tiny-q8_0.gguf", "tiny-q8_0.json"}
    verify(model)


def test_pull_is_done_once(home: Path, source: Path) -> None:
    first, stages = pull(str(source), home=home), list[str]()
    assert pull(f"file:{source}", home=home, progress=lambda stage, done, total: stages.append(stage)) == first
    assert stages == []


def test_pull_again_after_the_source_changed(home: Path, source: Path) -> None:
    first = pull(str(source), home=home)
    write_tiny(source, seed=1)
    second = pull(str(source), home=home)
    assert first.sha256 != second.sha256
    verify(second)


def test_what_has_the_wanted_type_is_copied_as_it_is(home: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "a.gguf", "Q4_0", architecture="unheard-of")
    model, stages = pull(str(tmp_path / "a.gguf"), home=home, gguf_type="q4_0"), set[str]()
    assert model.path.read_bytes() == (tmp_path / "a.gguf").read_bytes()
    pull(str(tmp_path / "a.gguf"), home=home / "b", gguf_type="Q4_0", progress=lambda stage, *_: stages.add(stage))
    assert stages == {"checking", "copying"}


def test_an_unknown_architecture_is_not_converted_but_can_be_used_from_its_path(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    write_tiny(path, "F16", architecture="unheard-of")
    with pytest.raises(ModelError, match=f"'unheard-of', which cannot be converted to Q8_0.*\n.*give its path, {path}"):
        pull(str(path), home=home)
    assert files(home) == set()
    found = find(str(path), home)
    assert (found.name, found.path, found.gguf_type, found.sha256) == ("odd", path, "F16", "")
    verify(found)


def test_a_relative_path_is_found_from_anywhere(home: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source.parent)
    assert find(source.name, home).path == source


@pytest.mark.parametrize(
    ("extra", "problem"),
    [({"general.type": "adapter"}, "holds no model but 'adapter'"), ({"split.count": 3}, "one part of a model")],
)
def test_what_is_no_whole_model_is_refused(home: Path, source: Path, extra: dict[str, object], problem: str) -> None:
    write_tiny(source, extra=extra)
    with pytest.raises(ModelError, match=problem):
        pull(str(source), home=home)


@pytest.mark.parametrize("keep", [0, 3, 100, 20_000])
def test_a_truncated_file_is_refused(home: Path, source: Path, keep: int) -> None:
    os.truncate(source, keep)
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        pull(str(source), home=home)
    assert files(home) == set()


def test_a_wrong_hash_is_refused(home: Path, source: Path) -> None:
    with pytest.raises(ModelError, match=f"and should have {'0' * 64}"):
        pull(str(source), home=home, sha256="0" * 64)
    assert files(home) == set()


@pytest.mark.parametrize(
    ("spec", "options", "problem"),
    [
        ("smollm2-135m-instrct", {}, "did you mean smollm2-135m-instruct"),
        ("/nowhere/a.gguf", {}, "no known model and no file"),
        ("/", {}, "no known model and no file"),
        ("~nobody-of-that-name/a.gguf", {}, "no known model"),
        ("x" * 5000 + ".gguf", {}, "no known model"),
        ("a\0b.gguf", {}, "no known model"),
        ("hf:owner/repo:../../x.gguf", {}, "no known model"),
        ("hf:owner/repo", {}, "hf:OWNER/REPO:FILE.gguf"),
        ("smollm2-135m-instruct", {"gguf_type": "Q5_K"}, "use one of Q8_0, Q4_0, F16"),
        ("smollm2-135m-instruct", {"sha256": "12"}, "give 64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_meant_is_refused(home: Path, spec: str, options: dict[str, str], problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        pull(spec, home=home, **options)
    assert not home.exists()


def test_two_sources_do_not_share_a_name(home: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = shutil.copy(source, tmp_path / "b" / "tiny-f16.gguf")
    first = pull(str(source), home=home)
    with pytest.raises(ModelError, match="tiny-q8_0 is there, from file:"):
        pull(str(other), home=home)
    assert list_models(home) == [first]


def test_too_little_room_is_noticed_before_writing(home: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, models._SPARE_BYTES + 5000))
    with pytest.raises(ModelError, match=r"has 67 MB free, and 67 MB are needed\n  next: free some space"):
        pull(str(source), home=home)
    assert files(home) == set()


def test_a_disk_that_fills_up_while_writing_leaves_nothing(home: Path, source: Path) -> None:
    with largest_file(4096), pytest.raises(ModelError, match="is full"):
        pull(str(source), home=home)
    assert files(home) == set()
    verify(pull(str(source), home=home))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_at_the_end_leaves_the_old_model(
    home: Path, source: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = pull(str(source), home=home)
    write_tiny(source, seed=1)

    def refuse(number: int) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ModelError, match="is full"):
        pull(str(source), home=home)
    assert list_models(home) == [old]
    verify(old)


def make_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    for name in ("mkdir", "unlink", "write_text"):
        monkeypatch.setattr(Path, name, refuse)


def test_a_read_only_home_is_said(home: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_read_only(monkeypatch)
    with pytest.raises(ModelError, match=r"models may not be read or written\n.*SIXFOLD_HOME"):
        pull(str(source), home=home)


def test_a_read_only_home_serves_what_is_there(home: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pull(str(source), home=home)
    os.utime(model.path, (1, 1))
    make_read_only(monkeypatch)
    assert pull(str(source), home=home) == model
    with pytest.raises(ModelError, match="may not be read or written"):
        remove(model.name, home)


def test_a_home_that_is_a_file_is_said(source: Path) -> None:
    with pytest.raises(ModelError, match="cannot be used"):
        pull(str(source), home=source)


KILLED = """
import os, signal, sys
from pathlib import Path
from sixfold.engine import gguf_file, models
gguf_file._CHUNK_FLOATS = 300
def progress(stage, done, total):
    if stage == "converting" and done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)
models.pull(sys.argv[1], home=Path(sys.argv[2]), progress=progress)
"""


def test_a_pull_killed_while_converting_is_made_good_by_the_next(home: Path, source: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(source), str(home)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert files(home) == {".tiny-q8_0.tmp"}
    assert list_models(home) == []
    model = pull(str(source), home=home)
    verify(model)
    assert files(home) == {"tiny-q8_0.gguf", "tiny-q8_0.json"}
    assert model.path.read_bytes() == pull(str(source), home=home / "other").path.read_bytes()


@pytest.mark.parametrize("had_one", [False, True])
def test_a_pull_killed_before_its_json_is_no_model(
    home: Path, source: Path, had_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if had_one:
        pull(str(source), home=home)
        write_tiny(source, seed=1)

    replace = os.replace

    def die_at_the_json(old: Path, new: Path) -> None:
        if new.suffix == ".json":
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die_at_the_json)
        with pytest.raises(KeyboardInterrupt):
            pull(str(source), home=home)
    assert list_models(home) == []
    with pytest.raises(ModelError, match="there is no model 'tiny'"):
        find("tiny", home)
    verify(pull(str(source), home=home))


def test_two_pulls_at_once_make_one_model(home: Path, source: Path) -> None:
    working, waiting, seen = threading.Event(), threading.Event(), dict[str, list[str]](a=[], b=[])
    results: dict[str, models.Model] = {}

    def first(stage: str, done: int, total: int) -> None:
        seen["a"].append(stage)
        working.set()
        assert waiting.wait(30)

    def second(stage: str, done: int, total: int) -> None:
        seen["b"].append(stage)
        waiting.set()

    def run(name: str, progress: models.Progress) -> None:
        results[name] = pull(str(source), home=home, progress=progress)

    threads = [threading.Thread(target=run, args=args) for args in (("a", first), ("b", second))]
    threads[0].start()
    assert working.wait(30)
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert results["a"] == results["b"]
    assert seen["b"] == ["waiting"]
    assert "converting" in seen["a"]
    assert files(home) == {"tiny-q8_0.gguf", "tiny-q8_0.json"}


def test_only_old_unfinished_downloads_are_deleted(home: Path, source: Path) -> None:
    folder = home / "models"
    folder.mkdir(parents=True)
    for name in (".a-1.part", ".a-1.tag", ".b-2.part", ".b-2.tag", ".c.tmp"):
        (folder / name).write_text("x")
    os.utime(folder / ".a-1.part", (1, 1))
    pull(str(source), home=home)
    assert files(home) == {".b-2.part", ".b-2.tag", "tiny-q8_0.gguf", "tiny-q8_0.json"}


BAD_JSON = [
    "", "[]", "null", "{", "\0", '{"size_bytes": Infinity}', '{"size_bytes": NaN}', '{"size_bytes": "x"}',
    '{"size_bytes": 1, "gguf_type": "Q8_0", "origin": "x", "sha256": "", "licence": "x"}', "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_JSON, ids=range(len(BAD_JSON)))
def test_a_broken_json_is_no_model_and_is_made_good(home: Path, source: Path, text: str) -> None:
    model = pull(str(source), home=home)
    record = model.path.with_suffix(".json")
    record.write_text(text)
    assert list_models(home) == []
    assert pull(str(source), home=home) == model


@pytest.mark.parametrize(
    ("key", "value"), [("origin", "file:/elsewhere.gguf"), ("source_stamp", "1:1"), ("source_sha256", "0" * 64)]
)
def test_a_json_from_another_source_does_not_count(home: Path, source: Path, key: str, value: str) -> None:
    model = pull(str(source), home=home)
    record = model.path.with_suffix(".json")
    good = json.loads(record.read_text())
    record.write_text(json.dumps(good | {key: value}))
    if key == "origin":
        with pytest.raises(ModelError, match="remove that model first"):
            pull(str(source), home=home)
        return
    assert pull(str(source), home=home, sha256=good["source_sha256"]) == model
    assert json.loads(record.read_text())[key] == good[key]


def test_a_changed_model_is_noticed(home: Path, source: Path) -> None:
    model = pull(str(source), home=home)
    data = bytearray(model.path.read_bytes())
    data[-200] ^= 1
    model.path.write_bytes(data)
    with pytest.raises(ModelError, match="has changed since it was pulled"):
        verify(model)
    os.utime(model.path, (1, 1))
    verify(pull(str(source), home=home))
    model.path.unlink()
    with pytest.raises(ModelError, match="is gone"):
        verify(model)
    assert list_models(home) == []


def test_a_copied_home_is_hashed_once(home: Path, source: Path) -> None:
    model = pull(str(source), home=home)
    os.utime(model.path, (1, 1))
    stages: list[str] = []
    assert pull(str(source), home=home, progress=lambda stage, *_: stages.append(stage)) == model
    assert stages == []
    assert json.loads(model.path.with_suffix(".json").read_text())["mtime_ns"] == 1_000_000_000


def test_a_source_that_changes_while_it_is_read_is_refused(home: Path, source: Path) -> None:
    def touch(stage: str, done: int, total: int) -> None:
        os.utime(source, (1, 1))

    with pytest.raises(ModelError, match="changed while it was read"):
        pull(str(source), home=home, progress=touch)
    assert files(home) == set()


def test_find_by_name_type_and_origin(home: Path, source: Path) -> None:
    small, large = (pull(str(source), home=home, gguf_type=kind) for kind in ("Q4_0", "Q8_0"))
    assert find("tiny", home) == large
    assert find("tiny-q4_0", home) == small
    assert find(f"file:{source}", home) == large


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("tinny", "close to it: tiny\n  next: sixfold pull sixfold-135m"),
        ("smollm2-135m-instruct-q4_0", "close to it: smollm2-135m-instruct\n  next: sixfold pull smollm2-135m-instruct"),
        ("smollm2-135m-instruct", "home/models\n  next: sixfold pull smollm2-135m-instruct"),
        ("hf:a/b:c.gguf", "next: sixfold pull hf:a/b:c.gguf"),
        ("missing/model.gguf", "next: sixfold pull sixfold-135m"),
        ("~nobody-of-that-name/x.gguf", "there is no model"),
    ],
)
def test_find_says_what_is_near(home: Path, source: Path, spec: str, said: str) -> None:
    pull(str(source), home=home)
    with pytest.raises(ModelError) as caught:
        find(spec, home)
    assert said in str(caught.value)


def test_find_refuses_a_broken_file(home: Path, source: Path) -> None:
    os.truncate(source, 1000)
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        find(str(source), home)


def test_remove(home: Path, source: Path) -> None:
    model = pull(str(source), home=home)
    for wrong in ("tiny", "../tiny-q8_0", ""):
        with pytest.raises(ModelError, match="use one that is there: tiny-q8_0"):
            remove(wrong, home)
    assert remove("tiny-q8_0", home) == model.size_bytes
    assert files(home) == set()
    with pytest.raises(ModelError, match="use one that is there: none"):
        remove("tiny-q8_0", home)


def test_list_of_nothing(home: Path) -> None:
    assert list_models(home) == []


def test_importing_the_store_loads_no_numpy_and_no_httpx() -> None:
    code = "import sys, sixfold.engine.models; print({'numpy', 'gguf', 'httpx'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"set()\n"


def test_a_model_that_was_cut_later_is_named_as_broken(home: Path, source: Path) -> None:
    model = pull(str(source), home=home)
    os.truncate(model.path, model.size_bytes // 2)
    with pytest.raises(ModelError, match=r"tiny-q8_0\.gguf is there but not whole"):
        find("tiny", home)
    assert pull(str(source), home=home).size_bytes == model.size_bytes
