"""What `tasks`, `verify` and `data` do once their flags are read: list, show, prove, attack, score, decontaminate.

Results go to standard output (tables, or JSON with `--json`), progress to standard error. A check or an audit that finds a
fault ends with code 6.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from sixfold.cli.screen import count_bar, print_rows, progress_bars, safe, say, stderr_console
from sixfold.core import Split, Task
from sixfold.errors import ConfigError, TaskError
from sixfold.evals.audit import Audit, audit_task
from sixfold.tasks.catalog import FAMILIES, GROUPS, find_task, find_tasks
from sixfold.tasks.check import Report, check_family, fingerprint, fingerprint_elsewhere
from sixfold.trace import make_problem
from sixfold.verify.verifiers import Judge


def list_tasks(names: Sequence[str], as_json: bool) -> None:
    """All tasks, or those of some names and groups, without loading any problem."""
    tasks = find_tasks(names or ["generated", "public", "gym"])
    if as_json:
        print(json.dumps([_task_record(t) for t in tasks], ensure_ascii=False))
        return
    rows = [(t.name, t.domain, _levels(t), " ".join(t.splits), f"{t.floor:.0%}", t.licence) for t in tasks]
    print_rows(("task", "domain", "levels", "splits", "guess floor", "licence"), rows)
    groups = ", ".join(f"{name} ({len(members)})" for name, members in GROUPS.items())
    say(stderr_console(), f"{len(tasks)} tasks; groups: {groups}")


def _levels(task: Task) -> str:
    return f"1-{FAMILIES[task.name].levels}" if task.name in FAMILIES else ""


def _task_record(task: Task) -> dict[str, Any]:
    record = {
        k: getattr(task, k) for k in ("name", "domain", "splits", "floor", "attack_limit", "version", "licence", "source")
    }
    return record | {"levels": _levels(task), "published": asdict(task.published) if task.published else None}


def one_split(name: str) -> Split:
    """The split of that name. Raises `ConfigError`."""
    for split in get_args(Split):
        if name == split:
            found: Split = split
            return found
    raise ConfigError(f"there is no split {name!r}", hint="use train, validation or test")


def show_task(name: str, split: Split, count: int, as_json: bool) -> None:
    """Problems of a task: as text with answers and worked solutions, or as the lines that `sixfold solve` reads."""
    task = find_task(name)
    if split not in task.splits:
        raise TaskError(f"{name} has no split {split}", hint=f"use --split {' or '.join(task.splits)}")
    for problem in islice(task.load(split, count), count):
        if as_json:
            print(json.dumps({k: v for k, v in asdict(problem).items() if v not in (None, "", {})}, ensure_ascii=False))
            continue
        print(safe(f"--- {problem.id} ({problem.verifier})\n{problem.question}\n\nanswer: {problem.answer}"))
        if problem.solution:
            print(safe(f"\n{problem.solution}"))


def check_tasks(names: Sequence[str], count: int, as_json: bool) -> int:
    """Prove generated families; 0 where all hold, 6 where one does not."""
    wanted = dict.fromkeys(n.partition(":")[0] for given in names or ["generated"] for n in GROUPS.get(given, (given,)))
    if unknown := [n for n in wanted if n not in FAMILIES]:
        find_task(unknown[0])
        raise TaskError(f"{unknown[0]} is not generated, there is nothing to prove", hint="`sixfold verify audit` attacks it")
    families = [FAMILIES[n] for n in wanted]
    reports: list[Report] = []
    with Judge(allow_unsafe_code=False) as judge, count_bar("proving", len(families), as_json) as advance:
        for family in families:
            reports.append(check_family(family, judge, count))
            advance(family.task)
    here, there = fingerprint(families), fingerprint_elsewhere(list(wanted), 7)
    for report in reports:
        if here[report.task] != there[report.task]:
            report.faults.append("another process makes other problems from the same seed")
    if as_json:
        print(json.dumps([asdict(r) | {"ok": r.ok, "solution_chars": _mean(r.solution_chars)} for r in reports]))
    else:
        rows = [
            (r.task, str(r.problems), f"{r.mutations_found} of {r.mutations}", f"{_mean(r.solution_chars):.0f}",
             "holds" if r.ok else f"{len(r.faults)} faults: {r.faults[0]}")
            for r in reports
        ]  # fmt: skip
        print_rows(("family", "problems", "mistakes found", "solution, characters", "proof"), rows)
    bad = sum(not r.ok for r in reports)
    say(stderr_console(), f"{len(reports) - bad} of {len(reports)} families hold")
    return TaskError.exit_code if bad else 0


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def audit_tasks(names: Sequence[str], count: int, out: Path | None, as_json: bool, allow_unsafe_code: bool) -> int:
    """Attack the verifiers of tasks; 0 where all pass, 6 where one may not be trained on."""
    tasks = find_tasks(names or ["generated"])
    if out is not None:
        _write(out)  # a place that cannot be written is told before the work, not after it
    audits: list[Audit] = []
    with Judge(workers=2, allow_unsafe_code=allow_unsafe_code) as judge, count_bar("attacking", len(tasks), as_json) as advance:
        for task in tasks:
            audits.append(audit_task(task, judge, count))
            advance(task.name)
    records = [a.record() for a in audits]
    if out is not None:
        _write(out, json.dumps(records, ensure_ascii=False, indent=1) + "\n")
    if as_json:
        print(json.dumps(records, ensure_ascii=False))
    else:
        rows = [
            (a.task, f"{a.reference:.0%}", f"{a.floor:.0%} of {a.declared_floor:.0%}", a.floor_guess[:16],
             f"{a.attack:.0%}" + (f" {a.attack_name}" if a.attack else ""), f"{a.unscored:.1%}",
             "may be trained on" if a.ok else "; ".join(a.faults))
            for a in audits
        ]  # fmt: skip
        print_rows(("task", "reference", "guess, of declared", "guess", "worst attack", "unscored", "verdict"), rows)
    bad = sum(not a.ok for a in audits)
    say(stderr_console(), f"{len(audits) - bad} of {len(audits)} tasks may be trained on")
    return TaskError.exit_code if bad else 0


def _write(out: Path, text: str | None = None) -> None:
    """Write a file; without a text leave it as it is. Raises `ConfigError` where that cannot be done."""
    try:
        with out.open("a" if text is None else "w", encoding="utf-8") as file:
            file.write(text or "")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}", hint="give another --out") from error


def score_file(file: Path, as_json: bool, allow_unsafe_code: bool) -> int:
    """Judge the answers of a JSONL file: each line a problem with its `verifier`, and what was answered as `response`."""
    totals: Counter[str] = Counter()
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="give a JSONL file") from error
    with Judge(allow_unsafe_code=allow_unsafe_code) as judge:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                problem, response = make_problem(row, f"line-{number}"), row.get("response")
                if not isinstance(response, str):
                    raise ConfigError('no "response" text', hint="")
            except (ValueError, RecursionError, ConfigError) as error:
                what = error.args[0] if isinstance(error, ConfigError) else "not valid JSON"
                hint = 'a line is {"question", "answer", "verifier", "response"}: see docs/evaluation.md'
                raise ConfigError(f"{file}, line {number}: {what}", hint=hint) from error
            verdict = judge(problem, response)
            totals["unscored" if verdict.score is None else "right" if verdict.score == 1 else "wrong"] += 1
            if as_json:
                print(json.dumps({"id": problem.id, **asdict(verdict)}, ensure_ascii=False))
            else:
                shown = "unscored" if verdict.score is None else f"{verdict.score:g}"
                print(safe(f"{problem.id}\t{shown}\t{verdict.form}\t{verdict.reason}"))
    say(stderr_console(), f"{totals['right']} right, {totals['wrong']} wrong, {totals['unscored']} unscored")
    return 0


def decontaminate_command(file: Path, names: Sequence[str], out: Path, as_json: bool) -> None:
    """Divide a training set into what overlaps with the tasks and what does not."""
    from sixfold.data.decontaminate import build_index, decontaminate

    tasks = find_tasks(names or ["generated", "public"])
    console = None if as_json else stderr_console()

    def not_there(what: str, error: TaskError) -> None:
        if names:
            raise error
        say(console, f"not compared with {what}: {error.args[0]}")

    index = build_index(tasks, lambda name, count: say(console, f"{name}: {count} questions"), not_there)
    with progress_bars(as_json) as progress:
        report = decontaminate(file, index, tasks, out, lambda read, size: progress(f"reading {file.name}", read, size))
    if as_json:
        print(json.dumps(report, ensure_ascii=False))
        return
    rows = [(name, *(str(t["overlaps"].get(k, 0)) for k in ("exact", "ngram", "minhash", "template")))
            for name, t in report["tasks"].items() if t["overlaps"]]  # fmt: skip
    if rows:
        print_rows(("task", "exact", "8-13 words", "minhash", "template"), rows)
    print(f"{report['removed']} of {report['rows']} rows overlap; {out / 'clean.jsonl'} has the others")
