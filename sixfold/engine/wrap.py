"""Engines made of engines: n choices out of single requests, and retries of what may be retried.

They do not know which engine is inside, and they never repeat a request that has already given text: that is for the
caller, who knows what the text was worth.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from sixfold.core import Chunk, Engine, EngineInfo, Request, Usage
from sixfold.errors import EngineError

Stream = Callable[[Request], AsyncGenerator[Chunk, None]]

_FOR_ALL = frozenset({"auth", "context", "missing", "refused"})
"""Kinds of failure that the same request meets with every seed."""

_BUFFERED = 256
"""Chunks of one request that may wait for a slow reader; then its choices wait too, and so does the server."""


def refuse_missing(info: EngineInfo, request: Request, *, hint: str) -> None:
    """Raises `EngineError` for a request that asks for what the engine is not known to be able to do."""
    asks = {
        "logprobs": request.sampling.logprobs,
        "json_schema": request.json_schema is not None,
        "prefill": bool(request.prefill),
    }
    missing = [name for name, asked in asks.items() if asked and name not in info.can]
    if missing:
        raise EngineError(
            f"the engine {info.name} cannot do {', '.join(missing)}, which this run needs", kind="missing", hint=hint
        )


async def fan_out(stream: Stream, request: Request) -> AsyncGenerator[Chunk, None]:
    """Serve n choices by n single requests, choice i with seed + i. One that fails alone ends with finish `error`; what
    fails for all of them alike (a wrong key, a question over the context), or did so before any text, raises."""
    items: asyncio.Queue[Chunk | asyncio.Task[None]] = asyncio.Queue()
    room = asyncio.Semaphore(_BUFFERED)

    async def one(index: int) -> None:
        sampling = request.sampling
        if sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + index)
        async with aclosing(stream(replace(request, n=1, sampling=sampling))) as chunks:
            async for chunk in chunks:
                await room.acquire()
                items.put_nowait(replace(chunk, index=index))

    tasks = [asyncio.create_task(one(i)) for i in range(request.n)]
    for task in tasks:
        task.add_done_callback(items.put_nowait)
    used: dict[int, Usage] = {}
    failed: dict[int, EngineError] = {}
    running, begun = request.n, False
    try:
        while running:
            item = await items.get()
            if isinstance(item, Chunk):
                room.release()
                begun = True
                used[item.index] = item.usage or used.get(item.index, Usage())
                yield item
            else:
                running -= 1
                error = item.exception()
                if isinstance(error, EngineError) and (error.retryable or error.kind not in _FOR_ALL):
                    failed[tasks.index(item)] = error
                elif error:
                    raise error
            if failed and not begun and not running:
                raise next(iter(failed.values()))
            while failed and begun:
                index, failure = failed.popitem()
                usage, said = used.get(index, Usage()), str(failure.args[0])
                yield Chunk(index, finish="error", usage=usage, error=said, retryable=failure.retryable)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Retry:
    """An engine that tries a request again when it failed before its first chunk and the failure may pass.

    Waits `first_wait_s * 2**k` with jitter, or as long as the server asked; gives up where that is over `longest_wait_s`.
    What it has given up is not `retryable` any more: nobody further out shall begin the same waits again.
    """

    def __init__(self, inner: Engine, *, tries: int = 4, first_wait_s: float = 0.5, longest_wait_s: float = 60.0) -> None:
        self.inner = inner
        self.tries = tries
        self.first_wait_s = first_wait_s
        self.longest_wait_s = longest_wait_s

    @property
    def info(self) -> EngineInfo:
        return self.inner.info

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        several = request.n > 1 and not self.info.shares_prompt
        async with aclosing(fan_out(self._retried, request) if several else self._retried(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _retried(self, request: Request) -> AsyncGenerator[Chunk, None]:
        for tried in range(1, self.tries + 1):
            started = False
            try:
                async with aclosing(self.inner.stream(request)) as chunks:
                    async for chunk in chunks:
                        started = True
                        yield chunk
                return
            except EngineError as error:
                asked = error.retry_after_s
                if started or not error.retryable:
                    raise
                if tried >= self.tries or (asked or 0.0) > self.longest_wait_s:
                    error.retryable = False
                    raise
            backoff = min(self.first_wait_s * 2 ** (tried - 1) * (0.5 + random.random()), self.longest_wait_s)
            await asyncio.sleep(backoff if asked is None else asked)
