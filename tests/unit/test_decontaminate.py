"""A training set is divided into clean rows and overlaps, in a stream that may be cut anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from sixfold.core import Problem, Split, Task
from sixfold.data import decontaminate as module
from sixfold.data.decontaminate import build_index, contamination_line, decontaminate, row_texts
from sixfold.errors import ConfigError, TaskError

ASKED = [
    "How many eggs does the old farmer sell on the market on a sunny Friday?",
    "What is the sum of 17 and 25 in base nine?",
]


def load(split: Split, count: int | None) -> Iterable[Problem]:
    return (
        [Problem(f"{split}/{i}", q) for i, q in enumerate(ASKED)] if split == "test" else [Problem("t", "Is this trained on?")]
    )


TASKS = [Task("eggs", "math", load, splits=("train", "test"))]


def write(path: Path, rows: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def rows(count: int) -> list[dict[str, str]]:
    names = "one two three four five six seven eight nine ten".split()
    clean = [
        {"question": f"Clean {names[i % 10]} {names[i // 10 % 10]} {names[i // 100]} row", "answer": "1"} for i in range(count)
    ]
    clean[3] = {"question": ASKED[0].lower(), "answer": "2"}
    clean[5] = {"question": "Talk.", "answer": f"I was asked: {ASKED[0]} I said no."}
    return clean


def test_overlaps_are_taken_out_named_and_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl", rows(20))
    report = decontaminate(file, build_index(TASKS), TASKS, tmp_path / "out")
    assert (report["rows"], report["removed"], report["kinds"]) == (20, 2, {"exact": 1, "ngram": 1})
    assert report["tasks"]["eggs"]["overlaps"] == {"exact": 1, "ngram": 1}
    clean = [json.loads(line) for line in (tmp_path / "out" / "clean.jsonl").read_text().splitlines()]
    assert clean == [r for i, r in enumerate(rows(20)) if i not in (3, 5)]
    taken = [json.loads(line) for line in (tmp_path / "out" / "overlaps.jsonl").read_text().splitlines()]
    assert [(t["line"], t["matches"][0]["id"]) for t in taken] == [(4, "test/0"), (6, "test/0")]
    line = contamination_line(tmp_path / "out" / "report.json", ["eggs"])
    assert "2 of 20 training rows" in line
    assert "does not cover" not in line
    assert contamination_line(tmp_path / "out" / "report.json", ["eggs", "gsm8k"]) == (
        f"{line}; of the tasks here it does not cover gsm8k"
    )


def test_what_may_be_trained_on_is_no_contamination(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl", [{"question": "Is this trained on?"}])
    assert decontaminate(file, build_index(TASKS), TASKS, tmp_path / "out")["removed"] == 0


@pytest.mark.parametrize("stop", [1, 7, 10, 49])
def test_a_run_that_was_killed_goes_on_and_writes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    monkeypatch.setattr(module, "_EVERY", 5)
    file, index = write(tmp_path / "train.jsonl", rows(50)), build_index(TASKS)
    whole = decontaminate(file, index, TASKS, tmp_path / "whole")
    asked = 0
    find = index.find

    def dies(question: str, text: str = "") -> list[object]:
        nonlocal asked
        asked += 1
        if asked == stop:
            raise KeyboardInterrupt
        return list(find(question, text))

    monkeypatch.setattr(index, "find", dies, raising=False)
    with pytest.raises(KeyboardInterrupt):
        decontaminate(file, index, TASKS, tmp_path / "cut")
    assert decontaminate(file, index, TASKS, tmp_path / "cut") == whole
    assert asked < 50 + stop + 6
    for name in ("clean.jsonl", "overlaps.jsonl", "report.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_changed_file_is_read_from_the_beginning(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl", rows(9))
    decontaminate(file, build_index(TASKS), TASKS, tmp_path / "out")
    write(file, rows(12))
    assert decontaminate(file, build_index(TASKS), TASKS, tmp_path / "out")["rows"] == 12
    assert len((tmp_path / "out" / "clean.jsonl").read_text().splitlines()) == 10


def test_another_file_does_not_overwrite_what_came_of_the_first(tmp_path: Path) -> None:
    decontaminate(write(tmp_path / "train.jsonl", rows(9)), build_index(TASKS), TASKS, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"out holds what came of train\.jsonl"):
        decontaminate(write(tmp_path / "more.jsonl", rows(9)), build_index(TASKS), TASKS, tmp_path / "out")
    assert len((tmp_path / "out" / "clean.jsonl").read_text().splitlines()) == 7


def test_a_report_is_of_the_rows_beside_it(tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl", rows(9))
    decontaminate(file, build_index(TASKS), TASKS, tmp_path / "out")
    write(file, [*rows(12), {"no": "question"}])
    with pytest.raises(ConfigError, match="line 13"):
        decontaminate(file, build_index(TASKS), TASKS, tmp_path / "out")
    assert not (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ({"problem": "P?", "solution": "S", "id": "x"}, ("P?", "S")),
        ({"prompt": [{"role": "system", "content": "no"}, {"role": "user", "content": "P?"}],
          "completion": [{"role": "assistant", "content": "S"}]}, ("P?", "S")),
        ({"messages": [{"role": "user", "content": "P?"}, {"role": "assistant", "content": "S"}]}, ("P?", "S")),
        ({"conversations": [{"from": "human", "value": "P?"}, {"from": "gpt", "value": "S"}]}, ("P?", "S")),
    ],
)  # fmt: skip
def test_the_usual_row_formats_are_read(row: dict[str, object], texts: tuple[str, str]) -> None:
    assert row_texts(row) == texts


@pytest.mark.parametrize(
    ("line", "what"), [("{", "line 1 is not JSON"), ("[]", "not an object"), ('{"a": 1}', "line 1: a row without")]
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, what: str) -> None:
    (tmp_path / "train.jsonl").write_text(line + "\n")
    with pytest.raises(ConfigError, match=what):
        decontaminate(tmp_path / "train.jsonl", build_index(TASKS), TASKS, tmp_path / "out")


def test_a_file_that_is_not_there_and_tasks_without_questions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        decontaminate(tmp_path / "none.jsonl", build_index(TASKS), TASKS, tmp_path / "out")
    with pytest.raises(TaskError, match="no questions"):
        build_index([Task("none", "math", lambda split, count: [])])


def test_a_full_disk_is_told_and_the_same_call_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, index = write(tmp_path / "train.jsonl", rows(9)), build_index(TASKS)

    def full(clean: object, raw: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", full)
        with pytest.raises(ConfigError, match="out cannot be used: No space left on device"):
            decontaminate(file, index, TASKS, tmp_path / "out")
    assert decontaminate(file, index, TASKS, tmp_path / "out")["rows"] == 9
    with pytest.raises(ConfigError, match="Is a directory"):
        decontaminate(tmp_path, index, TASKS, tmp_path / "other")


def test_a_report_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(ConfigError, match="no decontamination report"):
        contamination_line(tmp_path / "report.json")


def test_a_split_that_is_not_there_is_told_or_raised() -> None:
    def half(split: Split, count: int | None) -> Iterable[Problem]:
        if split == "test":
            raise TaskError("no network")
        return [Problem("v", ASKED[0])]

    tasks, told = [Task("half", "math", half, splits=("validation", "test"))], list[str]()
    index = build_index(tasks, missing=lambda what, error: told.append(f"{what}: {error.args[0]}"))
    assert (len(index), told) == (1, ["half test: no network"])
    with pytest.raises(TaskError, match="no network"):
        build_index(tasks)
