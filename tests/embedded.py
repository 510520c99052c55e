"""The embedded engine, as several test files start it and read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from sixfold.core import Request, Usage
from sixfold.engine.llamacpp import LlamaCppEngine, Settings, open_llamacpp


@asynccontextmanager
async def engine_on(path: Path, **settings: object) -> AsyncIterator[LlamaCppEngine]:
    engine = await open_llamacpp(Settings(str(path), **settings))  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        await engine.aclose()


async def texts_of(engine: LlamaCppEngine, request: Request) -> tuple[dict[int, str], Usage]:
    texts: dict[int, str] = {}
    used: dict[int, Usage] = {}
    async with aclosing(engine.stream(request)) as chunks:
        async for chunk in chunks:
            texts[chunk.index] = texts.get(chunk.index, "") + chunk.text
            used[chunk.index] = chunk.usage or used[chunk.index]
    return texts, sum(used.values(), Usage())
