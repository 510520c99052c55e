"""`sixfold eval` and `sixfold compare` as a user runs them: exit codes, going on, what is printed and what is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sixfold.cli import evals
from sixfold.config import EvalConfig
from sixfold.errors import ConfigError

SIXFOLD = str(Path(sys.executable).with_name("sixfold"))


def script(tmp_path: Path, *replies: Any) -> str:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(list(replies)))
    return f"scripted:{path}"


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SIXFOLD, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_a_run_prints_its_report_and_writes_all_of_it(tmp_path: Path) -> None:
    engine = script(tmp_path, "Answer: 6", "Answer: 12")
    common = ("--engine", engine, "--limit", "5")
    done = run(tmp_path, "eval", "math/gcd:1", "math/product:1", *common, "--out", "a", "--export", "lm-eval")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("script (scripted): one candidate, no plan")
    assert "macro" in done.stdout
    assert "contamination: not checked" in done.stderr
    assert "10 of 10 samples" in done.stderr
    names = {p.name for p in (tmp_path / "a").iterdir()}
    assert names == {
        "config.json", "attempts.jsonl", "samples.jsonl", "report.json", "report.md", "accuracy.png", "accuracy.svg", "lm-eval",
    }  # fmt: skip
    again = run(tmp_path, "eval", "--out", "a", "--json", "--quiet", "--no-picture")
    assert (again.returncode, again.stderr) == (0, "")
    assert json.loads(again.stdout) == json.loads((tmp_path / "a" / "report.json").read_text("utf-8"))
    other = run(tmp_path, "eval", "math/gcd:1", "math/product:1", *common, "--out", "a", "--seed", "3")
    assert other.returncode == 2
    assert "seed (0 there, 3 now)" in other.stderr
    run(tmp_path, "eval", "math/gcd:1", *common, "--out", "b", "--set", "solve.temperature=0.1")
    compared = run(tmp_path, "compare", "a", "b", "--out", "c")
    assert compared.returncode == 0
    assert "noise" in compared.stdout
    assert "tasks only in A: math/product:1" in compared.stderr
    assert (tmp_path / "c" / "difference.png").is_file()


def test_wrong_input_has_its_code(tmp_path: Path) -> None:
    engine = script(tmp_path, "Answer: 6")
    for arguments, code, words in (
        (("math/nothing",), 6, "there is no task"),
        (("math/gcd", "--export", "csv"), 2, "there is no export 'csv'"),
        (("math/gcd", "--split", "dev"), 2, "split"),
        (("math/gcd", "--published"), 6, "no published evaluation"),
        ((), 6, "no task was named"),
        (("--out", "nothing"), 2, "nothing is no run to report on"),
    ):
        done = run(tmp_path, "eval", *arguments, "--engine", engine)
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert run(tmp_path, "compare", "x", "y").returncode == 2


def test_a_folder_that_cannot_be_written_still_shows_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "eval", "math/gcd:1", "--limit", "2", "--engine", script(tmp_path, "Answer: 6"), "--out", "r")

    def refuse(*arguments: Any) -> None:
        raise ConfigError("it cannot be written")

    monkeypatch.setattr(evals, "write_report", refuse)
    with pytest.raises(ConfigError, match="cannot be written"):
        evals.eval_command(EvalConfig(), evals.EvalOutput(tmp_path / "r"))
    assert "math/gcd:1" in capsys.readouterr().out


def test_an_engine_that_is_gone_ends_with_3_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = ("eval", "math/gcd:1", "--limit", "4", "--out", "r", "--set", "solve.retries=0", "--concurrency", "1")
    bad = script(tmp_path, "Answer: 6", {"text": "", "fails_after": 0, "error": "connection refused"})
    done = run(tmp_path, *command, "--engine", bad)
    assert done.returncode == 3
    assert "the engine is gone: connection refused" in done.stderr
    assert "the same command goes on from here" in done.stderr
    assert json.loads((tmp_path / "r" / "report.json").read_text("utf-8"))["done"] == 1
    good = script(tmp_path, "Answer: 6")
    done = run(tmp_path, *command, "--engine", good)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r" / "report.json").read_text("utf-8"))["done"] == 4


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_what_is_interrupted_or_killed_goes_on(tmp_path: Path, by: signal.Signals) -> None:
    engine = script(tmp_path, {"text": "Answer: 6", "token_s": 0.02})
    command = [SIXFOLD, "eval", "math/gcd:1", "--limit", "60", "--out", "r", "--engine", engine]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    samples, limit = tmp_path / "r" / "samples.jsonl", time.monotonic() + 60
    while not samples.is_file() or samples.read_bytes().count(b"\n") < 3:
        assert time.monotonic() < limit
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, by)
    out, err = process.communicate(timeout=60)
    finished = samples.read_bytes().count(b"\n")
    assert 3 <= finished < 60
    if by == signal.SIGINT:
        assert process.returncode == 130, err
        assert f"not finished: {finished} of 60 samples" in err
        assert "math/gcd:1" in out
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert samples.read_bytes().count(b"\n") == 60
