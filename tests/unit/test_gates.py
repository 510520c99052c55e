"""Gates say what was measured against what, stop a run by name, and remember what was let through."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from sixfold.core import Problem, Split, Task, Verdict
from sixfold.data.decontaminate import build_index, decontaminate
from sixfold.data.overlap import Index
from sixfold.data.rows import Row, make_row
from sixfold.data.traces import Mix, worked_rows
from sixfold.errors import ConfigError, TrainError
from sixfold.evals.audit import Audit
from sixfold.reason.prompts import solver_messages
from sixfold.tasks.catalog import FAMILIES, find_task
from sixfold.tasks.family import generate
from sixfold.train.gates import (
    Gate,
    audit_gate,
    check,
    contamination_gate,
    load_gates,
    measure_audit,
    measure_contamination,
    measure_support,
    support_gate,
    tag_gate,
)
from sixfold.train.recipe import GateConfig

CONFIG = GateConfig(support_k=4, support_problems=3, support_low=0.1, support_high=0.9, support_cells=0.5)
BAD = Gate("tags", False, 0.5, 0.95, "half have none")
GOOD = Gate("audit", True, 1.0, 1.0, "all pass")


def judge(problem: Problem, text: str) -> Verdict:
    return Verdict(None, "silent") if text == "?" else Verdict(float(text == problem.answer))


def test_a_failed_gate_stops_with_its_name_reason_and_next_step(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="gate tags failed: half have none") as told:
        check([BAD, GOOD], folder=tmp_path, stage="rl")
    assert "--override tags" in told.value.hint
    assert told.value.exit_code == 7
    assert [g["passed"] for g in load_gates(tmp_path)[0]["gates"]] == [False, True]


def test_an_override_lets_one_gate_through_and_is_recorded(tmp_path: Path) -> None:
    assert check([GOOD, BAD], ["tags"], tmp_path, "rl") == ["tags"]
    assert check([GOOD], ["tags"], tmp_path) == []
    with pytest.raises(TrainError, match="gate support failed"):
        check([BAD, Gate("support", False, 0, 1, "none")], ["tags"], tmp_path)
    records = json.loads((tmp_path / "gates.json").read_text())
    assert [r["overridden"] for r in records] == [["tags"], [], ["tags"]]
    assert (records[0]["stage"], records[0]["gates"][1]["reason"]) == ("rl", "half have none")


def test_a_gate_that_there_is_not_lets_nothing_through() -> None:
    with pytest.raises(ConfigError, match="no gate 'tag'") as told:
        check([BAD], ["tag"])
    assert told.value.hint == "did you mean tags?"


@pytest.mark.parametrize(
    ("right", "signal"),
    [([0, 0, 0], False), ([4, 4, 4], False), ([1, 0, 0], True), ([4, 4, 1], False), ([2, 0, 4], True)],
)
def test_a_cell_has_signal_between_the_bounds(right: list[int], signal: bool) -> None:
    gate = support_gate({("math/gcd", 1): [(4, r) for r in right]}, CONFIG)
    cell = gate.details["cells"]["math/gcd:1"]
    assert (gate.passed, cell["signal"]) == (signal, signal)
    assert cell["pass@4"] == pytest.approx(sum(r > 0 for r in right) / 3)
    assert cell["pass@1"] == pytest.approx(sum(right) / 12)


def test_the_share_of_cells_decides() -> None:
    good, none = [(4, 1), (4, 0)], [(4, 0), (4, 0)]
    cells = {("math/gcd", 1): good, ("math/gcd", 2): none, ("math/lcm", 1): none}
    assert not support_gate(cells, CONFIG).passed
    assert support_gate(cells | {("math/lcm", 2): good}, CONFIG).passed
    assert not support_gate({}, CONFIG).passed
    # Too few samples could be judged: that is no evidence for a signal.
    assert not support_gate({("math/gcd", 1): [(3, 1)]}, CONFIG).passed


def test_support_is_measured_with_any_sampler() -> None:
    asked: list[tuple[str, int]] = []

    def sample(problem: Problem, k: int) -> list[str]:
        asked.append((problem.id, k))
        right = problem.answer or ""
        return [right, "no", "no", "no"] if problem.meta["level"] == 1 else ["?", "no", "no", "no"]

    found = measure_support(sample, judge, [("math/gcd", 1), ("math/gcd", 2)], CONFIG)
    assert found == {("math/gcd", 1): [(4, 1)] * 3, ("math/gcd", 2): [(3, 0)] * 3}
    assert len(asked) == 6
    assert {k for _, k in asked} == {4}
    assert all("/validation/" in name for name, _ in asked)


def test_tags_are_counted() -> None:
    whole, half = "<think>\n1 + 1 = 2\n</think>\n\nAnswer: 2", "<think>\n1 + 1"
    assert tag_gate([whole] * 19 + [half], GateConfig()).passed
    failed = tag_gate([whole] * 18 + [half] * 2, GateConfig())
    assert (failed.passed, failed.measured) == (False, 0.9)
    assert not tag_gate([], GateConfig()).passed


def audit(faults: tuple[str, ...] = ()) -> Audit:
    return Audit("math/gcd", 5, 1.0, 0.1, 0.0, "1", 0.2, 0.0, "", 0.2, 0.0, {}, faults)


def test_a_verifier_that_can_be_fooled_stops_training() -> None:
    assert audit_gate([audit()]).passed
    failed = audit_gate([audit(), audit(("the attack 'empty' scores 90%",))])
    assert (failed.passed, failed.measured) == (False, 0.5)
    assert "math/gcd: the attack 'empty' scores 90%" in failed.reason
    assert not audit_gate([]).passed


def test_verifiers_are_attacked_as_the_recipe_says() -> None:
    seen: list[str] = []

    def right(problem: Problem, text: str) -> Verdict:
        return Verdict(1.0)

    fooled = audit_gate(measure_audit([find_task("math/gcd")], right, GateConfig(audit_problems=4), seen.append))
    assert seen == ["math/gcd"]
    assert not fooled.passed
    assert fooled.details["tasks"]["math/gcd"]["problems"] == 4


def load(split: Split, count: int | None) -> Iterable[Problem]:
    return (
        [Problem("t/0", "How many eggs does the old farmer sell on the market on a sunny Friday?")] if split == "test" else []
    )


EGGS = [Task("eggs", "math", load)]


def asked(question: str) -> Row:
    return make_row(Problem("x", question, "1", "math", "math"), solver_messages(question), "Answer: 1", "file")


def test_rows_that_hold_a_question_are_counted(tmp_path: Path) -> None:
    index = build_index(EGGS)
    rows = [asked("What is left?"), asked("How many eggs does the old farmer sell on the market on a sunny Friday?")]
    report = measure_contamination(rows, index, EGGS)
    failed = contamination_gate(report, GateConfig())
    assert (failed.passed, failed.measured) == (False, 0.5)
    assert "eggs (1)" in failed.reason
    assert contamination_gate(report, GateConfig(contamination=0.5)).passed
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    taken_out = contamination_gate(decontaminate(file, index, EGGS, tmp_path / "clean"), GateConfig())
    assert (taken_out.passed, taken_out.details["taken_out"]) == (True, 1)


def test_the_wording_of_a_family_is_no_contamination_but_its_test_questions_are() -> None:
    tasks = [find_task("math/gcd:1")]
    index = build_index(tasks)
    clean = list(worked_rows({("math/gcd", 1): 20}, Mix()))
    assert contamination_gate(measure_contamination(clean, index, tasks), GateConfig()).passed
    leaked = list(worked_rows({("math/gcd", 1): 20}, Mix(), split="test"))
    report = measure_contamination(leaked, Index(), [])
    assert (report["removed"], report["kinds"]) == (20, {"split": 20})
    assert "math/gcd (20)" in contamination_gate(report, GateConfig()).reason
    # From a file nothing says which family it was: then the questions themselves are compared.
    test = next(generate(FAMILIES["math/gcd"], 1, "test"))
    assert measure_contamination([asked(test.question)], index, tasks)["removed"] == 1


def test_what_is_no_report_is_told() -> None:
    with pytest.raises(TrainError, match="no decontamination report"):
        contamination_gate({"rows": 3}, GateConfig())
    assert not contamination_gate(measure_contamination([], Index(), []), GateConfig()).passed
