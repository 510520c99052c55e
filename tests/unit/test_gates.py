"""Gates say what was measured against what, stop a run by name, and remember what was let through."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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
    Tried,
    audit_gate,
    check,
    contamination_gate,
    forgetting_gate,
    let_through_before,
    load_gates,
    measure_audit,
    measure_contamination,
    measure_policy,
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


def test_a_gate_after_training_says_that_the_result_is_kept(tmp_path: Path) -> None:
    assert check([BAD], ["tags"], tmp_path, "sft") == ["tags"]
    with pytest.raises(TrainError, match="gate tags failed") as told:
        check([GOOD, BAD], [], tmp_path, "sft", "after")
    assert "what was trained is kept" in told.value.hint
    assert "--resume --override tags" in told.value.hint
    assert [(r["stage"], r["when"], len(r["gates"])) for r in load_gates(tmp_path)] == [
        ("sft", "before", 1),
        ("sft", "after", 2),
    ]
    # What was let through after training was not let through before it.
    check([Gate("forgetting", False, 0.2, 0.05, "fell")], ["forgetting"], tmp_path, "sft", "after")
    assert let_through_before(tmp_path) == ["tags"]
    assert let_through_before(tmp_path / "none") == []


def test_a_gate_that_there_is_not_lets_nothing_through() -> None:
    with pytest.raises(ConfigError, match="no gate 'tag'") as told:
        check([BAD], ["tag"])
    assert told.value.hint == "did you mean tags?"


def tried(*right: int, of: int = 4) -> list[Tried]:
    return [Tried(of, r, tagged=of, said=of) for r in right]


@pytest.mark.parametrize(
    ("right", "signal"),
    [([0, 0, 0], False), ([4, 4, 4], False), ([1, 0, 0], True), ([4, 4, 1], True), ([2, 0, 4], True)],
)
def test_a_cell_has_signal_between_the_bounds(right: list[int], signal: bool) -> None:
    gate = support_gate({("math/gcd", 1): tried(*right)}, CONFIG)
    cell = gate.details["cells"]["math/gcd:1"]
    assert (gate.passed, cell["signal"]) == (signal, signal)
    assert cell["pass@4"] == pytest.approx(sum(r > 0 for r in right) / 3)
    assert cell["pass@1"] == pytest.approx(sum(right) / 12)


def test_the_share_of_cells_decides() -> None:
    good, none = tried(1, 0), tried(0, 0)
    cells = {("math/gcd", 1): good, ("math/gcd", 2): none, ("math/lcm", 1): none}
    assert not support_gate(cells, CONFIG).passed
    assert support_gate(cells | {("math/lcm", 2): good}, CONFIG).passed
    assert not support_gate({}, CONFIG).passed
    # Too few samples could be judged: that is no evidence for a signal.
    assert not support_gate({("math/gcd", 1): tried(1, of=3)}, CONFIG).passed


WHOLE, HALF = "<think>\n1 + 1 = 2\n</think>\n\nAnswer: 2", "<think>\n1 + 1"
WHO = {"base": "aa", "adapter": "", "seed": 3}


class Model:
    """Right at level 1, with tags on one of four completions; at level 2 one completion cannot be judged."""

    def __init__(self) -> None:
        self.opened = 0
        self.asked: list[tuple[str, ...]] = []

    def open(self) -> Model:
        self.opened += 1
        return self

    def __call__(self, problems: Sequence[Problem], k: int) -> list[list[str]]:
        assert k == 4
        self.asked.append(tuple(problem.id for problem in problems))
        return [[(p.answer or "") if p.meta["level"] == 1 else "?", "no", HALF, WHOLE] for p in problems]


def test_a_policy_is_asked_by_cell_and_what_cannot_be_judged_is_no_sample() -> None:
    model, cells, told = Model(), [("math/gcd", 1), ("math/gcd", 2)], list[str]()
    found = measure_policy(cells, CONFIG, WHO, model.open, judge, advance=told.append)
    assert found == {("math/gcd", 1): [Tried(4, 1, 1, 4)] * 3, ("math/gcd", 2): [Tried(3, 0, 1, 4)] * 3}
    assert told == ["math/gcd:1", "math/gcd:2"]
    assert (model.opened, len(model.asked)) == (1, 2)
    assert all("/validation/" in name for names in model.asked for name in names)
    # Another seed asks other problems.
    other = Model()
    measure_policy(cells, CONFIG, WHO | {"seed": 4}, other.open, judge)
    assert not {*model.asked[0]} & {*other.asked[0]}


def test_the_same_weights_are_not_asked_twice(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    cells = [("math/gcd", 1), ("math/gcd", 2)]
    first = measure_policy(cells[:1], CONFIG, WHO, Model().open, judge, [one])
    model = Model()
    both = measure_policy(cells, CONFIG, WHO, model.open, judge, [two, one])
    assert both[cells[0]] == first[cells[0]]
    assert [len(names) for names in model.asked] == [3]
    assert model.asked[0][0].startswith("math/gcd:2/validation/")
    # All of it is known now, so no model is opened.
    model = Model()
    assert measure_policy(cells, CONFIG, WHO, model.open, judge, [two, one]) == both
    assert model.opened == 0
    for change in (WHO | {"base": "bb"}, WHO | {"adapter": "cc"}, WHO | {"seed": 4}):
        model = Model()
        measure_policy(cells, CONFIG, change, model.open, judge, [two, one])
        assert len(model.asked) == 2, change
    model = Model()
    measure_policy(cells, CONFIG.model_copy(update={"support_problems": 2}), WHO, model.open, judge, [two, one])
    assert [len(names) for names in model.asked] == [2, 2]


def test_a_half_written_count_is_asked_again(tmp_path: Path) -> None:
    cells = [("math/gcd", 1), ("math/gcd", 2)]
    whole = measure_policy(cells, CONFIG, WHO, Model().open, judge, [tmp_path])
    file = tmp_path / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    model = Model()
    assert measure_policy(cells, CONFIG, WHO, model.open, judge, [tmp_path]) == whole
    assert len(model.asked) == 1


def test_tags_are_counted() -> None:
    def cells(tagged: int) -> dict[tuple[str, int], list[Tried]]:
        return {("math/gcd", 1): [Tried(10, 0, 10, 10)], ("math/lcm", 1): [Tried(0, 0, tagged, 10)]}

    assert tag_gate(cells(9), GateConfig()).passed
    failed = tag_gate(cells(8), GateConfig())
    assert (failed.passed, failed.measured) == (False, 0.9)
    assert failed.reason.startswith("18 of 20 completions")
    assert not tag_gate({}, GateConfig()).passed


GCD, LOOKUP = ("math/gcd", 1), ("tabular/lookup", 1)


def test_a_domain_that_forgot_is_named() -> None:
    before = {GCD: tried(*[2] * 30), LOOKUP: tried(*[3] * 30)}
    gate = forgetting_gate(before, {GCD: tried(*[3] * 30), LOOKUP: tried(*[2] * 30)}, GateConfig())
    assert (gate.passed, gate.measured, gate.threshold) == (False, 0.25, 0.05)
    assert gate.reason == "tabular fell from 75.0% to 50.0%; 5.0 points are allowed"
    domains = gate.details["domains"]
    assert (domains["math"]["forgotten"], domains["tabular"]["forgotten"]) == (False, True)
    assert (domains["math"]["difference"], domains["tabular"]["problems"]) == (0.25, 30)
    assert domains["tabular"]["p"] < 0.001
    allowed = GateConfig(forgetting=0.3)
    assert forgetting_gate(before, {GCD: tried(*[3] * 30), LOOKUP: tried(*[2] * 30)}, allowed).passed


def test_a_fall_that_chance_explains_is_no_forgetting() -> None:
    # 12 points less, but as often up as down, but for one.
    up_and_down = {GCD: tried(0, 4, 0, 4, 0, 4, 0, 0)}
    gate = forgetting_gate({GCD: tried(4, 0, 4, 0, 4, 0, 4, 0)}, up_and_down, GateConfig())
    assert gate.passed
    assert gate.measured == pytest.approx(0.125)
    assert "the most, math fell from 50.0% to 37.5%" in gate.reason
    assert gate.details["domains"]["math"]["p"] > 0.05
    # Three problems of three: a bootstrap alone would call it certain.
    assert forgetting_gate({GCD: tried(4, 4, 4)}, {GCD: tried(0, 0, 0)}, GateConfig()).passed


def test_one_of_several_domains_falls_by_chance_more_easily() -> None:
    was, now = tried(*[4] * 6, *[2] * 6), tried(*[2] * 6, *[2] * 6)
    assert not forgetting_gate({GCD: was}, {GCD: now}, GateConfig()).passed
    same = {(name, 1): tried(2, 2) for name in ("tabular/lookup", "science/ohm")}
    gate = forgetting_gate({GCD: was, **same}, {GCD: now, **same}, GateConfig())
    assert gate.details["domains"]["math"]["p"] == pytest.approx(3 / 32)
    assert gate.passed


def test_only_what_was_judged_twice_is_compared() -> None:
    before = {GCD: [Tried(0, 0, 4, 4), *tried(4)]}
    gate = forgetting_gate(before, {GCD: [*tried(0), Tried(0, 0, 4, 4)]}, GateConfig())
    assert not gate.passed
    assert gate.reason == "no problem could be judged before and after"
    assert forgetting_gate({GCD: tried(4)}, {GCD: tried(4), LOOKUP: tried(0)}, GateConfig()).reason == "none of 1 domains fell"


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


def test_rows_of_others_must_be_compared_with_every_benchmark() -> None:
    ours = list(worked_rows({("math/gcd", 1): 3}, Mix()))
    index, tasks = build_index(EGGS), [*EGGS, find_task("math/gcd:1")]
    assert contamination_gate(measure_contamination(ours, index, tasks), GateConfig()).passed
    gate = contamination_gate(measure_contamination([*ours, asked("How do stars burn?")], index, tasks), GateConfig())
    assert not gate.passed
    assert gate.reason.endswith("1 tasks were not compared, and 1 rows are of other sources than ours")
    assert contamination_gate(measure_contamination([asked("How do stars burn?")], index, EGGS), GateConfig()).passed


def test_what_is_no_report_is_told() -> None:
    with pytest.raises(TrainError, match="no decontamination report"):
        contamination_gate({"rows": 3}, GateConfig())
    assert not contamination_gate(measure_contamination([], Index(), []), GateConfig()).passed
