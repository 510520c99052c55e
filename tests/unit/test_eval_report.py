"""What a report says of a run, number by number, in words and as a picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from evaluating import PUBLISHED, evaluate, right_answer, sums

from sixfold.core import Request
from sixfold.engine.scripted import Reply, ScriptedEngine
from sixfold.evals.page import report_page, report_rows
from sixfold.evals.report import summarise_run, write_report
from sixfold.evals.stats import wilson


def by_question(said: Mapping[str, str]) -> Any:
    """Says what the question's first number asks for; right where nothing is said of it."""

    def script(request: Request, served: int) -> str:
        first = request.messages[-1].content.removeprefix("What is ").split(" ")[0]
        return said.get(first, f"Answer: {right_answer(request)}")

    return script


async def test_an_accuracy_has_its_interval_floor_and_the_rates_of_what_went_wrong(tmp_path: Path) -> None:
    said = {"2": "Answer: 999", "3": "a b c d e f g h i j k", "4": "no idea", "5": "The sum is 8"}
    can = frozenset({"n", "seed", "exact_usage"})
    engine = ScriptedEngine(by_question(said), can=can)
    await evaluate(tmp_path, [sums(12)], "solve.answer_tokens=1", script=engine)
    (task,) = summarise_run(tmp_path)["tasks"]
    # Questions 2 to 13: wrong, truncated, no answer, found by looking harder, and the last one cannot be judged.
    assert task["accuracy"]["value"] == pytest.approx(8 / 11)
    assert (task["accuracy"]["low"], task["accuracy"]["high"]) == wilson(8, 11) == tuple(task["wilson"])
    assert task["strict"]["value"] == pytest.approx(7 / 11)
    assert task["rates"]["truncated"] == pytest.approx(1 / 12)
    assert task["rates"]["unparsed"] == pytest.approx(1 / 12)
    assert task["rates"]["unscored"] == pytest.approx(1 / 12)
    assert task["forms"] == pytest.approx({"strict": 8 / 11, "flexible": 1 / 11, "none": 2 / 11})
    assert task["unscored_reasons"] == {"nobody knows": 1}
    assert (task["questions"], task["samples"], task["failed"], task["floor"]) == (12, 12, 0, 0.1)
    assert task["above_floor"]
    words = [2] * 9 + [9, 2, 4]
    assert task["cost"]["completion_tokens"] == sum(words)
    assert task["cost"]["tokens_a_right_answer"] == pytest.approx(sum(words) / 8)


async def test_levels_are_shown_where_there_are_several(tmp_path: Path) -> None:
    await evaluate(tmp_path, [sums(10)], script=by_question({"3": "Answer: 0", "5": "Answer: 0"}))
    (task,) = summarise_run(tmp_path)["tasks"]
    assert {k: v["value"] for k, v in task["levels"].items()} == {"1": 1.0, "2": 0.6}
    assert task["levels"]["2"]["questions"] == 5


async def test_several_samples_give_pass_and_majority_at_k(tmp_path: Path) -> None:
    def script(request: Request, served: int) -> str:
        right = served % 4 in (0, 1)
        return f"Answer: {right_answer(request) if right else 100 + served}"

    await evaluate(tmp_path, [sums(3)], "samples=4", script=script)
    (task,) = summarise_run(tmp_path)["tasks"]
    assert list(task["pass_at"]) == ["1", "2", "4"]
    assert [task["pass_at"][k]["value"] for k in ("1", "2", "4")] == pytest.approx([0.5, 5 / 6, 1.0])
    # Of two samples: both right, one right (a tie), none right: 1/6 + 4/6 * 1/2. Of four: the right answer has two votes.
    assert [task["majority_at"][k]["value"] for k in ("1", "2", "4")] == pytest.approx([0.5, 0.5, 1.0])
    assert task["wilson"] is None
    assert task["bootstrap"] == [0.5, 0.5]


async def test_several_samples_have_macro_averages_over_domains_and_all(tmp_path: Path) -> None:
    def script(request: Request, served: int) -> str:
        """Small numbers are always right, of the others one sample in four, and the wrong ones agree."""
        first = int(request.messages[-1].content.removeprefix("What is ").split(" ")[0])
        return f"Answer: {right_answer(request) if first < 30 or served % 4 == 0 else 1}"

    tasks = [sums(2, "math/few", first=20), sums(6, "math/more", first=40), sums(3, "logic/some", first=60, domain="logic")]
    await evaluate(tmp_path, tasks, "samples=4", "concurrency=1", script=script)
    report = summarise_run(tmp_path)
    several = {d: {k: v["value"] for k, v in m["several"].items()} for d, m in report["domains"].items()}
    assert several == {"math": {"pass@4": 1.0, "majority@4": 0.5}, "logic": {"pass@4": 1.0, "majority@4": 0.0}}
    assert report["macro"]["several"]["majority@4"]["value"] == pytest.approx(1 / 3)
    assert report["macro"]["value"] == pytest.approx((1 + 1 / 4 + 1 / 4) / 3)
    page = report_page(report)
    assert "| macro logic | 25.0 % (" in page
    assert "| macro | 50.0 % (" in page


async def test_candidates_show_what_choosing_is_worth(tmp_path: Path) -> None:
    def script(request: Request, served: int) -> str:
        """Of three candidates two agree: for even questions on what is right."""
        right = right_answer(request)
        first = int(request.messages[-1].content.removeprefix("What is ").split(" ")[0])
        odd_one_out = served % 3 == 2
        return f"Answer: {right if (first % 2 == 0) != odd_one_out else 0}"

    await evaluate(tmp_path, [sums(4)], "solve.n=3", "solve.early_stop=false", script=script)
    report = summarise_run(tmp_path)
    selection = report["tasks"][0]["selection"]
    assert {k: selection[k]["value"] for k in ("chosen", "majority", "oracle", "random")} == pytest.approx(
        {"chosen": 0.5, "majority": 0.5, "oracle": 1.0, "random": 0.5}
    )
    assert selection["stopped"] == 0
    assert report["tasks"][0]["accuracy"]["value"] == 0.5


async def test_the_average_over_tasks_is_macro_never_micro(tmp_path: Path) -> None:
    wrong = {str(i): "Answer: 0" for i in range(2, 12)}
    tasks = [sums(10), sums(2, "math/few", first=20), sums(4, "logic/some", first=30, domain="logic", floor=0.5)]
    await evaluate(tmp_path, tasks, script=by_question(wrong))
    report = summarise_run(tmp_path)
    assert report["macro"]["value"] == pytest.approx((0 + 1 + 1) / 3)
    assert report["domains"]["math"]["value"] == 0.5
    assert report["domains"]["logic"]["value"] == 1.0
    assert report["macro"]["floor"] == pytest.approx(0.7 / 3)
    assert "micro" not in json.dumps(report)
    assert [row[0] for row in report_rows(report)][-3:] == ["macro math", "macro logic", "macro"]
    low, high = report["macro"]["low"], report["macro"]["high"]
    assert low < 2 / 3 <= high < 1, "tasks whose questions all came out alike are not certain"


async def test_a_page_says_what_a_reader_must_know(tmp_path: Path) -> None:
    def script(request: Request, served: int) -> Reply | str:
        if "18" in request.messages[-1].content:
            return Reply("", finish="error", error="lost")
        return "Answer: 1"

    tasks = [sums(12), sums(4, "code/more|odd", first=20, domain="code", published=PUBLISHED)]
    await evaluate(tmp_path, tasks, "solve.retries=0", "solve.temperature=0", "samples=2", "seed=7", script=script)
    report = write_report(tmp_path)
    page = (tmp_path / "report.md").read_text("utf-8")
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == json.loads(json.dumps(report))
    for words in (
        "script (scripted): one candidate, no plan", "2 samples could not be judged", "temperature 0: the samples",
        "not above guessing", "Contamination: not checked (no decontamination report).", "| macro |",
        "pass@2", "majority@2", "level 2", "code/more\\|odd", "2 x nobody knows", "published in the paper", "temperature: 0.0",
        "![Accuracy", "seed 7",
    ):  # fmt: skip
        assert words in page, words


async def test_a_page_names_the_sampling_that_a_published_protocol_had(tmp_path: Path) -> None:
    await evaluate(tmp_path, [sums(2, published=PUBLISHED)], "published=true")
    write_report(tmp_path, picture=False)
    page = (tmp_path / "report.md").read_text("utf-8")
    assert "temperature 0.7, top_p 0.9, think_tokens 68, answer_tokens 32" in page
    assert "temperature 0.5" not in page


async def test_what_is_not_finished_or_failed_is_said(tmp_path: Path) -> None:
    def script(request: Request, served: int) -> Reply | str:
        if request.messages[-1].content == "Say yes.":
            return "yes"
        return Reply("", finish="error", error="lost") if "3 + 1" in request.messages[-1].content else "Answer: 2"

    await evaluate(tmp_path, [sums(3)], "solve.retries=0", script=script)
    report = write_report(tmp_path, picture=False)
    assert (report["planned"], report["done"], report["failed"], report["complete"]) == (3, 2, 1, False)
    assert any("not finished: 2 of 3" in n for n in report["notes"])
    assert any("1 samples failed in the engine" in n for n in report["notes"])
    assert report["tasks"][0]["accuracy"]["questions"] == 2
    assert not (tmp_path / "accuracy.png").exists()


async def test_a_run_of_which_nothing_is_known_has_no_numbers(tmp_path: Path) -> None:
    await evaluate(tmp_path, [sums(1, first=13)], script=lambda r, _: "Answer: 1")
    report = write_report(tmp_path)
    task = report["tasks"][0]
    assert task["accuracy"] == {"value": None, "low": 0.0, "high": 1.0, "questions": 0, "left_out": 1}
    assert report["macro"]["value"] is None
    assert task["cost"]["tokens_a_right_answer"] is None
    assert "| - |" in (tmp_path / "report.md").read_text("utf-8")


async def test_pictures_are_written_alike_each_time_and_hold_every_task(tmp_path: Path) -> None:
    tasks = [sums(6), sums(3, "math/$x_1$ <b>", first=20), sums(3, "logic/more", first=30, domain="logic")]
    await evaluate(tmp_path, tasks, "samples=2")
    write_report(tmp_path)
    first = (tmp_path / "accuracy.svg").read_bytes()
    write_report(tmp_path)
    assert (tmp_path / "accuracy.svg").read_bytes() == first
    root = ET.fromstring(first)
    comments = first.decode("utf-8")
    assert root.tag.endswith("svg")
    for words in ("sums", "$x_1$ &lt;b&gt;", "macro averages", "all tasks", "guess floor"):
        assert f"<!-- {words} -->" in comments, words
    png = (tmp_path / "accuracy.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20], "big") == 1440
