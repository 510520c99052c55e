"""One candidate: it thinks within its budget, is asked for its answer when that is spent, and survives a dying engine.

Place: `solve.py` starts N of these and collects the `Attempt` each one ends with; whatever happens on the way goes out through
`Context.emit`. It does not compare answers and does not know of the other candidates, except that `Shared` lets them read one
request for N choices, so that the engine computes their common prompt once.

Thinking that was cut is never searched for an answer. Where a candidate is made to answer, only what it writes after the words
that close its thinking counts; its status is then `forced`, unless it had ended by itself and only not said what its answer is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sixfold.core import Attempt, AttemptStatus, Chunk, Engine, Finish, Message, Request, Sampling, Usage
from sixfold.errors import EngineError
from sixfold.reason.form import LINE, Form
from sixfold.reason.prompts import CLOSE_THINKING, CLOSE_UNTAGGED
from sixfold.verify.extract import split_thinking

Emit = Callable[..., None]
_REASONING: Mapping[str, Any] = {"channel": "reasoning"}
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 60.0
_SPARE_TOKENS = 16
"""Room in the context for the words that close thinking, and how far an engine may overrun a budget."""

T = TypeVar("T")


@dataclass(slots=True)
class Context:
    """What all candidates of a solve share. `hurry` is set when everyone has to answer now."""

    engine: Engine
    sampling: Sampling
    think_tokens: int
    answer_tokens: int
    retries: int
    emit: Emit
    hurry: asyncio.Event
    form: Form = LINE
    last_error: EngineError | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def can_force(self) -> bool:
        return "prefill" in self.engine.info.can

    def first_request(self, messages: tuple[Message, ...], n: int = 1, index: int = 0) -> Request:
        """The request that candidate `index` (or n of them from there on) begins with."""
        budget = self.think_tokens if self.can_force else self.think_tokens + self.answer_tokens
        seed = None if self.sampling.seed is None else self.sampling.seed + index
        sampling = replace(self.sampling, max_tokens=budget, seed=seed)
        return Request(messages, sampling, n=n, think_tokens=self.think_tokens)


@dataclass(slots=True)
class Candidate:
    """A chain of thought while it grows. `spent` is what its ended requests used, `now` what the running one has."""

    index: int
    messages: tuple[Message, ...]
    text: str = ""
    reasoning: str = ""
    answer: str | None = None
    answer_from: int | None = None
    spent: Usage = Usage()
    now: Usage = Usage()
    logprob_sum: float = 0.0
    logprob_count: int = 0
    first_s: float | None = None
    retries: int = 0
    discarded: int = 0
    error: str | None = None

    def discard(self) -> None:
        """Begin again: what was written is lost, and its tokens are counted as wasted."""
        self.discarded = self.usage.completion_tokens
        self.text = self.reasoning = ""
        self.answer, self.logprob_sum, self.logprob_count = None, 0.0, 0

    @property
    def usage(self) -> Usage:
        return self.spent + self.now

    @property
    def written(self) -> str:
        """All of it as one text: what an engine needs in order to go on from there."""
        if not self.reasoning:
            return self.text
        return f"<think>{self.reasoning}" + (f"</think>\n\n{self.text}" if self.text else "")

    def attempt(self, status: AttemptStatus, elapsed_s: float) -> Attempt:
        mean = self.logprob_sum / self.logprob_count if self.logprob_count else None
        answer = self.answer if status in ("done", "forced") else None
        wasted = self.usage.completion_tokens if status in ("cancelled", "failed") else self.discarded
        return Attempt(
            self.index, self.written, answer, status, self.usage, mean, self.first_s, elapsed_s, self.error, self.retries,
            wasted,
        )  # fmt: skip


class Shared:
    """One request for N choices, read as N streams. It is closed when its last reader is."""

    def __init__(self, engine: Engine, request: Request) -> None:
        self._queues: list[asyncio.Queue[Chunk | EngineError]] = [asyncio.Queue() for _ in range(request.n)]
        self._readers = request.n
        self._pump = asyncio.create_task(self._run(engine, request))

    async def _run(self, engine: Engine, request: Request) -> None:
        failure = EngineError("the engine ended without finishing this choice", kind="protocol", retryable=True)
        try:
            async with aclosing(engine.stream(request)) as chunks:
                async for chunk in chunks:
                    self._queues[chunk.index].put_nowait(chunk)
        except EngineError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the readers must not wait for ever
            failure = _broken(error)
        for queue in self._queues:
            queue.put_nowait(failure)

    async def stream(self, index: int) -> AsyncGenerator[Chunk, None]:
        try:
            while True:
                item = await self._queues[index].get()
                if isinstance(item, EngineError):
                    raise item
                yield item
                if item.finish is not None:
                    return
        finally:
            self._readers -= 1
            if not self._readers:
                await self.aclose()

    async def aclose(self) -> None:
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)


async def run_attempt(candidate: Candidate, context: Context, stream: AsyncGenerator[Chunk, None]) -> Attempt:
    """Think, and answer. A failure is a value: only cancelling raises. `stream` is the candidate's first request."""
    status: AttemptStatus = "failed"
    try:
        finish = await within(_think(candidate, context, stream), context.hurry)
        status = await _conclude(candidate, context, finish)
    except EngineError as error:
        candidate.error, context.last_error = str(error.args[0]), error
    except Exception as error:  # noqa: BLE001 - one attempt's fault must not take the others with it
        context.last_error = _broken(error)
        candidate.error = str(context.last_error.args[0])
    return candidate.attempt(status, time.monotonic() - context.started)


def cut_short(candidate: Candidate, context: Context) -> Attempt:
    """A candidate that is cut off with no time to ask it: done where it has said its answer already, else cancelled."""
    candidate.answer = _said_beyond_thinking(candidate, context)
    return candidate.attempt("done" if candidate.answer else "cancelled", time.monotonic() - context.started)


def _broken(error: Exception) -> EngineError:
    return EngineError(f"the engine broke: {type(error).__name__}: {error}", kind="protocol", hint="please report this")


async def within(work: Coroutine[Any, Any, T], hurry: asyncio.Event, limit_s: float | None = None) -> T | None:
    """The result of `work`, or `None` where `hurry` or the limit came first; then the work is cancelled."""
    task, waiter = asyncio.ensure_future(work), asyncio.ensure_future(hurry.wait())
    try:
        await asyncio.wait({task, waiter}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        waiter.cancel()
        await asyncio.gather(task, waiter, return_exceptions=True)


async def _think(candidate: Candidate, context: Context, stream: AsyncGenerator[Chunk, None]) -> Finish:
    def resume() -> Request | None:
        request = context.first_request(candidate.messages, index=candidate.index)
        if not (context.can_force and candidate.written):
            candidate.discard()
            return request
        left = context.think_tokens - candidate.spent.completion_tokens
        sampling = replace(request.sampling, max_tokens=left)
        return replace(request, prefill=candidate.written, sampling=sampling) if left > 0 else None

    return await _persist(candidate, context, stream, resume)


async def _persist(
    candidate: Candidate, context: Context, stream: AsyncGenerator[Chunk, None], resume: Callable[[], Request | None]
) -> Finish:
    """Read until the request ends. Where the engine fails on the way, go on with `resume()`: from where the text stood if the
    engine can, else from the beginning; `None` says that nothing is left to be written."""
    while True:
        try:
            return await _read(candidate, context, stream)
        except EngineError as error:
            asked_s = error.retry_after_s or 0.0
            if not error.retryable or candidate.retries >= context.retries or asked_s > _LONGEST_WAIT_S:
                raise
            candidate.retries += 1
            context.emit("attempt_retried", candidate.index, str(error.args[0]), retry=candidate.retries)
            wait_s = asked_s or _FIRST_WAIT_S * 2 ** (candidate.retries - 1) * (0.5 + random.random())
            await asyncio.sleep(wait_s)
        candidate.spent, candidate.now = candidate.usage, Usage()
        request = resume()
        if request is None:
            return "length"
        stream = context.engine.stream(request)


async def _read(candidate: Candidate, context: Context, stream: AsyncGenerator[Chunk, None]) -> Finish:
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            if chunk.usage is not None:
                candidate.now = chunk.usage
            if chunk.text or chunk.reasoning:
                _take(candidate, context, chunk)
            if chunk.finish == "error":
                raise EngineError(chunk.error or "the engine failed", kind="server", retryable=chunk.retryable)
            if chunk.finish is not None:
                return chunk.finish
            if _spent(candidate, context):
                return "length"
    raise EngineError("the engine ended without a finish", kind="protocol", retryable=True)


def _spent(candidate: Candidate, context: Context) -> bool:
    """Whether the budget is spent although the engine goes on: some ignore it, and the context must hold the answer too."""
    written = candidate.usage.completion_tokens - candidate.discarded
    if candidate.answer_from is not None:
        return candidate.now.completion_tokens > context.answer_tokens + _SPARE_TOKENS
    budget = context.think_tokens + (0 if context.can_force else context.answer_tokens)
    return written > budget + _SPARE_TOKENS or candidate.now.completion_tokens >= _room(candidate, context)


def _room(candidate: Candidate, context: Context) -> float:
    """Tokens that thinking may take so that the reserve for the answer still fits into the engine's context."""
    size, prompt = context.engine.info.context_tokens, candidate.now.prompt_tokens
    if size is None or not prompt or not context.can_force:
        return float("inf")
    room = size - prompt - context.answer_tokens - _SPARE_TOKENS
    if room <= 0:
        raise EngineError(
            f"the question has {prompt} tokens, which leaves no room for an answer in the engine's context of {size} "
            f"(answer_tokens is {context.answer_tokens})",
            kind="context", hint="shorten the question, lower answer_tokens, or raise engine.context_tokens",
        )  # fmt: skip
    return room


def _take(candidate: Candidate, context: Context, chunk: Chunk) -> None:
    if candidate.first_s is None:
        candidate.first_s = time.monotonic() - context.started
    if chunk.reasoning:
        candidate.reasoning += chunk.reasoning
        context.emit("attempt_text", candidate.index, chunk.reasoning, _REASONING)
    if chunk.text:
        candidate.text += chunk.text
        context.emit("attempt_text", candidate.index, chunk.text)
        if "\n" in chunk.text and candidate.answer_from is None:
            _note_answer(candidate, context, context.form.read(candidate.text.rpartition("\n")[0], False))
    candidate.logprob_sum += sum(chunk.logprobs)
    candidate.logprob_count += len(chunk.logprobs)


def _note_answer(candidate: Candidate, context: Context, answer: str | None) -> None:
    if answer is not None and answer != candidate.answer:
        candidate.answer = answer
        context.emit("attempt_answer", candidate.index, answer)


async def _conclude(candidate: Candidate, context: Context, finish: Finish | None) -> AttemptStatus:
    """The status of a candidate that has stopped thinking; `finish` is `None` where it was hurried."""
    whole = finish == "stop"
    answer = context.form.read(candidate.text, True) if whole else _said_beyond_thinking(candidate, context)
    if answer is not None:
        _note_answer(candidate, context, answer)
        return "done"
    if not context.can_force:
        return "cancelled" if finish is None else "truncated"
    why = {None: "time is up", "length": "its thinking budget is spent"}.get(finish, "it ended without an answer")
    context.emit("attempt_forced", candidate.index, why)
    status = await _force(candidate, context)
    return "done" if whole and status == "forced" else status


def _said_beyond_thinking(candidate: Candidate, context: Context) -> str | None:
    """The answer in the whole lines of a text that was cut, if its thinking had ended. Without a closing tag all of it may be
    thinking, whatever it says of answers."""
    whole_lines = candidate.written.rpartition("\n")[0]
    return context.form.read(whole_lines, False) if split_thinking(whole_lines).state == "closed" else None


async def _force(candidate: Candidate, context: Context) -> AttemptStatus:
    """Close the thinking and ask for the answer within the reserve."""
    thinking = split_thinking(candidate.written).state == "open"
    closing = (CLOSE_THINKING if thinking else CLOSE_UNTAGGED) + context.form.opening
    if thinking and candidate.reasoning:
        candidate.text, candidate.reasoning = f"<think>{candidate.reasoning}", ""
    candidate.text = candidate.text.rstrip() + closing
    candidate.answer_from = len(candidate.text)
    context.emit("attempt_text", candidate.index, closing)
    candidate.spent, candidate.now = candidate.usage, Usage()
    before, thought = candidate.spent.completion_tokens, len(candidate.reasoning)

    def resume() -> Request | None:
        request = context.first_request(candidate.messages, index=candidate.index)
        left = context.answer_tokens - (candidate.spent.completion_tokens - before)
        sampling = replace(request.sampling, max_tokens=left, stop=context.form.stop, temperature=0.0)
        return replace(request, prefill=candidate.written, sampling=sampling, think_tokens=None) if left > 0 else None

    try:
        if (request := resume()) is not None:
            await _persist(candidate, context, context.engine.stream(request), resume)
    except EngineError as error:
        candidate.error, context.last_error = str(error.args[0]), error
        return "truncated"
    # Some servers take what goes on from given text for thinking, whatever stands in it.
    written = candidate.text[candidate.answer_from :].strip() or candidate.reasoning[thought:].strip()
    said = context.form.said(written)
    if said is None:
        return "truncated"
    candidate.text += context.form.ending
    _note_answer(candidate, context, said)
    return "forced"
