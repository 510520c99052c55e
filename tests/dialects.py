"""A scripted model server on loopback that speaks each dialect, and misbehaves when told to.

Its model is a word list: which words it says depends on the seed alone. The clock does nothing but pace a stream.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

WORDS = ["fog", "ink", "oak", "sun", "tin", "map", "owl", "jam", "kit", "elm", "bay", "rye"]
OWNERS = {"vllm": "vllm", "sglang": "sglang", "llama-server": "llamacpp", "cerebras": "Cerebras", "openai": "system"}
REASONING = {"vllm": "reasoning", "cerebras": "reasoning", "sglang": "reasoning_content", "llama-server": "reasoning_content"}
CONTEXT = 2048
PROMPT = 7


@dataclass
class Peer:
    """`troubles` are what goes wrong with the next requests for a completion, one each; then all is well.

    `seen` and `headers` are those requests; `open` counts the choices that are being said; `most` is how many tokens were sent.
    `seeds`, `schema` and `prefills` say whether it honours these, `counts` whether it tells of tokens, `refuses` which fields
    it rejects. `stubborn` works on when nobody listens; `drops` closes a connection only when the next request comes over
    it, a gap that llama-server really has.
    """

    dialect: str
    key: str | None = None
    thinks: str = ""
    text: str | None = None
    length: int = 5
    delay_s: float = 0.0
    slots: int = 4
    models: tuple[str, ...] = ("tiny",)
    owner: str | None = None
    schema: bool = True
    prefills: bool = True
    seeds: bool = True
    counts: bool = True
    stubborn: bool = False
    drops: bool = False
    refuses: tuple[str, ...] = ()
    pages: Mapping[str, tuple[int, str, str]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    open: int = 0
    most: int = 0
    unseeded: itertools.count[int] = field(default_factory=lambda: itertools.count(10**6))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@asynccontextmanager
async def serve(dialect: str, **traits: Any) -> AsyncIterator[Peer]:
    peer = Peer(dialect, **traits)
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await _answer(peer, reader, writer)
                if peer.drops:
                    await reader.read(1)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _answer(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    if peer.key and headers.get("authorization") != f"Bearer {peer.key}":
        given = headers.get("authorization", "").removeprefix("Bearer ")
        error = "Unauthorized" if peer.dialect == "vllm" else {"message": f"wrong key {given}", "type": "authentication_error"}
        return _page(writer, 401, json.dumps({"error": error}))
    if method == "POST" and path == "/v1/chat/completions":
        request = json.loads(body)
        peer.seen.append(request)
        peer.headers.append(headers)
        return await _complete(peer, request, reader, writer)
    status, kind, text = {**_pages(peer), **peer.pages}.get(path, (404, "application/json", '{"detail": "Not Found"}'))
    return _page(writer, status, text, kind)


def _pages(peer: Peer) -> dict[str, tuple[int, str, str]]:
    extra = {"vllm": {"max_model_len": CONTEXT}, "llama-server": {"meta": {"n_ctx": CONTEXT}}}.get(peer.dialect, {})
    owner = peer.owner or OWNERS[peer.dialect]
    models = [{"id": name, "object": "model", "owned_by": owner, **extra} for name in peer.models]
    pages = {"/v1/models": (200, "application/json", json.dumps({"object": "list", "data": models}))}
    if peer.dialect == "llama-server":
        slots = [{"id": i, "is_processing": i < peer.open, "speculative": False} for i in range(peer.slots)]
        pages["/slots"] = (200, "application/json", json.dumps(slots))
        pages["/props"] = (200, "application/json", json.dumps({"default_generation_settings": {"n_ctx": CONTEXT}}))
    gauge = {"vllm": "vllm:num_requests_running", "sglang": "sglang:num_running_reqs"}.get(peer.dialect)
    if gauge:
        text = f'# HELP {gauge} how many\n# TYPE {gauge} gauge\n{gauge}{{model_name="tiny"}} {float(peer.open)}\n'
        pages["/metrics"] = (200, "text/plain", text)
    return pages


def _page(
    writer: asyncio.StreamWriter, status: int, text: str, kind: str = "application/json", *, keep: bool = False, **headers: str
) -> None:
    data = text.encode()
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Type: {kind}",
        f"Content-Length: {len(data)}",
        *([] if keep else ["Connection: close"]),
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


REFUSALS: dict[str, tuple[int, dict[str, str]]] = {
    "429": (429, {"Retry_After": "0"}),
    "429-ms": (429, {"Retry_After": "99", "retry_after_ms": "1"}),
    "429-date": (429, {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "429-long": (429, {"Retry_After": "3600"}),
    "503": (503, {}),
    "500-final": (500, {"x_should_retry": "false"}),
    "400-again": (400, {"x_should_retry": "true"}),
}


async def _complete(peer: Peer, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    trouble = peer.troubles.pop(0) if peer.troubles else ""
    if trouble in REFUSALS:
        status, headers = REFUSALS[trouble]
        return _page(writer, status, json.dumps(_error(peer, status, "not now")), **headers)
    if trouble == "html":
        return _page(writer, 200, "<html>Welcome</html>", "text/html")
    if trouble == "redirect":
        return _page(writer, 307, "", Location="https://elsewhere.example/v1/chat/completions")
    if refused := [name for name in peer.refuses if name in request]:
        return _page(writer, 400, json.dumps(_error(peer, 400, f"Unsupported parameter: {refused[0]}")))
    words = sum(len(m["content"].split()) for m in request["messages"])
    if words > CONTEXT:
        return _page(writer, 400, json.dumps(_too_long(peer, words)))
    if request.get("n", 1) > {"llama-server": peer.slots, "cerebras": 1}.get(peer.dialect, 128):
        return _page(writer, 400, json.dumps(_error(peer, 400, "Field 'n': value is too large")))
    if trouble == "whole":
        return _page(writer, 200, json.dumps(_whole(peer, request)), keep=peer.drops)
    if trouble == "silent":
        await reader.read(1)
        return None
    choices = request.get("n", 1)
    peer.open += choices
    work = asyncio.create_task(_stream(peer, request, trouble, writer))
    left = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
        if peer.stubborn and not (work.done() and work.exception() is None):
            await asyncio.sleep(30)
    finally:
        peer.open -= choices
        work.cancel()
        left.cancel()
        for result in await asyncio.gather(work, left, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, ConnectionError):
                raise result
    return None


def _error(peer: Peer, status: int, message: str) -> dict[str, Any]:
    kind = {400: "invalid_request_error", 429: "rate_limit_error"}.get(status, "server_error")
    if peer.dialect == "sglang":
        return {"object": "error", "message": message, "type": kind, "param": None, "code": status}
    if peer.dialect == "openai":
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return {"error": {"message": message, "type": kind, "code": status}}


def _too_long(peer: Peer, tokens: int) -> dict[str, Any]:
    if peer.dialect == "llama-server":
        message = f"request ({tokens} tokens) exceeds the available context size ({CONTEXT} tokens), try increasing it"
        kind = {"type": "exceed_context_size_error", "n_prompt_tokens": tokens, "n_ctx": CONTEXT}
        return {"error": {"code": 400, "message": message, **kind}}
    return _error(peer, 400, f"This model's maximum context length is {CONTEXT} tokens. You asked for {tokens}.")


@dataclass
class _Said:
    """What one choice says: tokens of thinking, tokens of text, and why it ends."""

    thoughts: list[str]
    words: list[str]
    finish: str


def _say(peer: Peer, request: dict[str, Any], index: int) -> _Said:
    last, budget = request["messages"][-1], request.get("max_completion_tokens") or request.get("max_tokens") or 16
    seed = request.get("seed") if peer.seeds else None
    seed = next(peer.unseeded) if seed is None else seed + index
    rng = random.Random(0 if request["temperature"] == 0 else seed)
    continues = peer.dialect in ("llama-server", "vllm", "sglang") and peer.prefills and last["role"] == "assistant"
    if peer.dialect in ("vllm", "sglang"):
        continues = continues and bool(request.get("continue_final_message"))
    length = 10_000 if "one thousand" in last["content"] else peer.length
    words = [word + " " for word in rng.choices(WORDS, k=length)]
    if continues:
        words = ["is", ", ", *words]
    if request.get("response_format") and peer.schema:
        schema = request["response_format"]["json_schema"]["schema"]
        (name, inner), *_ = schema["properties"].items()
        words = ["{", json.dumps(name), ": ", json.dumps(inner["enum"][0]), "}"]
    if peer.text is not None:
        words = [word + " " for word in peer.text.split(" ")]
    thoughts = [] if continues else [word + " " for word in peer.thinks.split()]
    field = {"llama-server": "reasoning_budget_tokens", "vllm": "thinking_token_budget"}.get(peer.dialect, "none")
    if isinstance(request.get(field), int):
        thoughts = thoughts[: request[field]]
    # A token that ends the text is counted by servers, but has neither text nor a place in the log-probabilities.
    finish = "stop" if len(thoughts) + len(words) < budget else "length"
    return _Said(thoughts[:budget], words[: max(0, budget - len(thoughts))], finish)


async def _stream(peer: Peer, request: dict[str, Any], trouble: str, writer: asyncio.StreamWriter) -> None:
    packed = trouble == "gzip"
    end = "\r\n" if trouble == "crlf" else "\n"
    head = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8", "Transfer-Encoding: chunked"]
    head += ["Connection: close", *(["Content-Encoding: gzip"] if packed else [])]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n")
    lines: list[str] = []

    async def send(data: dict[str, Any] | str) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        lines.append(event := f"data: {text}{end}{end}" if text else f": ping{end}{end}")
        if not packed:
            writer.write(b"%x\r\n%b\r\n" % (len(event.encode()), event.encode()))
            await writer.drain()

    if trouble == "hang":
        await send("")
        await asyncio.sleep(3600)
    sent = 0
    async for event in _events(peer, request, trouble):
        sent += 1
        if trouble == "cut" and sent > 3:
            return writer.transport.abort()
        if trouble == "error" and sent > 3:
            failed = _error(peer, 500, "the engine is dead")
            event = {**failed, "status_code": 500} if peer.dialect == "cerebras" else failed
        if trouble == "pings":
            await send("")
        if trouble == "nonsense" and sent > 3:
            event = {"choices": [{"index": "x", "delta": 3}]}
        await send("garbage" if trouble == "garbage" else event)
        await asyncio.sleep(peer.delay_s)
    if trouble != "no-done":
        await send("[DONE]")
    if packed:
        data = gzip.compress("".join(lines).encode())
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return None


async def _events(peer: Peer, request: dict[str, Any], trouble: str) -> AsyncIterator[dict[str, Any]]:
    """Every choice's events, in turn. Who counts what, and where, is what tells the dialects apart."""
    n, kind = request.get("n", 1), peer.dialect
    said = [_say(peer, request, i) for i in range(n)]
    options = request.get("stream_options") or {}
    each = options.get("continuous_usage_stats") and kind in ("vllm", "sglang") and peer.counts
    done = [0] * n

    def event(index: int, delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **more}
        data: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
        if each:
            data["usage"] = _usage(done[index])
        elif kind in ("openai", "cerebras"):
            data["usage"] = None
        if kind == "llama-server" and request.get("timings_per_token") and done[index] and not finish:
            data["timings"] = _timings(done[index])
        return data

    for i in range(n):
        yield event(i, {"role": "assistant", "content": None if kind == "llama-server" else ""})
    for step in range(max(len(s.thoughts) + len(s.words) for s in said) + 1):
        for i, choice in enumerate(said):
            tokens = [(REASONING.get(kind, "reasoning"), t) for t in choice.thoughts] + [("content", w) for w in choice.words]
            if step < len(tokens):
                done[i] += 1
                peer.most += 1
                name, token = tokens[step]
                logprob = {"token": token, "logprob": -0.5, "top_logprobs": []}
                yield event(i, {name: token}, **({"logprobs": {"content": [logprob]}} if request.get("logprobs") else {}))
            elif step == len(tokens):
                finish = None if trouble == "no-finish" else choice.finish
                last = event(i, {}, finish)
                if kind == "cerebras" and peer.counts:
                    last |= {"usage": _usage(done[i]), "time_info": {"queue_time": 0.1, "total_time": 0.2}}
                yield last
                if kind == "llama-server" and options.get("include_usage") and peer.counts:
                    yield {"choices": [], "usage": _usage(done[i]), "timings": _timings(done[i])}
    if kind in ("vllm", "sglang", "openai") and options.get("include_usage") and peer.counts:
        yield {"choices": [], "usage": _usage(sum(done))}


def _usage(tokens: int) -> dict[str, Any]:
    details = {"prompt_tokens_details": {"cached_tokens": 3}}
    return {"prompt_tokens": PROMPT, "completion_tokens": tokens, "total_tokens": PROMPT + tokens, **details}


def _timings(tokens: int) -> dict[str, Any]:
    return {"prompt_n": PROMPT - 3, "cache_n": 3, "predicted_n": tokens}


def _whole(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
    said = [_say(peer, request, i) for i in range(request.get("n", 1))]
    choices = [
        {
            "index": i,
            "message": {
                "role": "assistant",
                "content": "".join(s.words) or None,
                REASONING.get(peer.dialect, "reasoning"): "".join(s.thoughts) or None,
            },
            "finish_reason": s.finish,
        }
        for i, s in enumerate(said)
    ]
    return {"object": "chat.completion", "choices": choices, "usage": _usage(sum(len(s.words) + len(s.thoughts) for s in said))}
