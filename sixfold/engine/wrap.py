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

from sixfold.core import Chunk, Engine, EngineInfo, Finish, Request, Usage
from sixfold.errors import EngineError

Stream = Callable[[Request], AsyncGenerator[Chunk, None]]

_END: Finish = "error"


async def fan_out(stream: Stream, request: Request) -> AsyncGenerator[Chunk, None]:
    """Serve n choices by n single requests, choice i with seed + i. One that fails alone ends with finish `error`;
    what would fail for all of them alike (a wrong key, a question over the context) raises."""
    queue: asyncio.Queue[Chunk | EngineError | None] = asyncio.Queue()

    async def one(index: int) -> None:
        sampling = request.sampling
        if sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + index)
        try:
            async with aclosing(stream(replace(request, n=1, sampling=sampling))) as chunks:
                async for chunk in chunks:
                    queue.put_nowait(replace(chunk, index=index))
        except EngineError as error:
            alone = error.retryable
            queue.put_nowait(Chunk(index, finish=_END, error=str(error.args[0]), usage=Usage()) if alone else error)
        finally:
            queue.put_nowait(None)

    tasks = [asyncio.create_task(one(i)) for i in range(request.n)]
    try:
        running = request.n
        while running:
            item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, EngineError):
                raise item
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Retry:
    """An engine that tries a request again when it failed before its first chunk and the failure may pass.

    Waits `first_wait_s * 2**k` with jitter, or as long as the server asked; gives up where that is over `longest_wait_s`.
    """

    def __init__(
        self, inner: Engine, *, tries: int = 4, first_wait_s: float = 0.5, longest_wait_s: float = 60.0
    ) -> None:
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
        for attempt in range(self.tries):
            started = False
            try:
                async with aclosing(self.inner.stream(request)) as chunks:
                    async for chunk in chunks:
                        started = True
                        yield chunk
                return
            except EngineError as error:
                asked = error.retry_after_s
                last = attempt == self.tries - 1
                if started or last or not error.retryable or (asked or 0.0) > self.longest_wait_s:
                    raise
                backoff = min(self.first_wait_s * 2**attempt * (0.5 + random.random()), self.longest_wait_s)
                await asyncio.sleep(asked if asked is not None else backoff)
