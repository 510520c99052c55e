"""Answer one question: gate, plan, N attempts in parallel, stop when the outcome is certain, choose, account.

Place: the one pipeline of Sixfold. `solve()` yields `Event`s; the screen, the trace, the server and the evals read them and
compute nothing again. Given are engines that are already open and a configuration that is already resolved. It knows no
terminal, no file and no HTTP.

After K2-Think (arXiv 2509.07604). Different here: the planner fails open, unfinished candidates never compete with finished
ones, the judge is asked only on disagreement and in both orders, deadlines are kept, and every token is in the account.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from sixfold.config import SolveConfig
from sixfold.core import Attempt, Choice, Engine, Event, EventKind, Phase, Problem, Request, Sampling, Usage, Verifier
from sixfold.errors import EngineError, NoAnswerError, SixfoldError
from sixfold.reason.attempt import Candidate, Context, Shared, cut_short, run_attempt, within
from sixfold.reason.budget import SAVING_METHOD, estimate_saving, make_account, total
from sixfold.reason.choose import Order, cannot_change, make_selector
from sixfold.reason.form import FORMS, LINE
from sixfold.reason.plan import contains_answer, gate, strip_answers
from sixfold.reason.prompts import BETTER, JUDGE_SCHEMA, judge_messages, planner_messages, solver_messages
from sixfold.verify.extract import split_thinking
from sixfold.verify.verifiers import CHOOSING

_PLAN_SHARE = 0.3
"""At most this part of a deadline goes into planning."""
_HURRY_S = 10.0
"""How long candidates may take to say their answers once everyone has to, where no deadline says less."""
_TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Engines:
    """Who does what. Planner and judge are the solver where they are not given; events name the one that was used."""

    solver: Engine
    planner: Engine | None = None
    judge: Engine | None = None


@dataclass(slots=True)
class _Run:
    """What one solve has in hand. `phases` grows as tokens are spent, so that the account is right whenever it is made."""

    problem: Problem
    config: SolveConfig
    engines: Engines
    verifier: Verifier | None
    context: Context
    events: asyncio.Queue[Event | None]
    plans: Usage = Usage()
    judged: Usage = Usage()
    candidates: list[Candidate] = field(default_factory=list)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    plan_text: str = ""
    wasted_plan_tokens: int = 0
    saved_tokens: int = 0
    hurried_s: float | None = None
    late: str = ""
    first_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.context.started

    @property
    def left_s(self) -> float:
        """Seconds to the deadline; infinite without one."""
        return float("inf") if self.config.deadline_s is None else self.config.deadline_s - self.elapsed_s


async def solve(
    problem: Problem, config: SolveConfig, engines: Engines, *, answer_now: asyncio.Event | None = None
) -> AsyncGenerator[Event, None]:
    """The events of answering `problem`. The last is `usage`, after `chosen` or `failed`; errors are events, not raised.

    `config` must be `resolved()`. Setting `answer_now` ends all thinking: candidates answer from what they have. Closing the
    generator cancels everything and frees the engines' work.
    """
    assert config.n is not None
    assert config.think_tokens is not None
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    started = time.monotonic()

    def emit(
        kind: EventKind, attempt: int | None = None, text: str = "", data: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        events.put_nowait(Event(kind, time.monotonic() - started, attempt, text, more or data or {}))

    sampling = Sampling(
        temperature=config.temperature, top_p=config.top_p, seed=config.seed, logprobs=_wants_logprobs(config, engines.solver)
    )
    context = Context(
        engines.solver, sampling, config.think_tokens, config.answer_tokens, config.retries, emit,
        answer_now or asyncio.Event(), FORMS.get(problem.verifier or "", LINE), started=started,
    )  # fmt: skip
    run = _Run(problem, config, engines, CHOOSING.get(problem.verifier or ""), context, events)
    work = asyncio.create_task(_work(run))
    work.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            if run.first_s is None and event.kind in ("plan_text", "attempt_text"):
                run.first_s = event.at_s
            yield event
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def _wants_logprobs(config: SolveConfig, engine: Engine) -> bool:
    if config.logprobs is not None:
        return config.logprobs
    voting = config.select == "confidence" or (config.select == "auto" and (config.n or 1) > 1)
    return voting and "logprobs" in engine.info.can


async def _work(run: _Run) -> None:
    emit, config = run.context.emit, run.config
    planner, judge = run.engines.planner or run.engines.solver, run.engines.judge or run.engines.solver
    emit(
        "started", question=run.problem.question, id=run.problem.id, engine=run.engines.solver.info.name,
        model=run.engines.solver.info.model, planner=f"{planner.info.name}/{planner.info.model}",
        judge=f"{judge.info.name}/{judge.info.model}", config=config.model_dump(mode="json", exclude={"efforts"}),
    )  # fmt: skip
    chosen: Attempt | None = None
    answer_s: float | None = None
    try:
        plans = await _plan(run, planner)
        await _attempt(run, plans)
        if run.late and not any(a.answer for a in run.attempts.values()):
            raise NoAnswerError(f"no answer in time: {run.late}", hint="allow more time, or lower n or think_tokens")
        choice = await _choose(run, judge)
        chosen = run.attempts[choice.index]
        answer_s = run.elapsed_s
        data = {
            "selector": choice.selector, "reason": choice.reason, "status": chosen.status, "votes": dict(choice.votes),
            "text": chosen.text, "details": dict(choice.details),
        }  # fmt: skip
        emit("chosen", chosen.index, chosen.answer or "", data)
    except SixfoldError as error:
        emit("failed", None, str(error.args[0]), hint=error.hint, code=error.exit_code, error=type(error).__name__)
    emit("usage", None, "", _account(run, chosen, answer_s))


def _account(run: _Run, chosen: Attempt | None, answer_s: float | None) -> dict[str, Any]:
    attempts = [run.attempts.get(c.index) or c.attempt("cancelled", run.elapsed_s) for c in run.candidates]
    phases: dict[Phase, Usage] = {"plan": run.plans, "attempt": total(a.usage for a in attempts), "judge": run.judged}
    known = run.problem.answer or (chosen.answer if chosen else None)
    leak = contains_answer(run.plan_text, known, run.problem.question) if run.plan_text and known else None
    engines = [run.engines.solver, run.engines.planner, run.engines.judge]
    return make_account(
        phases, attempts, saved_tokens=run.saved_tokens, wasted_plan_tokens=run.wasted_plan_tokens, plan_leak=leak,
        exact=all("exact_usage" in e.info.can for e in engines if e), ttft_s=run.first_s, answer_s=answer_s,
        elapsed_s=run.elapsed_s,
    )  # fmt: skip


async def _plan(run: _Run, planner: Engine) -> list[str]:
    """One plan for each candidate ("" for none). A planner that fails or takes too long leaves the bare question."""
    mode, n = run.config.plan, run.config.n or 1
    if mode == "auto":
        wanted, reason = gate(run.problem.question)
    else:
        wanted, reason = mode != "off", f"plan={mode}"
    run.context.emit("gated", plan=wanted, reason=reason)
    if not wanted:
        return [""] * n
    if mode == "each":
        tasks = [asyncio.create_task(_one_plan(run, planner, i)) for i in range(n)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return [await _one_plan(run, planner, None)] * n


async def _one_plan(run: _Run, planner: Engine, index: int | None) -> str:
    config, emit, begun = run.config, run.context.emit, time.monotonic()
    seed = None if config.seed is None else config.seed + (index or 0)
    sampling = Sampling(config.plan_tokens, config.temperature, config.top_p, seed)
    request = Request(planner_messages(run.problem.question), sampling)
    written, usage, failure = "", Usage(), ""

    async def write() -> bool:
        nonlocal written, usage
        async with aclosing(planner.stream(request)) as chunks:
            async for chunk in chunks:
                written, usage = written + chunk.text, chunk.usage or usage
                if chunk.text:
                    emit("plan_text", index, chunk.text)
                if chunk.finish == "error":
                    raise EngineError(chunk.error or "the engine failed")
        return True

    limit_s = None if config.deadline_s is None else _PLAN_SHARE * config.deadline_s
    try:
        if not await within(write(), run.context.hurry, limit_s):
            failure = "no time left for a plan"
    except EngineError as error:
        if error.kind == "context" and run.engines.planner is None:
            raise
        failure = str(error.args[0])
    finally:
        run.plans += usage
    plan, cut = ("", False) if failure else strip_answers(written)
    if not plan and not cut and not failure:
        failure = f"it wrote no plan within {config.plan_tokens} tokens (plan_tokens)"
    if not plan:
        run.wasted_plan_tokens += usage.completion_tokens
    run.plan_text += written
    emit(
        "planned", index, plan, usage=asdict(usage), elapsed_s=time.monotonic() - begun, cut=cut, error=failure,
        leak=contains_answer(written, run.problem.answer, run.problem.question) if run.problem.answer else None,
    )  # fmt: skip
    return plan


async def _attempt(run: _Run, plans: Sequence[str]) -> None:
    """Run all candidates until they end, the outcome is certain, or the time is up. Fills `run.attempts`."""
    context, n = run.context, len(plans)
    run.candidates = [
        Candidate(i, solver_messages(run.problem.question, plan, context.form.system)) for i, plan in enumerate(plans)
    ]
    shared: Shared | None = None
    if n > 1 and len(set(plans)) == 1:
        shared = Shared(context.engine, context.first_request(run.candidates[0].messages, n))
    streams = [
        shared.stream(c.index) if shared else context.engine.stream(context.first_request(c.messages, index=c.index))
        for c in run.candidates
    ]
    tasks: dict[asyncio.Task[Attempt], Candidate] = {}
    for candidate, stream in zip(run.candidates, streams, strict=True):
        context.emit("attempt_started", candidate.index)
        tasks[asyncio.create_task(run_attempt(candidate, context, stream))] = candidate
    try:
        await _collect(run, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if shared:
            await shared.aclose()
    failed = [a for a in run.attempts.values() if a.status == "failed"]
    if len(failed) == n and context.last_error is not None:
        raise context.last_error


async def _collect(run: _Run, tasks: Mapping[asyncio.Task[Attempt], Candidate]) -> None:
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
        for task in sorted(done, key=lambda t: tasks[t].index):
            _ended(run, task.result())
        running = [tasks[t] for t in pending]
        certain = _certain(run, len(running)) if done and pending else None
        if certain is not None:
            lengths = [a.usage.completion_tokens for a in run.attempts.values() if a.status == "done"]
            budget = run.context.think_tokens + run.config.answer_tokens
            run.saved_tokens = estimate_saving(lengths, [c.usage.completion_tokens for c in running], budget)
        run.late = _out_of_time(run, len(running)) or "" if pending and not certain else ""
        stopped = certain or run.late
        if stopped:
            run.context.emit(
                "stopping", None, stopped, saved_tokens=run.saved_tokens, method=SAVING_METHOD if certain else ""
            )  # fmt: skip
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)
            for candidate in running:
                late = candidate.attempt("cancelled", run.elapsed_s) if certain else cut_short(candidate, run.context)
                _ended(run, late)
            return


def _out_of_time(run: _Run, running: int) -> str | None:
    """Why everything is cut off now, if it is. Before that, everyone is told to answer when the reserve for it begins."""
    hurry = run.context.hurry
    if run.left_s <= _margin_s(run.config):
        return "the deadline has come"
    if run.left_s <= _reserve_s(run, running):
        hurry.set()
    if hurry.is_set() and run.hurried_s is None:
        run.hurried_s = run.elapsed_s
    late = run.hurried_s is not None and run.elapsed_s - run.hurried_s > _HURRY_S
    return "there was no answer in time" if late else None


def _certain(run: _Run, running: int) -> str | None:
    if not run.config.early_stop:
        return None
    ended = list(run.attempts.values())
    return cannot_change(run.config.select, run.problem, ended, running, m=_short_m(run.config), verifier=run.verifier)


def _ended(run: _Run, attempt: Attempt) -> None:
    run.attempts[attempt.index] = attempt
    data = {
        "status": attempt.status, "usage": asdict(attempt.usage), "mean_logprob": attempt.mean_logprob, "ttft_s":
        attempt.ttft_s, "elapsed_s": attempt.elapsed_s, "error": attempt.error, "retries": attempt.retries, "text":
        attempt.text,
    }  # fmt: skip
    run.context.emit("attempt_done", attempt.index, attempt.answer or "", data)


def _margin_s(config: SolveConfig) -> float:
    """Before the deadline, when everything is cut off: enough to choose without another token."""
    return min(0.25, 0.05 * (config.deadline_s or 0.0))


def _reserve_s(run: _Run, running: int) -> float:
    """Before the deadline, when thinking is closed: enough for the reserved answers at the speed seen so far, with half of it
    again for safety, but never more than 40 % of the deadline. 0 without a deadline, or where nobody can be made to answer."""
    deadline_s = run.config.deadline_s
    if deadline_s is None or not run.context.can_force:
        return 0.0
    written = sum(c.usage.completion_tokens for c in run.candidates)
    first = min((c.first_s for c in run.candidates if c.first_s is not None), default=None)
    busy_s = max(0.05, run.elapsed_s - first) if first is not None else 0.0
    rate = written / busy_s if busy_s and written else 50.0
    estimate = 1.5 * running * run.config.answer_tokens / rate + 0.1
    return min(0.4 * deadline_s, estimate) + _margin_s(run.config)


def _short_m(config: SolveConfig) -> int:
    return config.short_m or max(1, (config.n or 1) // 2)


async def _choose(run: _Run, judge: Engine) -> Choice:
    attempts = [run.attempts[i] for i in sorted(run.attempts)]

    async def compare(question: str, first: Attempt, second: Attempt) -> Order:
        order, failure = await _judge_once(run, judge, question, first, second)
        run.context.emit("judged", first=first.index, second=second.index, order=order, error=failure)
        return order

    selector = make_selector(run.config.select, m=_short_m(run.config), verifier=run.verifier, compare=compare)
    return await selector(run.problem, attempts)


async def _judge_once(run: _Run, judge: Engine, question: str, first: Attempt, second: Attempt) -> tuple[Order, str]:
    """One comparison, and what went wrong with it. A failure, nonsense or no time left is `invalid`: then votes decide."""
    schema = JUDGE_SCHEMA if "json_schema" in judge.info.can else None
    messages = judge_messages(question, _shown(first), _shown(second))
    request = Request(messages, Sampling(run.config.judge_tokens, 0.0, 1.0, run.config.seed), json_schema=schema)
    text, usage = "", Usage()

    async def ask() -> bool:
        nonlocal text, usage
        async with aclosing(judge.stream(request)) as chunks:
            async for chunk in chunks:
                text, usage = text + chunk.text, chunk.usage or usage
        return True

    left_s = run.left_s - _margin_s(run.config) / 2
    try:
        asked = left_s > 0 and await within(ask(), run.context.hurry, None if left_s == float("inf") else left_s)
    except EngineError as error:
        return "invalid", str(error.args[0])
    finally:
        run.judged += usage
    return (read_verdict(text), "") if asked else ("invalid", "no time left for the judge")


def _shown(attempt: Attempt) -> str:
    """What the judge sees of an attempt: its text without the thinking, and its answer in the same words for everyone."""
    visible = split_thinking(attempt.text).text.strip()
    return visible if visible.endswith(attempt.answer or "") and visible else f"{visible}\nAnswer: {attempt.answer}"


def read_verdict(text: str) -> Order:
    """The judge's order from its reply, whose JSON may stand among other words; anything unclear is `invalid`.

    >>> read_verdict('Sure: {"better": "second"}'), read_verdict('{"better": "both"}')
    ('second', 'invalid')
    """
    orders: dict[str, Order] = {"first": "first", "second": "second", "tie": "tie"}
    for found in re.findall(r"\{[^{}]*\}", text[-4000:]):
        with suppress(ValueError):
            value = json.loads(found).get(BETTER)
            if isinstance(value, str) and value in orders:
                return orders[value]
    return "invalid"
