"""`sixfold tasks`, `verify` and `data` as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sixfold.cli import judging
from sixfold.errors import ConfigError
from sixfold.tasks import catalog

SIXFOLD = str(Path(sys.executable).with_name("sixfold"))


def run(tmp_path: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([SIXFOLD, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_tasks_are_listed_with_their_floors_and_licences(tmp_path: Path) -> None:
    tasks = json.loads(run(tmp_path, "tasks", "list", "--json").stdout)
    names = {t["name"] for t in tasks}
    assert {"math/gcd", "gsm8k", "gpqa_diamond", "aime25", "livecodebench_v5", "gym/chain_sum"} <= names
    assert {t["domain"] for t in tasks} == {"math", "code", "science", "logic", "simulation", "tabular"}
    assert all(0 <= t["floor"] < 1 and t["licence"] for t in tasks)
    assert "guess floor" in run(tmp_path, "tasks", "list", "math").stdout


def test_every_domain_has_families_and_there_are_at_least_24() -> None:
    assert len(catalog.FAMILIES) >= 24
    for domain in ("math", "code", "science", "logic", "simulation", "tabular"):
        assert len(catalog.GROUPS[domain]) >= 6, domain


def test_shown_problems_can_be_solved_from_a_file(tmp_path: Path) -> None:
    shown = run(tmp_path, "tasks", "show", "math/gcd:1", "--count", "3", "--json")
    (tmp_path / "some.jsonl").write_text(shown.stdout)
    (tmp_path / "script.json").write_text('["Answer: 6"]')
    run(tmp_path, "solve", "some.jsonl", "--engine", "scripted:script.json", "--out", "answers.jsonl")
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3
    assert "answer: " in run(tmp_path, "tasks", "show", "logic/knights_knaves").stdout


def test_check_proves_families_and_says_so(tmp_path: Path) -> None:
    reports = json.loads(run(tmp_path, "tasks", "check", "math/gcd", "tabular/lookup", "--count", "3", "--json").stdout)
    assert [(r["task"], r["ok"], r["problems"] > 0) for r in reports] == [
        ("math/gcd", True, True),
        ("tabular/lookup", True, True),
    ]
    assert "holds" in run(tmp_path, "tasks", "check", "math/gcd", "--count", "2").stdout


def test_check_ends_with_6_where_a_family_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        judging, "check_family", lambda family, judge, count: judging.Report(family.task, faults=["it is wrong"])
    )
    assert judging.check_tasks(["math/gcd"], 2, False) == 6
    assert "1 faults: it is wrong" in capsys.readouterr().out


def test_the_audit_attacks_and_writes_its_report(tmp_path: Path) -> None:
    done = run(tmp_path, "verify", "audit", "math/gcd", "science/choice_physics", "--count", "8", "--out", "audit.json")
    assert done.stdout.count("may be trained on") == 2
    records = json.loads((tmp_path / "audit.json").read_text())
    assert [r["ok"] for r in records] == [True, True]
    assert all(len(r["attacks"]) > 40 for r in records)


def test_the_audit_ends_with_6_where_a_task_is_too_easy_to_guess(tmp_path: Path) -> None:
    (tmp_path / "data" / "prontoqa").mkdir(parents=True)
    rows = [
        {"id": f"p/{i}", "problem": f"Is {i} odd?\n(A) True\n(B) False", "answer": "AB"[i % 2], "domain": "logic"}
        for i in range(60)
    ]
    (tmp_path / "data" / "prontoqa" / "dev.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    os.environ["SIXFOLD_DATA"] = str(tmp_path / "data")
    try:
        done = run(tmp_path, "verify", "audit", "prontoqa", "--count", "10", code=6)
    finally:
        del os.environ["SIXFOLD_DATA"]
    assert "guess floor" in done.stdout


def test_answers_in_a_file_are_scored(tmp_path: Path) -> None:
    rows = [
        {"question": "1/2 + 1/4?", "answer": "3/4", "verifier": "math", "response": "It is \\boxed{0.75}"},
        {"question": "1/2 + 1/4?", "answer": "3/4", "verifier": "math", "response": "Answer: 2/6"},
        {"question": "1/2 + 1/4?", "verifier": "math", "response": "Answer: 2/6"},
    ]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    done = run(tmp_path, "verify", "score", "answers.jsonl", "--json")
    assert [json.loads(line)["score"] for line in done.stdout.splitlines()] == [1.0, 0.0, None]
    assert "1 right, 1 wrong, 1 unscored" in done.stderr


def test_a_training_set_is_decontaminated(tmp_path: Path) -> None:
    shown = run(tmp_path, "tasks", "show", "math/word_problem:1", "--split", "test", "--json").stdout
    asked = json.loads(shown)["question"]
    rows = [
        {"question": "What is the colour of the sky over the sea in May?", "answer": "blue"},
        {"question": asked, "answer": "?"},
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    done = run(tmp_path, "data", "decontaminate", "train.jsonl", "--against", "math/word_problem", "--out", "clean")
    assert "1 of 2 rows overlap" in done.stdout
    assert json.loads((tmp_path / "clean" / "clean.jsonl").read_text())["answer"] == "blue"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["tasks", "show", "math/gdc"], 6, "did you mean math/gcd?"),
        (["tasks", "show", "math"], 6, "name one, such as math/chain_sum"),
        (["tasks", "show", "math/gcd:9"], 6, "has no level 9"),
        (["tasks", "show", "math/gcd", "--split", "dev"], 2, "there is no split"),
        (["tasks", "show", "gym/coin_flip"], 6, "is left out"),
        (["tasks", "check", "gsm8k"], 6, "is not generated"),
        (["tasks", "check", "nothing"], 6, "there is no task"),
        (["verify", "score", "missing.jsonl"], 2, "cannot be read"),
        (["verify", "audit", "math/gcd", "--count", "2", "--out", "/proc/no/file"], 2, "cannot be written"),
        (["data", "decontaminate", "missing.jsonl", "--against", "math/gcd:1"], 2, "cannot be used"),
    ],
)
def test_bad_input_is_told_with_the_next_step(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    done = run(tmp_path, *arguments, code=code)
    assert words in done.stderr
    assert "next: " in done.stderr


def test_an_audit_that_cannot_be_written_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "audit_task", lambda task, judge, count: pytest.fail("it began"))
    with pytest.raises(ConfigError, match="cannot be written"):
        judging.audit_tasks(["math/gcd"], 2, tmp_path / "none" / "audit.json", False, False)


def test_a_line_that_cannot_be_scored_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "What?", "verifier": "math"}\n')
    assert 'line 1: no "response" text' in run(tmp_path, "verify", "score", "a.jsonl", code=2).stderr
