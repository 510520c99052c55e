"""The adapter for every OpenAI-compatible endpoint, the embedded child included.

Place: `Request` -> HTTP -> `Chunk`s. It reads every dialect's way of streaming thinking, counts and errors, and keeps the
server's numbers. It does not retry (`wrap.py`), does not decide what an answer is, and never logs a key or a prompt.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import httpx

from sixfold.core import Chunk, EngineInfo, Finish, Request, Usage
from sixfold.engine.dialects import Dialect
from sixfold.engine.wrap import fan_out
from sixfold.errors import EngineError

_MAX_LINE = 8 * 2**20
_FINISH: Mapping[str, Finish] = {"stop": "stop", "length": "length", "eos": "stop", "tool_calls": "stop"}
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


async def sse_data(lines: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """The `data:` payloads of a server-sent event stream. Lines end at newline bytes only: JSON may hold U+2028."""
    buffer = b""
    async for piece in lines:
        buffer += piece
        if len(buffer) > _MAX_LINE:
            raise EngineError("the engine sent an endless line", kind="protocol", hint="check that the URL is a model server")
        *whole, buffer = buffer.split(b"\n")
        for line in whole:
            if line.startswith(b"data:"):
                yield line[5:].strip().decode("utf-8", "replace")
    if buffer.startswith(b"data:"):
        yield buffer[5:].strip().decode("utf-8", "replace")


@dataclass(slots=True)
class _Choice:
    """What has been seen of one choice: its counts so far and a finish that still waits for its usage."""

    usage: Usage = Usage()
    finish: Finish | None = None
    pieces: int = 0
    ended: bool = False


class RemoteEngine:
    """An OpenAI-compatible endpoint at `url` (ending in /v1).

    `info` is what the endpoint can do, as probed or as its dialect promises; `idle_timeout_s` bounds silence, not length.
    """

    def __init__(
        self,
        dialect: Dialect,
        url: str,
        *,
        info: EngineInfo,
        key: str | None = None,
        idle_timeout_s: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.dialect = dialect
        self.url = url
        self.info = info
        self.client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(idle_timeout_s, connect=5.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            transport=transport,
            trust_env=not url.startswith(("http://127.", "http://localhost", "http://[::1]")),
        )

    async def aclose(self) -> None:
        await self.client.aclose()

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON that is sent for a request. Refuses what this dialect has no field for."""
        dialect, sampling = self.dialect, request.sampling
        messages: list[dict[str, str]] = [{"role": m.role, "content": m.content} for m in request.messages]
        body: dict[str, Any] = {"messages": messages, "stream": True, "stream_options": dict(dialect.stream_options)}
        if self.info.model:
            body["model"] = self.info.model
        body[dialect.max_tokens_field] = sampling.max_tokens
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        body |= dialect.extra
        if request.n > 1:
            body["n"] = request.n
        if sampling.seed is not None and "seed" in dialect.sends:
            body["seed"] = sampling.seed % 2**31
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.logprobs:
            self._need("logprobs")
            body |= {"logprobs": True, "top_logprobs": 1}
        if request.json_schema is not None:
            self._need("json_schema")
            schema = {"name": "reply", "strict": True, "schema": request.json_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.think_tokens is not None and dialect.think_field:
            body[dialect.think_field] = request.think_tokens
        if request.prefill:
            self._need("prefill")
            messages.append({"role": "assistant", "content": request.prefill})
            if dialect.prefill == "continue":
                body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    def _need(self, capability: str) -> None:
        if capability not in self.info.can:
            raise EngineError(
                f"the engine {self.info.name} cannot do {capability}, which this run needs",
                kind="missing",
                hint=f"see what it can do with: sixfold engine probe {self.url}",
            )

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        if request.n > 1 and not self.info.shares_prompt:
            async with aclosing(fan_out(self.stream, request)) as merged:
                async for chunk in merged:
                    yield chunk
            return
        choices = [_Choice() for _ in range(request.n)]
        try:
            async with self.client.stream("POST", f"{self.url}/chat/completions", json=self.body(request)) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise self._refusal(response)
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    await response.aread()
                    for chunk in self._whole(response, choices):
                        yield chunk
                    return
                async for data in sse_data(response.aiter_bytes()):
                    if data == "[DONE]":
                        break
                    for chunk in self._read(_parse(data), choices, request):
                        yield chunk
                for chunk in self._last(choices):
                    yield chunk
        except httpx.TimeoutException as error:
            raise EngineError(
                f"the engine at {self.url} was silent for too long ({type(error).__name__})",
                kind="unreachable", retryable=True, hint="raise engine.idle_timeout_s, or check the server",
            ) from error  # fmt: skip
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise EngineError(
                f"the engine at {self.url} cannot be reached: {str(error) or type(error).__name__}",
                kind="unreachable", retryable=not isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL)),
                hint="start the server, or check the address; `sixfold doctor` tests it",
            ) from error  # fmt: skip

    def _whole(self, response: httpx.Response, choices: list[_Choice]) -> list[Chunk]:
        """A reply that came as one JSON object although a stream was asked for."""
        kind = response.headers.get("content-type", "no content type").split(";")[0]
        data = _parse(response.text) if "json" in kind else {}
        if not data.get("choices"):
            raise EngineError(
                f"{self.url} answered with {kind}, not with a completion",
                kind="protocol", hint="give the address of an OpenAI-compatible API; it usually ends in /v1",
            )  # fmt: skip
        chunks = []
        usage = _usage(data)
        for choice in data["choices"]:
            message = choice.get("message") or {}
            index = int(choice.get("index", 0))
            if index < len(choices):
                chunks.append(
                    Chunk(
                        index, message.get("content") or "", _reasoning(message), _logprobs(choice),
                        _FINISH.get(choice.get("finish_reason") or "stop", "stop"), usage,
                    )
                )  # fmt: skip
        return chunks

    def _read(self, data: dict[str, Any], choices: list[_Choice], request: Request) -> list[Chunk]:
        """The chunks that one server-sent event stands for."""
        if data.get("error"):
            raise self._failure(data["error"], data.get("status_code"))
        chunks: list[Chunk] = []
        for item in data.get("choices") or ():
            index = int(item.get("index", 0))
            if not 0 <= index < len(choices) or choices[index].ended:
                continue
            choice, delta = choices[index], item.get("delta") or {}
            text, reasoning = delta.get("content") or "", _reasoning(delta)
            choice.usage = self._running(data, choice, index, bool(text or reasoning), request)
            if text or reasoning:
                chunks.append(Chunk(index, text, reasoning, _logprobs(item), usage=choice.usage))
            if item.get("finish_reason"):
                choice.finish = _FINISH.get(item["finish_reason"], "stop")
        if not data.get("choices") and (data.get("usage") or data.get("timings")):
            waiting = next((i for i, c in enumerate(choices) if c.finish and not c.ended), None)
            if waiting is not None:
                choices[waiting].usage = _shared(_usage(data), waiting)
                chunks.append(self._end(waiting, choices[waiting]))
        return chunks

    def _running(self, data: dict[str, Any], choice: _Choice, index: int, wrote: bool, request: Request) -> Usage:
        choice.pieces += wrote
        if data.get("usage") or data.get("timings"):
            return _shared(_usage(data), index if request.n > 1 else 0)
        if choice.usage.completion_tokens > choice.pieces:
            return choice.usage
        return replace(choice.usage, completion_tokens=choice.pieces)

    def _end(self, index: int, choice: _Choice) -> Chunk:
        choice.ended = True
        return Chunk(index, finish=choice.finish, usage=choice.usage)

    def _last(self, choices: list[_Choice]) -> list[Chunk]:
        """The ends of choices whose usage never came. A choice without a finish was cut off: that is an error."""
        if any(c.finish is None for c in choices):
            raise EngineError(
                "the engine closed the stream before the answer ended", kind="unreachable", retryable=True,
                hint="the server may have been restarted; try again",
            )  # fmt: skip
        return [self._end(i, c) for i, c in enumerate(choices) if not c.ended]

    def _refusal(self, response: httpx.Response) -> EngineError:
        try:
            data = response.json()
        except ValueError:
            data = {}
        error = data.get("error", data) if isinstance(data, dict) else {}
        after = response.headers.get("retry-after-ms") or response.headers.get("retry-after")
        seconds = None
        if after:
            try:
                seconds = max(0.0, float(after)) / (1000 if "retry-after-ms" in response.headers else 1)
            except ValueError:
                seconds = None
        failure = self._failure(error, response.status_code, seconds)
        if response.headers.get("x-should-retry") == "false":
            failure.retryable = False
        return failure

    def _failure(self, error: Any, status: Any = None, retry_after_s: float | None = None) -> EngineError:
        """An `EngineError` from a server's error object, whatever its shape."""
        fields = error if isinstance(error, dict) else {"message": str(error)}
        raw = fields.get("message")
        message = (raw if isinstance(raw, str) else json.dumps(raw) if raw else "no reason given")[:500]
        key = self.client.headers.get("Authorization", "").removeprefix("Bearer ")
        message = message.replace(key, "[key]") if key else message
        code = status if isinstance(status, int) else fields.get("code")
        code = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdigit()) else 500
        kind, hint = _explain(code, f"{fields.get('type')} {fields.get('code')} {message}".lower(), self.dialect)
        if kind == "context" and fields.get("n_prompt_tokens"):
            message = f"the question has {fields['n_prompt_tokens']} tokens, the engine's context is {fields.get('n_ctx')}"
        return EngineError(
            f"{self.info.name}: {message} (HTTP {code})", kind=kind, hint=hint,
            retryable=code in _RETRYABLE and kind != "context", retry_after_s=retry_after_s,
        )  # fmt: skip


def _explain(code: int, text: str, dialect: Dialect) -> tuple[str, str]:
    """The kind of an engine's refusal, and what to do about it."""
    if "context" in text and ("exceed" in text or "length" in text or "maximum" in text):
        return "context", "shorten the question, or give the engine a larger context (engine.context_tokens=8192)"
    if code in (401, 403):
        return "auth", f"set {' or '.join((*dialect.key_env, 'SIXFOLD_ENGINE_KEY'))}, or engine.key_file"
    if code == 402:
        return "auth", "the account has no credit left"
    if code == 404:
        return "refused", "check the address (it usually ends in /v1) and engine.model"
    if code == 429:
        return "rate", "wait, or lower n"
    if code >= 500:
        return "server", "look at the server's log, then try again"
    return "refused", "see what the endpoint can do: sixfold engine probe URL"


def _parse(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise EngineError(
            f"the engine sent something that is not JSON: {text[:80]!r}", kind="protocol", hint="check the engine's URL"
        ) from error
    if not isinstance(data, dict):
        raise EngineError("the engine sent JSON that is not an object", kind="protocol", hint="check the engine's URL")
    return data


def _reasoning(delta: Mapping[str, Any]) -> str:
    value = delta.get("reasoning_content") or delta.get("reasoning") or ""
    return value if isinstance(value, str) else ""


def _logprobs(item: Mapping[str, Any]) -> tuple[float, ...]:
    content = (item.get("logprobs") or {}).get("content") or ()
    return tuple(float(t["logprob"]) for t in content if t.get("logprob") is not None)


def _usage(data: Mapping[str, Any]) -> Usage:
    """Counts from OpenAI's `usage` or llama.cpp's `timings`; where both are there, drafts come from the latter."""
    usage, timings = data.get("usage") or {}, data.get("timings") or {}
    details = usage.get("prompt_tokens_details") or {}
    cached = int(details.get("cached_tokens") or timings.get("cache_n") or 0)
    prompt = usage.get("prompt_tokens")
    if prompt is None:
        prompt = int(timings.get("prompt_n") or 0) + int(timings.get("cache_n") or 0)
    return Usage(
        int(prompt), cached, int(usage.get("completion_tokens") or timings.get("predicted_n") or 0),
        int(timings.get("draft_n") or 0), int(timings.get("draft_n_accepted") or 0),
    )  # fmt: skip


def _shared(usage: Usage, index: int) -> Usage:
    """In one request for n choices the prompt is computed once: choice 0 paid for it, the others reused it."""
    return usage if index == 0 else replace(usage, cached_tokens=usage.prompt_tokens)
