"""The pipeline on scripted engines: what is asked, in which order, what stops it, and what it says it cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from solving import by_seed, config, events_of, in_role, only, role

from sixfold.core import Chunk, Problem, Request, Usage
from sixfold.engine.scripted import Reply, ScriptedEngine
from sixfold.errors import EngineError
from sixfold.reason.solve import Engines, solve


async def test_a_question_goes_through_gate_plan_attempts_choice_and_account() -> None:
    engine = ScriptedEngine(in_role(plan="Add the numbers.", solve="2 + 2 = 4\nAnswer: 4"))
    events = await events_of(engine, config("n=3", "plan=shared"))
    kinds = [e.kind for e in events]
    assert kinds[:2] == ["started", "gated"]
    assert kinds[-2:] == ["chosen", "usage"]
    assert kinds.index("planned") < kinds.index("attempt_started")
    assert only(events, "chosen").text == "4"
    assert all("Add the numbers." in r.messages[-1].content for r in engine.served if role(r) == "solve")
    assert [e.at_s for e in events] == sorted(e.at_s for e in events)
    assert only(events, "started").data["planner"] == "scripted/script"


async def test_each_candidate_may_get_its_own_plan() -> None:
    engine = ScriptedEngine(in_role(plan=by_seed("Plan A.", "Plan B."), solve="Answer: 4"))
    events = await events_of(engine, config("n=2", "plan=each"))
    assert [e.text for e in events if e.kind == "planned"] == ["Plan A.", "Plan B."]
    asked = {r.messages[-1].content for r in engine.served if role(r) == "solve"}
    assert len(asked) == 2


async def test_a_short_question_is_not_planned_and_a_long_one_is() -> None:
    engine = ScriptedEngine(in_role(plan="Think.", solve="Answer: 4"))
    assert only(await events_of(engine, config("plan=auto", "n=1")), "gated").data["plan"] is False
    long = Problem("p", "There are 3 boxes with 4 apples, 5 are eaten and 6 are added. How many are there?")
    assert only(await events_of(engine, config("plan=auto", "n=1"), long), "gated").data["plan"] is True


async def test_a_plan_that_gives_the_answer_is_cut_and_counted() -> None:
    engine = ScriptedEngine(in_role(plan="Add the two numbers. The answer is 4.", solve="Answer: 4"))
    events = await events_of(engine, config("n=1", "plan=shared"), Problem("p", "What is two plus two?", "4"))
    planned = only(events, "planned")
    assert (planned.text, planned.data["cut"], planned.data["leak"]) == ("Add the two numbers.", True, True)
    assert only(events, "usage").data["plan_leak"] is True
    assert "answer is 4" not in engine.served[-1].messages[-1].content


async def test_planner_and_judge_may_be_other_engines_and_are_named() -> None:
    solver = ScriptedEngine(by_seed("Answer: 4", "Answer: 5"), can=frozenset({"n", "seed"}))
    planner = ScriptedEngine(["Think first."], name="planner")
    judge = ScriptedEngine(['{"better": "tie"}'], name="judge")
    events = await events_of(Engines(solver, planner, judge), config("n=2", "plan=shared", "select=judge"))
    assert (only(events, "started").data["planner"], only(events, "started").data["judge"]) == (
        "planner/script",
        "judge/script",
    )
    assert (len(planner.served), len(judge.served)) == (1, 2)
    assert all(role(r) == "solve" for r in solver.served)


async def test_thinking_over_its_budget_is_closed_and_asked_for_the_answer() -> None:
    def script(request: Request, _: int) -> str:
        return " 4" if request.prefill else "<think>" + "hmm " * 50

    engine = ScriptedEngine(script)
    events = await events_of(engine, config("n=1", "think_tokens=10", "answer_tokens=5"))
    assert only(events, "attempt_forced").text == "its thinking budget is spent"
    assert only(events, "attempt_done").data["status"] == "forced"
    assert only(events, "chosen").text == "4"
    first, second = engine.served
    assert (first.sampling.max_tokens, second.sampling.max_tokens) == (10, 5)
    assert second.prefill.endswith("</think>\n\nAnswer:")


async def test_an_engine_that_cannot_go_on_from_text_gets_one_budget_and_no_forced_answer() -> None:
    engine = ScriptedEngine(["<think>" + "the answer is 4. " * 50], can=frozenset({"n", "seed"}))
    events = await events_of(engine, config("n=1", "think_tokens=10", "answer_tokens=5"))
    assert engine.served[0].sampling.max_tokens == 15
    assert only(events, "attempt_done").data["status"] == "truncated"
    assert only(events, "failed").data["code"] == 4


async def test_an_attempt_that_ended_without_saying_its_answer_is_asked_and_counts_as_done() -> None:
    engine = ScriptedEngine(lambda request, _: " 4" if request.prefill else "Two and two make four, clearly.")
    events = await events_of(engine, config("n=1"))
    assert only(events, "attempt_done").data["status"] == "done"
    assert only(events, "chosen").text == "4"


async def test_thinking_that_the_engine_separates_is_never_an_answer() -> None:
    engine = ScriptedEngine([Reply("", reasoning="The answer is 5. But no,")], can=frozenset({"n", "seed"}))
    assert only(await events_of(engine, config("n=1")), "failed").data["code"] == 4


async def test_the_solve_stops_as_soon_as_the_majority_is_certain_and_cancels_the_losers() -> None:
    quick, slow = Reply("Answer: 4", first_s=0.1), Reply("so " * 500 + "Answer: 5", token_s=0.01)
    engine = ScriptedEngine(by_seed(quick, quick, quick, slow, slow))
    events = await events_of(engine, config("n=5", "select=majority", "logprobs=false"))
    assert "3 candidates agree" in only(events, "stopping").text
    status = {e.attempt: e.data["status"] for e in events if e.kind == "attempt_done"}
    assert status == {0: "done", 1: "done", 2: "done", 3: "cancelled", 4: "cancelled"}
    assert engine.running == 0
    account = only(events, "usage").data
    assert account["wasted"]["attempts"] == 2
    assert account["wasted"]["completion_tokens"] == sum(a["usage"]["completion_tokens"] for a in account["attempts"][3:]) > 0
    assert account["saved"]["completion_tokens"] > 0
    assert account["saved"]["method"]


async def test_without_early_stop_every_candidate_runs_to_its_end() -> None:
    quick, slow = Reply("Answer: 4"), Reply("so " * 20 + "Answer: 5", token_s=0.001)
    engine = ScriptedEngine(by_seed(quick, quick, quick, slow, slow))
    events = await events_of(engine, config("n=5", "select=majority", "early_stop=false"))
    assert {e.data["status"] for e in events if e.kind == "attempt_done"} == {"done"}


async def test_a_check_that_passes_ends_the_solve() -> None:
    problem = Problem("p", "Solve x + 4 = 9", verifier="equation", meta={"equation": "x + 4 = 9"})
    replies = Reply("Answer: 5"), Reply("well " * 300 + "Answer: 6", token_s=0.01), Reply("Answer: 7")
    events = await events_of(ScriptedEngine(by_seed(*replies)), config("n=3"), problem)
    assert (only(events, "chosen").text, only(events, "chosen").data["selector"]) == ("5", "verifier")
    assert only(events, "stopping").text == "an answer passed its check"


async def test_a_deadline_brings_an_answer_from_thinking_that_was_cut() -> None:
    def script(request: Request, _: int) -> Reply:
        return Reply(" 4") if request.prefill else Reply("hmm " * 10_000, token_s=0.01)

    events = await events_of(ScriptedEngine(script), config("n=2", "deadline_s=1.0", "think_tokens=5000"))
    assert only(events, "chosen").text == "4"
    assert only(events, "usage").data["elapsed_s"] < 10.0  # a second and slack for a busy machine, of a hundred without


async def test_a_deadline_without_any_answer_is_a_clear_error_in_time() -> None:
    engine = ScriptedEngine([Reply("hmm " * 10_000, token_s=0.01)], can=frozenset({"n", "seed"}))
    events = await events_of(engine, config("n=2", "deadline_s=0.5", "think_tokens=5000"))
    assert only(events, "failed").text == "no answer in time: the deadline has come"
    assert only(events, "usage").data["elapsed_s"] < 10.0
    assert engine.running == 0


async def test_a_planner_that_is_slow_does_not_eat_the_deadline() -> None:
    engine = ScriptedEngine(in_role(plan=Reply("step " * 1000, token_s=0.01), solve="Answer: 4"))
    events = await events_of(engine, config("n=1", "plan=shared", "deadline_s=1.0", "plan_tokens=900"))
    assert only(events, "planned").data["error"] == "no time left for a plan"
    assert only(events, "chosen").text == "4"


async def test_a_judge_that_hangs_does_not_break_the_deadline() -> None:
    judge = ScriptedEngine([Reply("{", first_s=30.0)])
    engines = Engines(ScriptedEngine(by_seed("Answer: 4", "Answer: 5")), None, judge)
    events = await events_of(engines, config("n=2", "select=judge", "deadline_s=0.6"))
    assert only(events, "chosen").text in ("4", "5")
    assert only(events, "usage").data["elapsed_s"] < 10.0


async def test_answer_now_ends_thinking_and_chooses_from_what_is_there() -> None:
    def script(request: Request, _: int) -> Reply:
        return Reply(" 4") if request.prefill else Reply("hmm " * 10_000, token_s=0.005)

    engine, stop, events = ScriptedEngine(script), asyncio.Event(), []
    async with aclosing(
        solve(Problem("p", "2+2?"), config("n=3", "think_tokens=9000"), Engines(engine), answer_now=stop)
    ) as stream:
        async for event in stream:
            events.append(event)
            if event.kind == "attempt_text":
                stop.set()
    assert only(events, "chosen").text == "4"
    assert {e.text for e in events if e.kind == "attempt_forced"} == {"time is up"}


async def test_closing_the_events_frees_the_engine() -> None:
    engine = ScriptedEngine([Reply("hmm " * 10_000, token_s=0.005)])
    async with aclosing(solve(Problem("p", "2+2?"), config("n=4"), Engines(engine))) as stream:
        async for event in stream:
            if event.kind == "attempt_text":
                assert engine.running == 4
                break
    assert engine.running == 0


async def test_an_attempt_whose_engine_fails_goes_on_from_where_its_text_stood() -> None:
    def script(request: Request, served: int) -> Reply:
        if not request.prefill:
            return Reply("one two three four", fails_after=2)
        return Reply(" three four\nAnswer: 4")

    engine = ScriptedEngine(script)
    events = await events_of(engine, config("n=1", "think_tokens=20"))
    assert engine.served[1].prefill == "one two"
    assert engine.served[1].sampling.max_tokens == 18
    assert only(events, "chosen").data["text"] == "one two three four\nAnswer: 4"
    assert only(events, "attempt_done").data["retries"] == 1


async def test_one_attempt_that_keeps_failing_does_not_hurt_the_others() -> None:
    failing = Reply("one two", fails_after=1)
    events = await events_of(
        ScriptedEngine(by_seed("Answer: 4", failing, "Answer: 4")), config("n=3", "retries=1", "early_stop=false")
    )
    status = {e.attempt: e.data["status"] for e in events if e.kind == "attempt_done"}
    assert status == {0: "done", 1: "failed", 2: "done"}
    assert only(events, "chosen").text == "4"


async def test_when_every_attempt_fails_the_reason_is_the_engines() -> None:
    events = await events_of(ScriptedEngine([Reply("x", fails_after=0, error="out of order")]), config("n=2", "retries=0"))
    failed = only(events, "failed")
    assert (failed.text, failed.data["code"], failed.data["error"]) == ("out of order", 3, "EngineError")
    assert events[-1].kind == "usage"


async def test_the_account_counts_every_token_once() -> None:
    engine = ScriptedEngine(
        in_role(plan="Add them up.", solve=by_seed("a b\nAnswer: 4", "a b c\nAnswer: 5"), judge='{"better": "first"}')
    )
    events = await events_of(engine, config("n=2", "plan=shared", "select=judge"))
    account = only(events, "usage").data
    phases = {name: use["completion_tokens"] for name, use in account["phases"].items()}
    # Words are tokens: "Add them up." is 3, the attempts are 4 and 5, and two judgements of two words are 4.
    assert phases == {"plan": 3, "attempt": 9, "judge": 4}
    assert account["total"]["completion_tokens"] == 16
    assert [a["usage"]["completion_tokens"] for a in account["attempts"]] == [4, 5]
    assert account["exact"] is True
    assert account["ttft_s"] <= account["answer_s"] <= account["elapsed_s"]


@pytest.mark.parametrize("plan", ["off", "shared", "each"])
async def test_same_seed_same_events(plan: str) -> None:
    script = in_role(plan="Think.", solve=lambda r, _: f"Answer: {(r.sampling.seed or 0) % 3}", judge='{"better": "tie"}')
    runs = [await events_of(ScriptedEngine(script), config("n=4", f"plan={plan}")) for _ in range(2)]
    chosen = [(only(r, "chosen").text, only(r, "chosen").attempt, only(r, "chosen").data) for r in runs]
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize("reserve", [True, False])
async def test_an_answer_inside_thinking_that_was_cut_is_never_promoted(reserve: bool) -> None:
    """The template opened the thinking itself: there is no tag to see, and it says an answer on its way."""

    def script(request: Request, _: int) -> str:
        return " 4" if request.prefill else "The answer is 5.\nNo, wait." + " hmm" * 50

    can = frozenset({"n", "seed", "prefill"} if reserve else {"n", "seed"})
    events = await events_of(ScriptedEngine(script, can=can), config("n=1", "think_tokens=20", "answer_tokens=5"))
    if reserve:
        assert only(events, "chosen").text == "4"
    else:
        assert only(events, "failed").data["code"] == 4


async def test_an_answer_after_closed_thinking_counts_although_the_text_was_cut() -> None:
    text = "<think>two and two</think>\nAnswer: 4\nAnd now" + " more" * 50
    events = await events_of(ScriptedEngine([text]), config("n=1", "think_tokens=20", "answer_tokens=5"))
    assert (only(events, "chosen").text, only(events, "attempt_done").data["status"]) == ("4", "done")


async def test_an_answer_in_thinking_is_forgotten_when_the_closing_tag_shows_what_it_was() -> None:
    def script(request: Request, _: int) -> str:
        return " 4" if request.prefill else "Maybe.\nThe answer is 5.\nNo.</think>\nSo let me write" + " more" * 50

    events = await events_of(ScriptedEngine(script), config("n=1", "think_tokens=20", "answer_tokens=5"))
    assert only(events, "chosen").text == "4"


async def test_what_a_discarded_try_said_is_forgotten_and_counted_as_wasted() -> None:
    def script(request: Request, served: int) -> Reply:
        return Reply("Answer: 5\n so", fails_after=3) if not served else Reply("<think>hmm", finish="length")

    engine = ScriptedEngine(script, can=frozenset({"n", "seed"}))
    events = await events_of(engine, config("n=1"))
    assert only(events, "failed").data["code"] == 4
    assert only(events, "usage").data["wasted"]["completion_tokens"] == 3


class _Breaks(ScriptedEngine):
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        raise OSError("out of memory")
        yield Chunk()


@pytest.mark.parametrize("n", [1, 2])
async def test_an_engine_that_breaks_in_an_unknown_way_ends_the_solve_with_the_reason(n: int) -> None:
    events = await events_of(_Breaks(["x"]), config(f"n={n}"))
    assert only(events, "failed").text == "the engine broke: OSError: out of memory"


async def test_an_end_that_cannot_be_retried_is_not() -> None:
    class Filtered(ScriptedEngine):
        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            self.served.append(request)
            yield Chunk(0, finish="error", error="filtered", usage=Usage(1, 0, 1))

    engine = Filtered(["x"])
    events = await events_of(engine, config("n=1"))
    assert (only(events, "failed").text, len(engine.served)) == ("filtered", 1)


async def test_a_server_that_asks_for_an_hour_is_not_waited_for() -> None:
    class Busy(ScriptedEngine):
        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            raise EngineError("busy", kind="rate", retryable=True, retry_after_s=3600.0)
            yield Chunk()

    assert only(await events_of(Busy(["x"]), config("n=2")), "failed").text == "busy"


async def test_an_answer_that_is_written_when_the_deadline_comes_is_given() -> None:
    reply = Reply("Answer: 4\nand so" + " on" * 5000, reasoning="two and two", token_s=0.01)
    engine = ScriptedEngine([reply], can=frozenset({"n", "seed"}))
    events = await events_of(engine, config("n=2", "deadline_s=1.0", "think_tokens=9000"))
    assert only(events, "chosen").text == "4"


async def test_answer_now_is_bounded_where_the_server_has_gone_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sixfold.reason.solve._HURRY_S", 0.2)
    engine, stop = ScriptedEngine(by_seed("Answer: 4", Reply("hmm", first_s=600.0))), asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stop.set)
    events = await events_of(engine, config("n=2", "early_stop=false"), stop=stop)
    assert only(events, "chosen").text == "4"
    assert engine.running == 0


async def test_answer_now_does_not_wait_for_the_judge() -> None:
    stop, judge = asyncio.Event(), ScriptedEngine([Reply("{", first_s=600.0)])
    engines = Engines(ScriptedEngine(by_seed("Answer: 4", "Answer: 5")), None, judge)
    asyncio.get_running_loop().call_later(0.1, stop.set)
    events = await events_of(engines, config("n=2", "select=judge"), stop=stop)
    assert only(events, "chosen").text in ("4", "5")
    assert {e.data["error"] for e in events if e.kind == "judged"} == {"no time left for the judge"}


async def test_a_judge_with_a_wrong_key_does_not_lose_the_answers() -> None:
    class Locked(ScriptedEngine):
        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            raise EngineError("wrong key", kind="auth")
            yield Chunk()

    engines = Engines(ScriptedEngine(by_seed("Answer: 4", "so so\nAnswer: 5")), None, Locked(["x"]))
    events = await events_of(engines, config("n=2", "select=judge"))
    assert only(events, "chosen").text == "4"
    assert {e.data["error"] for e in events if e.kind == "judged"} == {"wrong key"}


async def test_thinking_of_a_planner_is_never_the_plan() -> None:
    engine = ScriptedEngine(in_role(plan="<think>Okay, they ask for the sum, hmm", solve="Answer: 4"))
    events = await events_of(engine, config("n=1", "plan=shared"))
    assert (only(events, "planned").text, "plan_tokens" in only(events, "planned").data["error"]) == ("", True)
    assert engine.served[-1].messages[-1].content == "What is 2 + 2?"
    assert only(events, "usage").data["wasted"]["completion_tokens"] == 7


async def test_thinking_leaves_room_for_the_answer_in_the_context() -> None:
    def script(request: Request, _: int) -> str:
        return " 4" if request.prefill else "<think>" + "hmm " * 500

    engine = ScriptedEngine(script, context_tokens=120)
    events = await events_of(engine, config("n=1", "think_tokens=400", "answer_tokens=10"))
    assert only(events, "chosen").text == "4"
    assert only(events, "attempt_done").data["usage"]["completion_tokens"] < 120


async def test_a_question_that_leaves_no_room_for_an_answer_is_refused_with_counts() -> None:
    engine = ScriptedEngine(["hmm " * 50], context_tokens=80)
    events = await events_of(engine, config("n=1", "answer_tokens=20"), Problem("p", "word " * 40))
    assert only(events, "failed").data["code"] == 3
    assert "leaves no room for an answer in the engine's context of 80" in only(events, "failed").text


async def test_an_engine_that_ignores_its_budget_is_closed_and_asked() -> None:
    class Endless(ScriptedEngine):
        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            if request.prefill:
                yield Chunk(0, " 4", usage=Usage(1, 0, 1))
                yield Chunk(0, finish="stop", usage=Usage(1, 0, 1))
                return
            for i in range(1_000_000):
                yield Chunk(0, " hmm", usage=Usage(1, 0, i + 1))

    events = await events_of(Endless(["x"]), config("n=1", "think_tokens=20"))
    assert only(events, "chosen").text == "4"
    assert only(events, "attempt_done").data["usage"]["completion_tokens"] < 60


async def test_a_majority_says_which_answers_it_did_not_count() -> None:
    def script(request: Request, _: int) -> Reply:
        long = (request.sampling.seed or 0) == 2
        return Reply(" 5") if request.prefill else Reply("hmm " * 50) if long else Reply("Answer: 4")

    events = await events_of(ScriptedEngine(script), config("n=3", "think_tokens=20", "early_stop=false"))
    assert only(events, "chosen").data["reason"] == "2 of 2 agree (not counted: 1 whose thinking was cut)"
