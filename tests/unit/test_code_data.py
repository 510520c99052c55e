"""Real problems: every reference passes its own tests, and what is not the reference does not.

A sample by default, because all of it takes minutes: `pytest -m slow tests/unit/test_code_data.py` runs all of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sixfold.core import Problem, Verdict
from sixfold.verify.code_tests import judge_code, judge_code_input
from sixfold.verify.sandbox import open_sandbox
from sixfold.verify.workers import Tools, Workers

DATA = Path(os.environ.get("SIXFOLD_DATA") or Path(__file__).parents[3] / "shared" / "data")
SANDBOX = open_sandbox()
pytestmark = [
    pytest.mark.skipif(SANDBOX is None, reason="bubblewrap is missing or may not start here"),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the public data is not in {DATA} (set SIXFOLD_DATA)"),
]
every = pytest.mark.parametrize("step", [18, pytest.param(1, marks=pytest.mark.slow)], ids=["sample", "all"])


@pytest.fixture(autouse=True)
def all_rows_only_when_asked(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("slow") and "slow" not in request.config.option.markexpr:
        pytest.skip("all rows are tried with -m slow")


def _rows(name: str, step: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()[::step]]


def _humaneval(row: dict[str, Any]) -> Problem:
    return Problem(row["id"], row["problem"], row["answer"], "code", "code", {**row["meta"], "prompt": row["problem"]})


def _mbpp(row: dict[str, Any]) -> Problem:
    meta = {**row["meta"], "setup": "", "setup_after": row["meta"]["setup"]}
    return Problem(row["id"], row["problem"], row["answer"], "code", "code", meta)


def _cruxeval(row: dict[str, Any]) -> Problem:
    return Problem(row["id"], row["problem"], row["answer"], "code", "code_input", row["meta"])


def _judged(
    judge: Callable[[Problem, str, Tools], Verdict], problems: list[Problem], write: Callable[[Problem], str]
) -> dict[str, Verdict]:
    tools = Tools(Workers(), SANDBOX)
    with ThreadPoolExecutor(4) as pool:
        return dict(zip([p.id for p in problems], pool.map(lambda p: judge(p, write(p), tools), problems), strict=True))


def _none_but(verdicts: dict[str, Verdict], score: float) -> None:
    assert verdicts
    assert not {name: v for name, v in verdicts.items() if v.score != score}


@every
@pytest.mark.parametrize("whole", [False, True], ids=["body", "function"])
def test_humaneval_references_pass(step: int, whole: bool) -> None:
    problems = [_humaneval(row) for row in _rows("humaneval/test.jsonl", step)]
    _none_but(_judged(judge_code, problems, lambda p: f"```python\n{p.question if whole else ''}{p.answer}\n```"), 1.0)


@every
@pytest.mark.parametrize("split", ["prompt", "validation", "test", "train"])
def test_mbpp_references_pass(step: int, split: str) -> None:
    """The two rows whose set-up needs the solution's classes (367, 927) too."""
    problems = [_mbpp(row) for row in _rows(f"mbpp/{split}.jsonl", 1)]
    chosen = [
        p for i, p in enumerate(problems) if i % (2 * step) == 0 or step == 1 or p.id in ("mbpp/367", "mbpp/927", "mbpp/601")
    ]
    _none_but(_judged(judge_code, chosen, lambda p: f"Here it is.\n```python\n{p.answer}\n```"), 1.0)


@every
def test_cruxeval_references_pass_and_other_arguments_do_not(step: int) -> None:
    problems = [_cruxeval(row) for row in _rows("cruxeval/input.jsonl", step)]
    _none_but(_judged(judge_code_input, problems, lambda p: f"[ANSWER]{p.answer}[/ANSWER]"), 1.0)
    _none_but(_judged(judge_code_input, problems[: 100 if step == 1 else 10], lambda p: "Answer: f(object())"), 0.0)


@every
@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param("lambda *a, **k: None", id="nothing"),
        pytest.param("lambda *a, _f={name}, **k: _wrong(_f(*a, **k))", id="a little off"),
    ],
)
def test_wrong_variants_of_references_fail(step: int, wrap: str) -> None:
    """`_wrong` changes every value a little: a number by one, a list by an item, truth to the opposite."""
    wrong = (
        "\ndef _wrong(v):\n"
        "    if v is None or isinstance(v, bool): return not v\n"
        "    if isinstance(v, (int, float, complex)): return v + 1\n"
        "    if isinstance(v, str): return v + 'x'\n"
        "    if isinstance(v, (list, tuple)): return type(v)([*v, 0]) if type(v) in (list, tuple) else None\n"
        "    return [v]\n"
    )
    problems = [_humaneval(row) for row in _rows("humaneval/test.jsonl", step)]

    def write(problem: Problem) -> str:
        name = str(problem.meta["entry_point"])
        return f"```python\n{problem.question}{problem.answer}\n{wrong}\n{name} = {wrap.format(name=name)}\n```"

    _none_but(_judged(judge_code, problems, write), 0.0)


def test_the_cases_of_contest_problems_are_run() -> None:
    """They have no reference: a program that has the outputs by heart passes, one that lacks the last does not."""
    for row in _rows("code_contests/test.jsonl", 40):
        tests = row["meta"]["tests"]
        cases = [{"input": i, "output": o} for i, o in zip(tests["inputs"], tests["outputs"], strict=True)][:4]
        known = {case["input"]: case["output"] for case in cases}
        problem = Problem(row["id"], row["problem"], meta={"cases": cases})
        for missing, score in (([], 1.0), (list(known)[-1:], 0.0)):
            table = {k: v for k, v in known.items() if k not in missing}
            code = f"import sys\nprint({table!r}.get(sys.stdin.read(), 'nothing'))"
            assert judge_code(problem, f"```python\n{code}\n```", Tools(Workers(), SANDBOX)).score == score
