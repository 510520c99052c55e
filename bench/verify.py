"""Measures the judging of mathematics: `make bench-verify` runs it, or one part: `python bench/verify.py exact`.

Parts: exact (checks a second that rules decide, on one core), worker (checks a second that a worker process decides), golden
(precision and recall on the hand-labelled pairs, ours and math-verify alone in one run), references (all references of the
public sets in SIXFOLD_DATA, judged by their own verifiers). Results are printed.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sixfold.core import Problem
from sixfold.errors import TaskError
from sixfold.evals.audit import reference_text
from sixfold.tasks import benchmarks
from sixfold.verify.math_answer import judge_math
from sixfold.verify.verifiers import Judge
from sixfold.verify.workers import Tools, WorkerFailed, Workers, WorkerTimeout

_GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "math_pairs.jsonl"
_STEPS = "First we add the two numbers, then we divide.\n" * 8


def exact(tools: Tools, count: int = 6000) -> None:
    """Short worked answers, half of them right, whole numbers, decimals and fractions in turn."""
    forms = ("{0}", "{0}.50", "\\frac{{{0}}}{{7}}")
    problems = [
        (Problem("p", "", forms[n % 3].format(n)), f"{_STEPS}Answer: {forms[n % 3].format(n + n // 3 % 2)}")
        for n in range(count)
    ]
    best = 0.0
    for start in range(0, count, third := count // 3):
        part = problems[start : start + third]
        begun = time.perf_counter()
        right = sum(judge_math(problem, text, tools).score == 1 for problem, text in part)
        best = max(best, third / (time.perf_counter() - begun))
    print(
        f"exact: {best:,.0f} checks a second on one core, best of three "
        f"({right} of {third} right, {tools.workers.counters['calls']} asked of a worker)"
    )


def worker(tools: Tools, count: int = 400) -> None:
    """Congruences, which only math-verify reads."""
    asked = [(f"x \\equiv {n} \\pmod{{{n + 7}}}", f"x \\equiv {n + n % 2} \\pmod{{{n + 7}}}") for n in range(count)]
    tools.workers.call("math_equal", "1", "1")
    begun = time.perf_counter()
    for gold, answer in asked:
        judge_math(Problem("p", "", gold), f"Answer: {answer}", tools)
    numeric = time.perf_counter()
    print(f"worker, math-verify: {count / (numeric - begun):,.0f} checks a second with one worker")
    for n in range(count):
        tools.workers.call("math_equal", f"\\sqrt{{{n}+2^{{90}}}}", f"\\sqrt{{2^{{90}}+{n}}}")
    print(f"worker, by value: {count / (time.perf_counter() - numeric):,.0f} checks a second with one worker")


def golden(tools: Tools) -> None:
    pairs = [json.loads(line) for line in _GOLDEN.read_text(encoding="utf-8").splitlines()]
    counted: dict[str, Counter[tuple[bool, bool]]] = {"sixfold": Counter(), "math-verify alone": Counter()}
    for pair in pairs:
        ours = judge_math(Problem("p", "", pair["left"]), f"Answer: \\boxed{{{pair['right']}}}", tools).score == 1
        counted["sixfold"][ours, pair["equal"]] += 1
        try:
            theirs = bool(tools.workers.call("math_verify_alone", pair["left"], pair["right"]))
        except (WorkerTimeout, WorkerFailed):
            theirs = False
        counted["math-verify alone"][theirs, pair["equal"]] += 1
    print(f"golden: {len(pairs)} pairs, {sum(p['equal'] for p in pairs)} equal")
    print(f"{'':18} precision  recall  false positives  false negatives")
    for name, c in counted.items():
        right, wrong, missed = c[True, True], c[True, False], c[False, True]
        print(f"{name:18} {right / (right + wrong):9.3f} {right / (right + missed):7.3f} {wrong:16} {missed:16}")


def references(tools: Tools) -> None:
    """Every reference of the public sets that are in the folder SIXFOLD_DATA, each judged by its own verifier; and for each
    question the next other reference of its set, which is wrong unless it means the same."""
    print(f"{'references':20} {'rows':>6} {'right':>6} {'unscored':>8}   {'another row:':>12} {'judged right':>12}")
    with Judge(workers=2) as judge, ThreadPoolExecutor(4) as threads:
        for name in benchmarks.NAMES:
            task = benchmarks.make_task(name)
            problems: list[Problem] = []
            for split in task.splits:
                with suppress(TaskError):  # not in the folder
                    problems += [p for p in task.load(split, None) if p.answer]
            if not problems:
                continue
            own = list(threads.map(judge, problems, map(reference_text, problems)))
            others = [
                next((o for o in problems[i + 1 :] + problems[:i] if o.answer != p.answer), p) for i, p in enumerate(problems)
            ]
            strange = [p for p, other in zip(problems, others, strict=True) if not _alike(p, other)]
            wrong = [reference_text(o) for p, o in zip(problems, others, strict=True) if not _alike(p, o)]
            passed = sum(v.score == 1 for v in threads.map(judge, strange, wrong))
            right, unscored = sum(v.score == 1 for v in own), sum(v.score is None for v in own)
            print(f"{name:20} {len(own):6} {right:6} {unscored:8}   {len(wrong):12} {passed:12}", flush=True)


def _alike(one: Problem, two: Problem) -> bool:
    """Whether the other row's reference may be right here: any way to the same goal is, in these sets."""
    return one.answer == two.answer or one.verifier in ("countdown", "equation", "code_input")


PARTS = {"exact": exact, "worker": worker, "golden": golden, "references": references}


def main() -> None:
    with Workers() as workers:
        for name in sys.argv[1:] or PARTS:
            PARTS[name](Tools(workers))


if __name__ == "__main__":
    main()
