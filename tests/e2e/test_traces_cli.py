"""`sixfold traces --sample` as a user runs it: what is right is kept, killed it goes on, and its rows train."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from training import SIXFOLD
from training import run_sixfold as run

from sixfold.cli.tracing import sample_command
from sixfold.core import Problem, Request
from sixfold.data.rows import read_rows
from sixfold.data.traces import even_cells, problems_in_turn
from sixfold.engine.scripted import ScriptedEngine
from sixfold.errors import ConfigError, EngineError
from sixfold.train.presets import load_recipe
from sixfold.train.sft import recipe_rows
from sixfold.verify.verifiers import Judge

RECIPE = 'name = "own"\n[traces]\ntasks = ["math/gcd"]\nrows = 5\nlevels = { 1 = 1.0 }\n[sample]\nkeep = 2\n'


def problems() -> list[Problem]:
    return list(problems_in_turn(even_cells(["math/gcd"], {1: 1.0}, 5), 0))


def said(problem: Problem, steps: str, answer: str | None = None) -> str:
    return f"<think>\n{steps}\n</think>\n\nAnswer: {answer or problem.answer}"


def replies() -> list[str]:
    """Two attempts at each problem: two ways, a right and a wrong one, twice wrong, one that ends in a loop, the same twice."""
    a, b, c, d, e = problems()
    loop = "It is so. " * 20
    return [
        said(a, "Divide the larger by the smaller."), said(a, "List what divides both.\nTake the largest of them."),
        said(b, "Guess.", "99991"), said(b, "Divide until nothing is left."),
        said(c, "Guess.", "99991"), said(c, "Guess again.", "99991"),
        said(d, f"Divide. {loop}"), said(d, "Guess.", "99991"),
        said(e, "Divide, then look at the rest."), said(e, "Divide, then look at the rest."),
    ]  # fmt: skip


def write_script(path: Path, texts: Sequence[str], **more: Any) -> str:
    path.write_text(json.dumps([{"text": text, **more} for text in texts]), encoding="utf-8")
    return f"scripted:{path}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.toml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def test_sampled_rows_are_written_and_train_and_a_killed_run_goes_on(folder: Path) -> None:
    texts = replies()
    arguments = ("traces", "own.toml", "--sample", "2", "--out")
    done = run(folder, *arguments, "whole.jsonl", "--engine", write_script(folder / "all.json", texts))
    assert done.stdout == "whole.jsonl: 4 rows of 5 problems\n"
    assert "left out: repetition: ends in a loop" in done.stderr
    assert "10 asked, 6 right, 5 kept, 1 never right" in done.stderr
    rows = list(read_rows(folder / "whole.jsonl"))
    assert [row["extra_info"]["pass_rate"] for row in rows] == [1.0, 1.0, 0.5, 1.0]
    assert {row["extra_info"]["origin"] for row in rows} == {"sampled"}
    recipe = load_recipe(str(folder / "own.toml"), "", [f'traces.files=["{folder / "whole.jsonl"}"]', "traces.rows=0"])
    with Judge() as judge:
        assert list(recipe_rows(recipe, judge)) == rows

    # Slow enough to be killed in the midst of it.
    slow = write_script(folder / "slow.json", texts, token_s=0.05)
    begun = subprocess.Popen(
        [SIXFOLD, *arguments, "cut.jsonl", "--engine", slow], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    log, ends = folder / "cut.jsonl.sampling" / "problems.jsonl", time.monotonic() + 240
    while (not log.is_file() or log.read_bytes().count(b"\n") < 3) and time.monotonic() < ends:
        time.sleep(0.02)
    begun.kill()
    begun.wait()
    count = log.read_bytes().count(b"\n") - 1
    assert 2 <= count < 5
    assert not (folder / "cut.jsonl").exists()
    rest = write_script(folder / "rest.json", texts[2 * count :])
    assert run(folder, *arguments, "cut.jsonl", "--engine", rest).stdout == "cut.jsonl: 4 rows of 5 problems\n"
    assert (folder / "cut.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()


def test_an_engine_that_fails_at_problems_is_asked_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, texts = folder / "rows.jsonl", replies()
    script = [{"text": text} for text in texts[:2]] + [{"text": "no", "fails_after": 0}]
    (folder / "some.json").write_text(json.dumps(script), encoding="utf-8")
    given = ["sample.attempts=2", f"sample.engine.spec=scripted:{folder / 'some.json'}"]
    recipe = load_recipe(str(folder / "own.toml"), "", given)
    assert sample_command(recipe, out, 3) == 3
    assert capsys.readouterr().out == f"{out}: 2 rows of 1 problems\n"
    write_script(folder / "some.json", texts[2:])
    assert sample_command(recipe, out, 3) == 0
    assert capsys.readouterr().out == f"{out}: 3 rows of 3 problems\n"
    # One that is gone ends the command; what was done stays.
    (folder / "gone.json").write_text(json.dumps([{"text": "no", "fails_after": 0}]), encoding="utf-8")
    given = ["sample.attempts=2", "traces.rows=9", f"sample.engine.spec=scripted:{folder / 'gone.json'}"]
    with pytest.raises(EngineError, match="the script says so"):
        sample_command(load_recipe(str(folder / "own.toml"), "", given), out, None)
    assert len(list(read_rows(out))) == 3


def test_an_interrupted_command_finishes_what_it_began(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, out, interrupts = replies(), folder / "rows.jsonl", iter([True])

    def script(request: Request, served: int) -> str:
        if served == 1 and next(interrupts, False):
            os.kill(os.getpid(), signal.SIGINT)
        return texts[served]

    async def opened(*given: Any, **more: Any) -> ScriptedEngine:
        return ScriptedEngine(script)

    monkeypatch.setattr("sixfold.engine.open.open_engine", opened)
    recipe = load_recipe(str(folder / "own.toml"), "", ["sample.attempts=2"])
    assert sample_command(recipe, out, None) == 130
    assert not out.exists()
    assert "4 of 5 problems are done; the same command goes on" in capsys.readouterr().err
    texts = texts[8:]
    assert sample_command(recipe, out, None) == 0
    assert capsys.readouterr().out == f"{out}: 4 rows of 5 problems\n"


def test_what_cannot_be_sampled_is_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no problems to sample"):
        sample_command(load_recipe(str(folder / "own.toml"), "", ["traces.rows=0"]), folder / "rows.jsonl", None)
    assert (
        "--engine and --model are for sampling"
        in run(folder, "traces", "own.toml", "--out", "rows.jsonl", "--engine", "vllm", code=2).stderr
    )
    assert os.listdir(folder) == ["own.toml"]
