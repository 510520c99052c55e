"""Events survive the way to disk and back, also where a run was killed; bad lines are named; results can be resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Event, EventKind, Problem
from sixfold.errors import ConfigError
from sixfold.trace import TraceWriter, append_line, check_question, load_problems, open_results, read_trace, summarise

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
EVENTS = st.builds(
    Event, st.sampled_from(get_args(EventKind)), st.floats(0, 1e6), st.none() | st.integers(0, 9),
    st.text(max_size=20), st.dictionaries(st.text(max_size=5), JSON, max_size=3),
)  # fmt: skip


def write(path: Path, *events: Event, solve: str = "") -> bytes:
    writer = TraceWriter(path)
    for event in events:
        writer.write(event, solve)
    writer.close()
    return path.read_bytes()


@given(st.lists(st.tuples(st.sampled_from(["", "a", "問"]), EVENTS), max_size=4))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, Event]]) -> None:
    path = tmp_path_factory.mktemp("trace") / "t.jsonl"
    for name, event in pairs:
        write(path, event, solve=name)
    assert list(read_trace(path) if pairs else []) == pairs


def test_a_lone_surrogate_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "t", Event("chosen", 1.0, 0, "a\udc80b"))
    assert [e.text for _, e in read_trace(tmp_path / "t")] == ["a\udc80b"]


def test_a_killed_run_loses_only_its_last_line_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """Cut at every byte, also inside a character."""
    events = [Event("chosen", 1.0, 0, "答え"), Event("failed", 2.0, text="é")]
    whole = write(tmp_path / "whole", *events)
    header = whole.index(b"\n") + 1
    first = whole.index(b"\n", header) + 1
    for end in range(header, len(whole)):
        path = tmp_path / f"{end}"
        path.write_bytes(whole[:end])
        expected = events[: (end >= first - 1) + (end >= len(whole) - 1)]
        assert [e for _, e in read_trace(path)] == expected
        write(path, Event("usage", 3.0))
        assert [e for _, e in read_trace(path)] == [*events[: end >= first], Event("usage", 3.0)]


@pytest.mark.parametrize(
    "content", [b"dear diary\n", b"dear diary", b'{"question": "1"}\n', b"[1]\n", b"\xff\n", b'{"sixfold_trace": 99}\n']
)
def test_what_is_no_trace_is_neither_read_nor_written_to(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"line 1 is not a trace event|trace format 99") as raised:
        list(read_trace(path))
    assert raised.value.hint
    with pytest.raises(ConfigError):
        TraceWriter(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line", ["5", "{", "{}", '{"kind": "chosen"}', '{"kind": "no", "at_s": 1}', '{"kind": "chosen", "at_s": 1, "data": [1]}',
             '{"kind": "chosen", "at_s": 1, "more": 1}', "\udcff"]
)  # fmt: skip
def test_a_bad_line_in_the_middle_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t"
    whole = write(path, Event("started", 0.0))
    path.write_bytes(whole + line.encode("utf-8", "surrogateescape") + b"\n" + whole.splitlines()[-1] + b"\n")
    with pytest.raises(ConfigError, match="line 3 is not a trace event"):
        list(read_trace(path))


def test_places_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "t"):
        with pytest.raises(ConfigError, match=r"cannot be|is not a file") as raised:
            TraceWriter(path)
        assert raised.value.hint
        with pytest.raises(ConfigError, match="cannot be read"):
            list(read_trace(path))
        with pytest.raises(ConfigError, match="cannot be read"):
            load_problems(path)
    with pytest.raises(ConfigError, match="is not a file"):
        open_results(tmp_path, "f")


PROBLEMS = [
    (b'{"question": "1 + 1?", "answer": 2}', None),
    (b"", None),
    (b'{"question": "1 +', "not valid JSON"),
    (b'{"question": "\xff"}', "not valid UTF-8"),
    (b"[1]", "not a JSON object"),
    (b'{"answer": "2"}', 'no "question"'),
    (b'{"question": 5}', 'no "question"'),
    (b'{"question": "  \\u0000?! "}', "question is empty"),
    (b'{"question": "\\ud800 x"}', "not valid UTF-8"),
    (b"[" * 100_000, "not valid JSON"),
    (b'{"question": "2?", "id": "a"}', None),
    (b'{"question": "3?", "id": "a"}', "'a' is there twice"),
    (b'{"problem": "4?", "id": 0, "domain": "math", "verifier": "equation", "meta": {"equation": "x = 4"}}\r', None),
    ('{"question": "日本?"}'.encode(), None),
]


def test_good_problems_are_read_and_bad_lines_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(line for line, _ in PROBLEMS))
    problems, bad = load_problems(path)
    wrong = [(number, why) for number, (_, why) in enumerate(PROBLEMS, 1) if why]
    assert [n for n, _ in bad] == [n for n, _ in wrong]
    for (_, said), (_, why) in zip(bad, wrong, strict=True):
        assert why in said
    assert problems == [
        (1, Problem("line-1", "1 + 1?", "2")),
        (11, Problem("a", "2?")),
        (13, Problem("0", "4?", None, "math", "equation", {"equation": "x = 4"})),
        (14, Problem("line-14", "日本?")),
    ]


@pytest.mark.parametrize("question", ["", "  \n", "?!", "\x00", "\ud800"])
def test_a_question_that_is_none(question: str) -> None:
    with pytest.raises(ConfigError, match=r"empty|UTF-8") as raised:
        check_question(question)
    assert raised.value.hint


def _results(path: Path, *records: Any) -> Path:
    lines = [
        r if isinstance(r, str) else json.dumps({"fingerprint": "f", "question": "q", "answer": None, **r}) for r in records
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_what_was_answered_or_tried_is_finished_and_what_an_engine_left_open_is_not(tmp_path: Path) -> None:
    path = _results(
        tmp_path / "r", {"id": "a", "answer": "1"}, {"id": "b", "code": 4}, {"id": "c", "code": 3}, {"id": "d"},
        {"id": "f", "answer": "", "question": "other"}, '{"id": "g", "fingerprint": "f", "ans',
    )  # fmt: skip
    file, done = open_results(path, "f")
    with file:
        assert {k: r["question"] for k, r in done.items()} == {"a": "q", "b": "q", "f": "other"}
        append_line(file, {"id": "g", "fingerprint": "f"})
    # The half line that a killed run left is gone: every line is a result.
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "b", "c", "d", "f", "g"]
    with pytest.raises(ConfigError, match="other settings") as raised:
        open_results(path, "g")
    assert raised.value.hint


def test_results_of_two_runs_do_not_mix(tmp_path: Path) -> None:
    file, _ = open_results(tmp_path / "r", "f")
    with file, pytest.raises(ConfigError, match="another run is writing"):
        open_results(tmp_path / "r", "f")
    open_results(tmp_path / "r", "f")[0].close()


@pytest.mark.parametrize("content", ["precious notes\n", "precious notes", "[1]\n", '{"question": "2+2?"}\n'])
def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "notes").write_text(content)
    with pytest.raises(ConfigError, match="line 1 is not a result"):
        open_results(tmp_path / "notes", "f")
    assert (tmp_path / "notes").read_text() == content


def test_summarise() -> None:
    done = {"status": "done", "usage": {"completion_tokens": 7}, "elapsed_s": 1.0}
    events = [
        Event(
            "started",
            0,
            data={"id": "p", "question": "q", "engine": "e", "model": "m", "planner": "x", "judge": "y", "config": {}},
        ),
        Event("planned", 1, text="Look."),
        Event("attempt_done", 2, 1, "6", done),
        Event("attempt_done", 2, 0, "", {"status": "truncated"}),
        Event("stopping", 3, text="enough"),
        Event("chosen", 4, 1, "6", {"selector": "majority", "reason": "r", "votes": {"6": 1}, "text": "t", "details": {}}),
        Event("usage", 5, data={"total": {}}),
    ]
    result = summarise(events, Problem("p", "q", "6.0"))
    assert (result["id"], result["planner"], result["plan"], result["stopped"]) == ("p", "x", "Look.", "enough")
    assert (result["answer"], result["attempt"], result["correct"], result["selector"]) == ("6", 1, True, "majority")
    assert [(a["index"], a["answer"], a["tokens"], a["status"]) for a in result["attempts"]] == [
        (0, None, None, "truncated"), (1, "6", 7, "done"),
    ]  # fmt: skip
    assert json.loads(json.dumps(result)) == result
    assert summarise(events, Problem("p", "q", "7"))["correct"] is False
    assert summarise(events, Problem("p", "q"))["correct"] is None


def test_summarise_a_failure() -> None:
    result = summarise([Event("failed", 1, text="no", data={"hint": "do", "code": 4})], Problem("p", "q", "7"))
    assert (result["answer"], result["correct"], result["error"], result["hint"], result["code"]) == (
        None,
        False,
        "no",
        "do",
        4,
    )
    assert summarise([])["answer"] is None
