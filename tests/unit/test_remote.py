"""The adapter against a scripted server: every dialect, every way of misbehaving, and what is sent."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dialects import Peer, serve
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Chunk, EngineInfo, Message, Request, Sampling, Usage
from sixfold.engine.dialects import DIALECTS, parse_spec, read_key
from sixfold.engine.remote import RemoteEngine, sse_data
from sixfold.engine.wrap import Retry
from sixfold.errors import ConfigError, EngineError

NAMES = ("vllm", "sglang", "cerebras", "llama-server", "openai")
CAN = frozenset({"n", "seed", "json_schema", "logprobs", "prefill"})
ASK = Request((Message("user", "why?"),), Sampling(16, 0.0))


def engine_for(peer: Peer, *, key: str | None = None, **more: Any) -> RemoteEngine:
    dialect = replace(DIALECTS[peer.dialect], promises=CAN)
    return RemoteEngine(dialect, peer.url, info=dialect.info("tiny"), key=key, **more)


async def ask(peer: Peer, request: Request = ASK, **more: Any) -> list[Chunk]:
    engine = engine_for(peer, **more)
    try:
        return [chunk async for chunk in engine.stream(request)]
    finally:
        await engine.aclose()


async def failure(peer: Peer, request: Request = ASK, **more: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await ask(peer, request, **more)
    return caught.value


def text(chunks: Sequence[Chunk], index: int = 0) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


# Server-sent events


async def events(pieces: Sequence[bytes]) -> list[str]:
    async def feed() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [data async for data in sse_data(feed())]


PAYLOADS = st.lists(
    st.dictionaries(st.text(max_size=3), st.text(max_size=8), max_size=2).map(lambda d: json.dumps(d, ensure_ascii=False)),
    max_size=5,
)


@given(
    payloads=PAYLOADS, cuts=st.lists(st.integers(0, 400), max_size=12), end=st.sampled_from(["\n", "\r\n"]), space=st.booleans()
)
async def test_events_do_not_depend_on_how_their_bytes_are_cut(
    payloads: list[str], cuts: list[int], end: str, space: bool
) -> None:
    stream = "".join(f": ping{end}{end}id: 7{end}data:{' ' * space}{payload}{end}{end}" for payload in payloads).encode()
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert await events(pieces) == payloads


async def test_data_over_several_lines_is_one_event() -> None:
    (data,) = await events([b'data: {"a":\ndata: 1}\n\n'])
    assert json.loads(data) == {"a": 1}


async def test_the_last_event_needs_no_blank_line() -> None:
    assert await events([b"data: a\n\ndata: b"]) == ["a", "b"]


async def test_an_old_error_field_is_an_error_event() -> None:
    (data,) = await events([b'\xef\xbb\xbferror: {"code": 500}\n\n'])
    assert json.loads(data) == {"error": {"code": 500}}


@pytest.mark.parametrize("line", [b"x" * 2**20, b"data: " + b"x" * 2**20 + b"\n"], ids=["line", "event"])
async def test_an_endless_event_is_refused(line: bytes) -> None:
    with pytest.raises(EngineError, match="endless"):
        await events([line] * 9)


# Replies


@pytest.mark.parametrize("name", NAMES)
async def test_thinking_is_kept_apart_from_text(name: str) -> None:
    async with serve(name, thinks="let me see", text="It is 4") as peer:
        chunks = await ask(peer)
    assert "".join(chunk.reasoning for chunk in chunks) == "let me see "
    assert text(chunks) == "It is 4 "
    assert chunks[-1].finish == "stop"
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 6


@pytest.mark.parametrize("name", NAMES)
async def test_thinking_cut_short_is_no_text(name: str) -> None:
    async with serve(name, thinks="so many words before any answer") as peer:
        chunks = await ask(peer, replace(ASK, sampling=Sampling(4, 0.0)))
    assert text(chunks) == ""
    assert "".join(chunk.reasoning for chunk in chunks) == "so many words before "
    assert chunks[-1].finish == "length"


@pytest.mark.parametrize("said", ["<think> hm </think> 4", "hm </think> 4"], ids=["tags", "no opening tag"])
async def test_tags_stay_in_the_text(said: str) -> None:
    async with serve("openai", text=said) as peer:
        assert text(await ask(peer)) == said + " "


@pytest.mark.parametrize("name", NAMES)
async def test_counts_are_the_servers(name: str) -> None:
    async with serve(name) as peer:
        chunks = await ask(peer)
    assert chunks[-1].usage == Usage(prompt_tokens=7, cached_tokens=3, completion_tokens=5)


@pytest.mark.parametrize("name", NAMES)
async def test_without_counts_pieces_are_counted(name: str) -> None:
    async with serve(name, counts=False) as peer:
        chunks = await ask(peer)
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 5


async def test_one_prompt_for_n_choices_is_paid_once() -> None:
    async with serve("llama-server") as peer:
        ends = {c.index: c.usage for c in await ask(peer, replace(ASK, n=3)) if c.finish}
        assert len(peer.seen) == 1
    assert [ends[i].cached_tokens for i in range(3) if ends[i]] == [3, 7, 7]


async def test_more_choices_than_slots_are_asked_for_one_by_one() -> None:
    request = replace(ASK, n=3, sampling=Sampling(16, 1.0, seed=5))
    async with serve("llama-server", slots=4) as peer:
        together = await ask(peer, request, slots=3)
        assert len(peer.seen) == 1
    async with serve("llama-server", slots=2) as peer:
        assert (await failure(peer, request)).kind == "refused"
        apart = await ask(peer, request, slots=2)
        assert [sent.get("n", 1) for sent in peer.seen] == [3, 1, 1, 1]
    assert [text(apart, i) for i in range(3)] == [text(together, i) for i in range(3)]


async def test_a_count_for_all_choices_is_not_taken_for_the_count_of_one() -> None:
    async with serve("openai") as peer:
        engine = engine_for(peer)
        engine.info = replace(engine.info, shares_prompt=True)
        ends = [chunk async for chunk in engine.stream(replace(ASK, n=2)) if chunk.finish]
        await engine.aclose()
        assert len(peer.seen) == 1
    assert [end.usage and end.usage.completion_tokens for end in ends] == [5, 5]


@pytest.mark.parametrize("trouble", ["gzip", "crlf", "pings", "no-done", "whole", "no-finish"])
@pytest.mark.parametrize("name", NAMES)
async def test_odd_but_sound_replies_are_read(name: str, trouble: str) -> None:
    async with serve(name, troubles=[trouble], thinks="hm") as peer:
        odd = await ask(peer)
        usual = await ask(peer)
    assert text(odd) == text(usual)
    assert "".join(c.reasoning for c in odd) == "hm "
    assert odd[-1].finish == "stop"
    assert all(chunk.finish is None for chunk in odd[:-1])


async def test_a_stream_without_a_finish_that_used_all_its_tokens_was_cut_by_length() -> None:
    async with serve("openai", troubles=["no-finish"]) as peer:
        chunks = await ask(peer, replace(ASK, sampling=Sampling(3, 0.0)))
    assert chunks[-1].finish == "length"


@pytest.mark.parametrize(
    ("reason", "finish", "retryable"),
    [
        ("content_filter", "error", False), ("abort", "error", True), ("insufficient_system_resource", "error", True),
        ("tool_calls", "stop", False), ("max_tokens", "length", False),
    ],
)  # fmt: skip
async def test_an_odd_reason_to_end_says_whether_to_try_again(reason: str, finish: str, retryable: bool) -> None:
    async with serve("openai") as peer:
        engine = engine_for(peer)

        async def events(body: Any) -> AsyncGenerator[dict[str, Any], None]:
            yield {"choices": [{"index": 0, "delta": {"content": "so"}, "finish_reason": reason}]}
            yield {}

        engine.events = events  # type: ignore[method-assign]
        end = [chunk async for chunk in engine.stream(ASK)][-1]
        await engine.aclose()
    assert (end.finish, end.retryable) == (finish, retryable)
    assert bool(end.error) == (finish == "error")


# Failures


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("trouble", "kind", "retryable"),
    [
        ("html", "protocol", False),
        ("redirect", "protocol", False),
        ("garbage", "protocol", False),
        ("nonsense", "protocol", False),
        ("cut", "unreachable", True),
        ("error", "server", True),
        ("429", "rate", True),
        ("503", "server", True),
        ("500-final", "server", False),
        ("400-again", "refused", True),
    ],
)
async def test_failures_say_what_they_are(name: str, trouble: str, kind: str, retryable: bool) -> None:
    async with serve(name, troubles=[trouble]) as peer:
        error = await failure(peer)
        assert (error.kind, error.retryable) == (kind, retryable)
        assert error.hint


async def test_where_a_redirect_leads_is_said_and_not_followed() -> None:
    async with serve("vllm", troubles=["redirect"]) as peer:
        assert "https://elsewhere.example/v1" in str(await failure(peer))


@pytest.mark.parametrize("trouble", ["silent", "hang"])
async def test_silence_is_an_error(trouble: str) -> None:
    async with serve("vllm", troubles=[trouble]) as peer:
        error = await failure(peer, idle_timeout_s=0.1)
    assert (error.kind, error.retryable) == ("unreachable", True)
    assert "silent" in str(error)


@pytest.mark.parametrize(
    ("trouble", "seconds"), [("429", 0.0), ("429-ms", 0.001), ("429-date", 0.0), ("429-long", 3600.0), ("503", None)]
)
async def test_the_time_to_wait_is_read(trouble: str, seconds: float | None) -> None:
    async with serve("openai", troubles=[trouble]) as peer:
        assert (await failure(peer)).retry_after_s == seconds


@pytest.mark.parametrize("trouble", ["429", "429-ms", "429-date", "503"])
async def test_what_passes_is_retried(trouble: str) -> None:
    async with serve("openai", troubles=[trouble] * 2) as peer:
        engine = Retry(engine_for(peer), first_wait_s=0.001)
        chunks = [chunk async for chunk in engine.stream(ASK)]
        await engine.aclose()
        assert len(peer.seen) == 3
    assert chunks[-1].finish == "stop"


async def test_nobody_at_the_address() -> None:
    async with serve("vllm") as peer:
        pass
    error = await failure(peer)
    assert (error.kind, error.retryable) == ("unreachable", True)


async def test_a_reply_with_too_few_choices_is_an_error() -> None:
    async with serve("llama-server", troubles=["whole"]) as peer:
        engine = engine_for(peer)
        choices = engine.body(replace(ASK, n=2)) | {"n": 1}
        engine.body = lambda request: choices  # type: ignore[method-assign]
        with pytest.raises(EngineError, match="before the answer ended"):
            _ = [chunk async for chunk in engine.stream(replace(ASK, n=2))]
        await engine.aclose()


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_key_is_said_and_not_shown(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(name, key="sk-right") as peer:
        error = await failure(peer, key="sk-very-secret")
        assert (error.kind, error.retryable) == ("auth", False)
        assert "SIXFOLD_ENGINE_KEY" in error.hint
        assert "SIXFOLD_JUDGE_KEY, or judge.key_file" in (await failure(peer, role="judge")).hint
        assert (await ask(peer, key="sk-right"))[-1].finish == "stop"
    for secret in ("sk-very-secret", "sk-right", "why?"):
        assert secret not in str(error) + caplog.text


async def test_closing_in_the_middle_ends_the_connection() -> None:
    async with serve("vllm", length=10_000, delay_s=0.001) as peer:
        engine = engine_for(peer)
        stream = engine.stream(replace(ASK, sampling=Sampling(10_000, 0.0)))
        await anext(stream)
        assert peer.open == 1
        await stream.aclose()
        for _ in range(50):
            if not peer.open:
                break
            await asyncio.sleep(0.02)
        assert peer.open == 0
        assert peer.most < 10_000
        await engine.aclose()


async def test_a_connection_that_the_server_is_about_to_close_is_not_used_again() -> None:
    async with serve("llama-server", drops=True) as peer:
        engine = engine_for(peer)
        for _ in range(3):
            # Whole replies, so that the connection could be kept.
            peer.troubles.append("whole")
            assert [chunk async for chunk in engine.stream(ASK)][-1].finish == "stop"
        await engine.aclose()


# What is sent


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_sent(name: str) -> None:
    schema = {"type": "object"}
    sampling = Sampling(9, 0.5, 0.9, seed=2**31 + 4, stop=("X",), logprobs=True)
    async with serve(name, schema=False) as peer:
        await ask(peer, Request((Message("user", "why?"),), sampling, json_schema=schema, think_tokens=3))
        (sent,) = peer.seen
    field = "max_completion_tokens" if name in ("cerebras", "openai") else "max_tokens"
    assert sent[field] == 9
    assert (sent["model"], sent["seed"], sent["stop"], sent["stream"]) == ("tiny", 4, ["X"], True)
    assert (sent["temperature"], sent["top_p"]) == (0.5, 0.9)
    assert sent["response_format"]["json_schema"]["schema"] == schema
    assert sent["logprobs"] is True
    assert sent["stream_options"]["include_usage"] is True
    assert "n" not in sent
    thinks = {"llama-server": "reasoning_budget_tokens", "vllm": "thinking_token_budget"}.get(name)
    assert thinks is None or sent[thinks] == 3


@pytest.mark.parametrize("name", ["vllm", "sglang", "llama-server"])
async def test_a_prefill_is_gone_on_from(name: str) -> None:
    async with serve(name) as peer:
        assert text(await ask(peer, replace(ASK, prefill="Par"))).startswith("is")
        assert peer.seen[0]["messages"][-1] == {"role": "assistant", "content": "Par"}


async def test_half_a_surrogate_pair_can_be_sent() -> None:
    async with serve("vllm") as peer:
        await ask(peer, replace(ASK, messages=(Message("user", "a\udc80"),)))
        assert peer.seen[0]["messages"][0]["content"] == "a\udc80"


async def test_a_refusal_of_what_is_missing_sends_nothing() -> None:
    async with serve("vllm") as peer:
        engine = RemoteEngine(DIALECTS["vllm"], peer.url, info=EngineInfo("vllm", "tiny"))
        with pytest.raises(EngineError, match="logprobs, prefill"):
            await anext(engine.stream(replace(ASK, prefill="a", sampling=Sampling(logprobs=True))))
        await engine.aclose()
        assert peer.seen == []


# Addresses and keys


@pytest.mark.parametrize(
    "spec",
    [
        "nonsense", "compatible", "compatible:http://a/v1", "vllm:10.0.0.5:8000", "http://", "http://[::1/v1", "http://a:0",
        "http://a:99999/v1", "ftp://a/v1", "http://a b/v1", "http://me:hush@a/v1", "https://a/v1?api-key=hush", "http://a/v1#hush",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_spec(spec)
    assert caught.value.hint
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name", "url"),
    [
        ("vllm", "vllm", "http://127.0.0.1:8000/v1"),
        ("cerebras", "cerebras", "https://api.cerebras.ai/v1"),
        ("sglang:http://h:1/v1/", "sglang", "http://h:1/v1"),
        ("http://h:1", "compatible", "http://h:1/v1"),
        ("HTTPS://h/api/v2/chat/completions", "compatible", "https://h/api/v2"),
        ("http://[fe80::1]:8080/v1", "compatible", "http://[fe80::1]:8080/v1"),
    ],
)
def test_addresses(spec: str, name: str, url: str) -> None:
    dialect, found = parse_spec(spec)
    assert (dialect.name, found) == (name, url)


def test_keys_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "SIXFOLD_ENGINE_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert read_key(DIALECTS["openai"], None) is None
    monkeypatch.setenv("SIXFOLD_ENGINE_KEY", "general")
    assert read_key(DIALECTS["openai"], None) == "general"
    monkeypatch.setenv("OPENAI_API_KEY", " own\n")
    assert read_key(DIALECTS["openai"], None) == "own"
    assert read_key(DIALECTS["compatible"], None) == "general"
    path = tmp_path / "key"
    path.write_text("filed\n")
    assert read_key(DIALECTS["openai"], path) == "filed"


@pytest.mark.parametrize("name", ["openai", "compatible"])
def test_nobody_gets_the_key_of_another(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for role in ("engine", "planner", "judge"):
        monkeypatch.setenv(f"SIXFOLD_{role.upper()}_KEY", f"the {role}s".replace(" ", "-"))
    dialect = DIALECTS[name]
    assert read_key(dialect, None) == "the-engines"
    assert read_key(dialect, None, "planner") == "the-planners"
    assert read_key(dialect, None, "judge") == "the-judges"
    monkeypatch.delenv("SIXFOLD_JUDGE_KEY")
    assert read_key(dialect, None, "judge") is None


def test_advice_about_keys_names_the_role(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_key(DIALECTS["vllm"], tmp_path / "none", "planner")
    assert "planner.key_file" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        parse_spec("http://me:hush@a/v1", "judge")
    assert "SIXFOLD_JUDGE_KEY or judge.key_file" in caught.value.hint


@pytest.mark.parametrize("held", [b"", b"two hush", b"hush\x07", "hüsh".encode(), b"\xff\xfe"])
def test_what_is_not_one_key_is_refused_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(held)
    with pytest.raises(ConfigError) as caught:
        read_key(DIALECTS["openai"], path)
    assert "hush" not in str(caught.value)
    if held in (b"two hush", b"hush\x07"):
        monkeypatch.setenv("OPENAI_API_KEY", held.decode())
        with pytest.raises(ConfigError, match="OPENAI_API_KEY does not hold one key"):
            read_key(DIALECTS["openai"], None)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(DIALECTS["openai"], tmp_path / "none")
