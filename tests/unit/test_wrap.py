"""n choices out of single requests, retries, and the scripted engine they are tried on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from sixfold.core import Chunk, EngineInfo, Message, Request, Sampling, Usage
from sixfold.engine import wrap
from sixfold.engine.scripted import Reply, ScriptedEngine, load_script
from sixfold.engine.wrap import Retry, fan_out
from sixfold.errors import ConfigError, EngineError


def ask(n: int = 1, **sampling: object) -> Request:
    return Request((Message("user", "why?"),), Sampling(**sampling), n=n)


async def gather(stream: AsyncGenerator[Chunk, None]) -> list[Chunk]:
    return [chunk async for chunk in stream]


class Failing:
    """Fails with the given errors in turn, then answers. `after` chunks come before each failure."""

    def __init__(self, *errors: EngineError, after: int = 0) -> None:
        self.info = EngineInfo("failing", "none")
        self.errors = list(errors)
        self.after = after
        self.asked = 0

    async def aclose(self) -> None:
        self.closed = True

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.asked += 1
        error = self.errors.pop(0) if self.errors else None
        for _ in range(self.after if error else 1):
            yield Chunk(text="so ", usage=Usage(2, 0, 1))
        if error:
            raise error
        yield Chunk(finish="stop", usage=Usage(2, 0, 1))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a `Retry` would have waited."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(wrap.asyncio, "sleep", sleep)
    return slept


def passing(after_s: float | None = None) -> EngineError:
    return EngineError("busy", kind="rate", retryable=True, retry_after_s=after_s)


async def test_retry_waits_longer_each_time_and_then_answers(waits: list[float]) -> None:
    engine = Failing(passing(), passing(), passing())
    chunks = await gather(Retry(engine, first_wait_s=1.0).stream(ask()))
    assert chunks[-1].finish == "stop"
    assert [low <= wait <= 3 * low for low, wait in zip((0.5, 1.0, 2.0), waits, strict=True)] == [True] * 3


async def test_retry_waits_as_long_as_the_server_asks(waits: list[float]) -> None:
    await gather(Retry(Failing(passing(7.0))).stream(ask()))
    assert waits == [7.0]


async def test_retry_does_not_wait_for_a_server_that_asks_too_much(waits: list[float]) -> None:
    engine = Failing(passing(61.0))
    with pytest.raises(EngineError) as caught:
        await gather(Retry(engine).stream(ask()))
    assert (engine.asked, waits) == (1, [])
    assert not caught.value.retryable, "the caller would ask again at once"


async def test_retry_gives_up_after_its_tries(waits: list[float]) -> None:
    engine = Failing(*(passing() for _ in range(9)))
    with pytest.raises(EngineError) as caught:
        await gather(Retry(engine, tries=3).stream(ask()))
    assert engine.asked == 3
    assert not caught.value.retryable, "the caller would begin three more tries"


async def test_what_will_not_pass_is_not_retried(waits: list[float]) -> None:
    engine = Failing(EngineError("wrong key", kind="auth"))
    with pytest.raises(EngineError):
        await gather(Retry(engine).stream(ask()))
    assert engine.asked == 1


async def test_a_request_that_gave_text_is_not_repeated(waits: list[float]) -> None:
    engine = Failing(passing(), after=1)
    with pytest.raises(EngineError) as caught:
        await gather(Retry(engine).stream(ask()))
    assert engine.asked == 1
    assert caught.value.retryable, "the caller may go on from the text"


async def test_each_choice_is_retried_by_itself(waits: list[float]) -> None:
    engine = Failing(passing(), passing())
    chunks = await gather(Retry(engine).stream(ask(n=3)))
    assert sorted(chunk.index for chunk in chunks if chunk.finish == "stop") == [0, 1, 2]
    assert engine.asked == 5


async def test_retry_closes_the_engine_inside() -> None:
    engine = ScriptedEngine(["a"])
    await Retry(engine).aclose()
    assert engine.closed


async def test_fan_out_seeds_choice_i_with_seed_plus_i() -> None:
    engine = ScriptedEngine(lambda request, served: str(request.sampling.seed))
    chunks = await gather(fan_out(engine.stream, ask(n=3, seed=10)))
    assert {chunk.index: chunk.text for chunk in chunks if chunk.text} == {0: "10", 1: "11", 2: "12"}


async def test_a_choice_that_fails_alone_ends_with_its_error_and_its_usage() -> None:
    engine = ScriptedEngine([Reply("one two three", fails_after=2, error="died"), "fine"])
    chunks = await gather(engine.stream(ask(n=2)))
    (failed,) = [chunk for chunk in chunks if chunk.finish == "error"]
    assert (failed.index, failed.error, failed.retryable) == (0, "died", True)
    assert failed.usage
    assert failed.usage.completion_tokens == 2
    assert [chunk.index for chunk in chunks if chunk.finish == "stop"] == [1]


async def test_choices_that_all_fail_before_any_text_raise() -> None:
    engine = ScriptedEngine([Reply("one", fails_after=0, error="down")])
    with pytest.raises(EngineError, match="down"):
        await gather(engine.stream(ask(n=3)))


async def test_a_choice_that_fails_first_is_told_of_when_another_begins() -> None:
    engine = ScriptedEngine([Reply("one", fails_after=0, error="down"), Reply("late", first_s=0.02)])
    chunks = await gather(engine.stream(ask(n=2)))
    assert {(chunk.index, chunk.finish) for chunk in chunks if chunk.finish} == {(0, "error"), (1, "stop")}


async def test_an_error_for_all_alike_stops_the_others() -> None:
    def script(request: Request, served: int) -> Reply:
        if served == 1:
            raise EngineError("wrong key", kind="auth")
        return Reply("word " * 100, token_s=0.01)

    engine = ScriptedEngine(script)
    with pytest.raises(EngineError, match="wrong key"):
        await gather(engine.stream(ask(n=2)))
    assert engine.running == 0


@pytest.mark.parametrize("kind", ["protocol", "server", "rate", "died", "unreachable"])
async def test_what_fails_one_choice_for_good_does_not_stop_the_others(kind: str) -> None:
    def script(request: Request, served: int) -> Reply:
        if request.sampling.seed == 11:
            raise EngineError("garbage", kind=kind)
        return Reply("word " * 3, token_s=0.001)

    ends = {c.index: c for c in await gather(ScriptedEngine(script).stream(ask(n=3, seed=10))) if c.finish}
    assert [ends[i].finish for i in range(3)] == ["stop", "error", "stop"]
    assert (ends[1].error, ends[1].retryable) == ("garbage", False)


@pytest.mark.parametrize("kind", ["auth", "context", "missing", "refused"])
async def test_what_every_choice_meets_is_raised_once_for_all(kind: str) -> None:
    def script(request: Request, served: int) -> Reply:
        if served == 1:
            raise EngineError("not for you", kind=kind)
        return Reply("word " * 100, token_s=0.001)

    with pytest.raises(EngineError, match="not for you"):
        await gather(ScriptedEngine(script).stream(ask(n=3)))


async def test_a_bug_in_an_engine_is_not_swallowed() -> None:
    def script(request: Request, served: int) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await gather(ScriptedEngine(script).stream(ask(n=2)))


async def test_a_slow_reader_holds_the_engine_back() -> None:
    engine = ScriptedEngine(["word " * 5000])
    async with aclosing(engine.stream(ask(n=2, max_tokens=5000))) as chunks:
        first = await anext(chunks)
        for _ in range(3000):
            await asyncio.sleep(0)
        behind: list[int] = []
        async for chunk in chunks:
            assert chunk.usage
            behind.append(chunk.usage.completion_tokens)
            if len(behind) == 2 * wrap._BUFFERED:
                break
    assert first.usage
    assert max(behind) < 2 * wrap._BUFFERED
    assert engine.running == 0


async def test_a_script_may_end_in_an_error() -> None:
    chunks = await gather(ScriptedEngine([Reply("so far", finish="error", error="filtered")]).stream(ask()))
    assert (chunks[-1].finish, chunks[-1].error, chunks[-1].retryable) == ("error", "filtered", False)
    chunks = await gather(ScriptedEngine([Reply("so far", finish="error", retryable=True)]).stream(ask()))
    assert chunks[-1].retryable


async def test_replies_are_said_in_turn_and_the_last_one_stays() -> None:
    engine = ScriptedEngine(["a", "b"])
    said = [(await gather(engine.stream(ask())))[0].text for _ in range(3)]
    assert said == ["a", "b", "b"]


def write(text: str | bytes) -> Callable[[Path], Path]:
    def to(folder: Path) -> Path:
        path = folder / "script.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to


async def test_a_script_file_holds_texts_and_replies(tmp_path: Path) -> None:
    engine = load_script(write('["a", {"text": "b", "reasoning": "hm", "finish": "length"}]')(tmp_path))
    await gather(engine.stream(ask()))
    thought, said, end = await gather(engine.stream(ask()))
    assert (thought.reasoning, said.text, end.finish) == ("hm", "b", "length")


@pytest.mark.parametrize(
    "text", ["{}", "3", "nonsense", '[{"text": "a", "typo": 1}]', '[{"text": 5}]', "[7]", b"\xff"], ids=repr
)
def test_a_file_that_is_no_script_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ConfigError, match="is not a script"):
        load_script(write(text)(tmp_path))


def test_a_missing_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a script"):
        load_script(tmp_path / "none.json")
