"""Measures how many Python programs a second the sandbox judges: `python bench/sandbox.py [--seconds 10] [--threads 4]`.

A judgement is what `code` does for one problem: two sandboxes, one for the program, one for three tests. The second is for a
program that reads the standard input, in one sandbox. Goal on two cores: 20 a second.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sixfold.core import Problem, Verdict
from sixfold.verify.code_tests import judge_code
from sixfold.verify.sandbox import NEXT_STEP, open_sandbox
from sixfold.verify.workers import Tools, Workers

FUNCTION = Problem("1", "", meta={"tests": [f"assert f({n}) == {n * n}" for n in (2, 3, 10)], "entry_point": "f"})
PROGRAM = Problem("2", "", meta={"cases": [{"input": "2 3\n", "output": "5\n"}]})


def rate(judge: Callable[[], Verdict], seconds: float, threads: int) -> float:
    """Judgements a second, all of which must score 1."""
    until, started = time.monotonic() + seconds, time.monotonic()

    def work(_: int) -> int:
        done = 0
        while time.monotonic() < until:
            verdict = judge()
            assert verdict.score == 1.0, verdict
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads))) / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=4)
    given = parser.parse_args()
    sandbox = open_sandbox()
    if sandbox is None:
        raise SystemExit(f"there is no sandbox here: {NEXT_STEP}")
    tools = Tools(Workers(), sandbox)
    function = "```python\ndef f(x):\n    return x * x\n```"
    program = "```python\na, b = map(int, input().split())\nprint(a + b)\n```"
    cores = len(os.sched_getaffinity(0))
    for name, problem, text in (("function with three tests", FUNCTION, function), ("standard input", PROGRAM, program)):
        per_s = rate(lambda problem=problem, text=text: judge_code(problem, text, tools), given.seconds, given.threads)
        print(f"{name}: {per_s:.1f} a second ({given.threads} threads, {cores} cores)")


if __name__ == "__main__":
    main()
