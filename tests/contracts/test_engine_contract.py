"""What every engine promises, held against every engine that ships and against every dialect that one may speak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from dialects import Peer, serve

from sixfold.core import Chunk, Engine, EngineInfo, Message, Request, Sampling
from sixfold.engine.dialects import DIALECTS
from sixfold.engine.llamacpp import LlamaCppEngine, Settings, open_llamacpp
from sixfold.engine.remote import RemoteEngine
from sixfold.engine.scripted import Reply, ScriptedEngine
from sixfold.engine.wrap import Retry
from sixfold.errors import EngineError

MODELS = [pytest.param(name, marks=pytest.mark.model) for name in ("embedded", "embedded-peer")]
DIALECT_NAMES = ("vllm", "sglang", "cerebras", "llama-server", "openai")


@dataclass
class Case:
    """An engine, how many requests it works on at this moment, and a question that it answers at length."""

    engine: Engine
    running: Callable[[], Awaitable[int]]
    limited: Engine
    """The same engine, but known to be able to do nothing."""

    def ask(self, text: str = "Count from one to one thousand.", *, n: int = 1, max_tokens: int = 8, seed: int = 3) -> Request:
        return Request((Message("user", text),), Sampling(max_tokens, 1.0, 1.0, seed), n=n)


def scripted(can: frozenset[str] | None = None) -> ScriptedEngine:
    def script(request: Request, served: int) -> Reply:
        return Reply(f"{request.sampling.seed} " + "word " * 1000, token_s=0.001)

    return ScriptedEngine(script, context_tokens=500, **({} if can is None else {"can": can}))


async def peers_open(peer: Peer) -> int:
    return peer.open


async def slots_busy(engine: LlamaCppEngine) -> int:
    page = await engine.remote.get(engine.remote.url.removesuffix("/v1") + "/slots")
    return sum(slot["is_processing"] for slot in page.json())


async def make_case(name: str, request: pytest.FixtureRequest, stack: AsyncExitStack) -> Case:
    if name in ("scripted", "retry"):
        inner = scripted()

        async def running() -> int:
            return inner.running

        wrapped: Engine = Retry(inner) if name == "retry" else inner
        return Case(wrapped, running, scripted(frozenset()))
    if name in DIALECT_NAMES:
        peer = await stack.enter_async_context(serve(name, delay_s=0.001))
        dialect = replace(DIALECTS[name], promises=frozenset({"n", "seed", "logprobs"}))
        engine = RemoteEngine(dialect, peer.url, info=dialect.info("tiny", 2048))
        limited = RemoteEngine(dialect, peer.url, info=EngineInfo(name, "tiny"))
        stack.push_async_callback(engine.aclose)
        stack.push_async_callback(limited.aclose)
        return Case(engine, lambda: peers_open(peer), limited)
    path: Path = request.getfixturevalue("model_path")
    embedded = await open_llamacpp(Settings(str(path), slots=2, context_tokens=512, threads=1))
    stack.push_async_callback(embedded.aclose)
    remote = embedded.remote
    limited = RemoteEngine(remote.dialect, remote.url, info=EngineInfo("peer", ""), key=embedded._key)
    stack.push_async_callback(limited.aclose)
    if name == "embedded":
        return Case(embedded, lambda: slots_busy(embedded), limited)
    dialect = DIALECTS["llama-server"]
    as_remote = Retry(RemoteEngine(dialect, remote.url, info=dialect.info(""), key=embedded._key))
    stack.push_async_callback(as_remote.aclose)
    return Case(as_remote, lambda: slots_busy(embedded), limited)


@pytest.fixture(params=["scripted", "retry", *DIALECT_NAMES, *MODELS])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with AsyncExitStack() as stack:
        yield await make_case(request.param, request, stack)


async def gather(engine: Engine, request: Request) -> list[Chunk]:
    return [chunk async for chunk in engine.stream(request)]


def texts(chunks: list[Chunk]) -> dict[int, str]:
    said: dict[int, str] = {}
    for chunk in chunks:
        said[chunk.index] = said.get(chunk.index, "") + chunk.reasoning + chunk.text
    return said


@pytest.mark.parametrize("n", [1, 2])
async def test_the_last_chunk_of_every_choice_and_only_it_has_a_finish(case: Case, n: int) -> None:
    chunks = await gather(case.engine, case.ask(n=n))
    for index in range(n):
        own = [chunk for chunk in chunks if chunk.index == index]
        assert [bool(chunk.finish) for chunk in own] == [False] * (len(own) - 1) + [True]
        assert own[-1].finish == "length"
        assert len(own) > 2
    assert {chunk.index for chunk in chunks} == set(range(n))


@pytest.mark.parametrize("n", [1, 2])
async def test_usage_grows_to_what_was_spent(case: Case, n: int) -> None:
    chunks = await gather(case.engine, case.ask(n=n))
    for index in range(n):
        counts = [c.usage.completion_tokens for c in chunks if c.index == index and c.usage]
        assert counts == sorted(counts)
        assert counts[-1] == 8
    ends = [chunk.usage for chunk in chunks if chunk.finish and chunk.usage]
    assert len(ends) == n
    assert all(usage.prompt_tokens > 0 for usage in ends)
    assert all(0 <= usage.cached_tokens <= usage.prompt_tokens for usage in ends)


@pytest.mark.parametrize("n", [1, 2])
async def test_closing_the_iterator_frees_the_work_within_a_second(case: Case, n: int) -> None:
    async with aclosing(case.engine.stream(case.ask(n=n, max_tokens=400))) as chunks:
        seen = 0
        async for _ in chunks:
            seen += 1
            if seen == 6:
                break
        assert await case.running() == n
    await wait_until_free(case)


async def test_cancelling_the_reader_frees_the_work_within_a_second(case: Case) -> None:
    began = asyncio.Event()

    async def read() -> None:
        async for _ in case.engine.stream(case.ask(max_tokens=400)):
            began.set()

    task = asyncio.create_task(read())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until_free(case)


async def wait_until_free(case: Case) -> None:
    for _ in range(50):
        if await case.running() == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{await case.running()} requests still run")


async def test_same_request_and_seed_give_the_same_text(case: Case) -> None:
    assert "seed" in case.engine.info.can
    first, again, other = [texts(await gather(case.engine, case.ask(seed=seed))) for seed in (5, 5, 6)]
    assert first == again
    assert first != other


async def test_choice_i_draws_with_seed_plus_i(case: Case) -> None:
    both = texts(await gather(case.engine, case.ask(n=2, seed=5)))
    alone = [texts(await gather(case.engine, case.ask(seed=seed)))[0] for seed in (5, 6)]
    assert [both[0], both[1]] == alone


async def test_logprobs_are_there_for_every_token(case: Case) -> None:
    request = replace(case.ask(), sampling=Sampling(8, 1.0, 1.0, 3, logprobs=True))
    values = [value for chunk in await gather(case.engine, request) for value in chunk.logprobs]
    assert len(values) == 8
    assert all(value <= 0 for value in values)


@pytest.mark.parametrize(
    "more",
    [{"prefill": "One"}, {"json_schema": {"type": "object"}}, {"sampling": Sampling(logprobs=True)}],
    ids=["prefill", "json_schema", "logprobs"],
)
async def test_what_an_engine_is_not_known_to_do_is_refused(case: Case, more: dict[str, object]) -> None:
    with pytest.raises(EngineError) as caught:
        await gather(case.limited, replace(case.ask(), **more))
    assert caught.value.kind == "missing"
    assert not caught.value.retryable
    assert caught.value.hint


@pytest.mark.parametrize("n", [1, 2])
async def test_a_question_over_the_context_is_an_engine_error(case: Case, n: int) -> None:
    with pytest.raises(EngineError) as caught:
        await gather(case.engine, case.ask("word " * 3000, n=n))
    assert caught.value.kind == "context"
    assert not caught.value.retryable
    assert caught.value.hint
    await wait_until_free(case)
    assert texts(await gather(case.engine, case.ask()))[0]
