"""Each defect of the published K2-Think inference script, by name, and that it is not one of ours.

The letters are those of the list in `docs/architecture.md`.
"""

from __future__ import annotations

import json

import pytest
from solving import by_seed, config, events_of, in_role, only, role

from sixfold.core import Event, Problem, Request
from sixfold.engine.scripted import Reply, ScriptedEngine
from sixfold.reason.prompts import BETTER, JUDGE_SCHEMA, judge_messages
from sixfold.reason.solve import Engines, read_verdict, solve


async def judged(verdict: str, *answers: Reply | str) -> tuple[ScriptedEngine, list[Event]]:
    engine = ScriptedEngine(in_role(solve=by_seed(*answers), judge=verdict))
    return engine, await events_of(engine, config(f"n={len(answers)}", "select=judge", "early_stop=false"))


def test_a_the_judge_prompt_and_its_schema_ask_for_the_same_key() -> None:
    (key,) = JUDGE_SCHEMA["properties"]
    assert key == BETTER
    prompt = " ".join(m.content for m in judge_messages("q", "a", "b"))
    for value in JUDGE_SCHEMA["properties"][key]["enum"]:
        example = json.dumps({key: value})
        assert example in prompt
        assert read_verdict(example) == value


async def test_b_a_judge_that_always_prefers_the_first_place_decides_nothing() -> None:
    engine, events = await judged('{"better": "first"}', "Answer: 4", "so so Answer: 5")
    shown = [e.data for e in events if e.kind == "judged"]
    assert [(d["first"], d["second"]) for d in shown] in ([(0, 1), (1, 0)], [(1, 0), (0, 1)])
    details = only(events, "chosen").data["details"]
    assert (details["flips"], details["position_flip_rate"]) == (1, 1.0)
    # The fallback is votes, confidence, length: the shorter of two equals.
    assert only(events, "chosen").text == "4"
    assert sum(role(r) == "judge" for r in engine.served) == 2


async def test_c_an_unfinished_attempt_is_never_judged_and_never_chosen() -> None:
    unfinished = Reply("<think>" + "hmm " * 50, finish="length")
    script = in_role(solve=by_seed(unfinished, "Answer: 4", "Answer: 5"), judge='{"better": "first"}')
    engine = ScriptedEngine(script, can=frozenset({"n", "seed"}))
    events = await events_of(engine, config("n=3", "select=judge", "think_tokens=20", "early_stop=false"))
    assert all(0 not in (e.data["first"], e.data["second"]) for e in events if e.kind == "judged")
    assert only(events, "chosen").attempt in (1, 2)


async def test_c_where_no_attempt_finished_there_is_an_error_and_not_none() -> None:
    engine = ScriptedEngine([Reply("<think>hmm", finish="length")], can=frozenset({"n", "seed"}))
    events = await events_of(engine, config("n=3"))
    assert only(events, "failed").data == {
        "hint": "raise think_tokens or n, or use a stronger model", "code": 4, "error": "NoAnswerError",
    }  # fmt: skip
    assert not any(e.kind == "chosen" for e in events)


@pytest.mark.parametrize("verdict", ["no JSON at all", '{"better": ', '{"better": 1}', '{"index": 0}', "[]", ""])
async def test_d_a_judge_that_answers_nonsense_does_not_kill_the_run(verdict: str) -> None:
    _, events = await judged(verdict, "Answer: 4", "so so Answer: 5")
    assert only(events, "chosen").text == "4"
    assert only(events, "chosen").data["details"]["invalid"] == 1


async def test_d_a_judge_that_breaks_does_not_kill_the_run() -> None:
    engine = ScriptedEngine(in_role(solve=by_seed("Answer: 4", "so so Answer: 5"), judge=Reply("{", fails_after=0)))
    events = await events_of(engine, config("n=2", "select=judge"))
    assert only(events, "chosen").text == "4"


async def test_d_a_planner_that_breaks_leaves_the_bare_question() -> None:
    engine = ScriptedEngine(in_role(plan=Reply("Add", fails_after=0, error="no planner today"), solve="Answer: 4"))
    events = await events_of(engine, config("n=2", "plan=shared"))
    assert only(events, "planned").data["error"] == "no planner today"
    assert only(events, "chosen").text == "4"
    assert all(r.messages[-1].content == "What is 2 + 2?" for r in engine.served if role(r) == "solve")


async def test_e_the_error_says_what_happened_and_not_that_time_ran_out() -> None:
    events = await events_of(ScriptedEngine([Reply("x", fails_after=0, error="wrong key")]), config("n=3", "retries=0"))
    assert only(events, "failed").text == "wrong key"


async def test_f_text_after_a_second_closing_tag_is_kept() -> None:
    events = await events_of(ScriptedEngine(["<think>a</think>It says </think> and so\nAnswer: 4"]), config("n=1"))
    assert only(events, "chosen").text == "4"


async def test_f_a_server_that_separates_thinking_sends_no_tags_and_is_read_all_the_same() -> None:
    events = await events_of(ScriptedEngine([Reply("Answer: 4", reasoning="two and two")]), config("n=1"))
    assert only(events, "chosen").text == "4"
    assert only(events, "chosen").data["text"] == "<think>two and two</think>\n\nAnswer: 4"


async def test_f_a_missing_opening_tag_still_separates_thinking_from_the_answer() -> None:
    events = await events_of(ScriptedEngine(["Answer: 5, or no</think>\nAnswer: 4"]), config("n=1"))
    assert only(events, "chosen").text == "4"


async def test_g_nothing_of_one_solve_is_left_for_the_next() -> None:
    def script(request: Request, _: int) -> str:
        return f"Answer: {request.messages[-1].content.split()[-1]}"

    engine = ScriptedEngine(script)
    for i in range(3):
        events = [e async for e in solve(Problem("p", f"Say {i}"), config("n=2"), Engines(engine))]
        assert only(events, "chosen").text == str(i)
        assert only(events, "chosen").data["votes"] == {str(i): 2.0}


async def test_h_every_token_and_the_time_of_every_phase_is_counted() -> None:
    engine = ScriptedEngine(in_role(plan="Think.", solve=by_seed("Answer: 4", "Answer: 5"), judge='{"better": "tie"}'))
    events = await events_of(engine, config("n=2", "plan=shared", "select=judge"))
    account = only(events, "usage").data
    assert all(account["phases"][phase]["completion_tokens"] for phase in ("plan", "attempt", "judge"))
    assert account["answer_s"] > 0
    assert only(events, "planned").data["elapsed_s"] >= 0


async def test_no_candidate_is_judged_against_one_that_means_the_same() -> None:
    engine, events = await judged('{"better": "first"}', "Answer: 0.5", "Answer: 1/2", r"Answer: \frac{1}{2}")
    assert not any(role(r) == "judge" for r in engine.served)
    assert only(events, "chosen").data["reason"] == "all answers agree"


async def test_the_planner_is_the_solver_unless_another_is_named() -> None:
    events = await events_of(ScriptedEngine(["Answer: 4"], name="small"), config("n=1"))
    assert only(events, "started").data["planner"] == only(events, "started").data["judge"] == "small/script"
