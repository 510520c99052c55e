"""The adapter for every OpenAI-compatible endpoint, the embedded child included.

Place: `Request` -> HTTP -> `Chunk`s. It reads every dialect's way of streaming thinking, counts and errors, and keeps the
server's numbers. It does not retry (`wrap.py`), follows no redirect, does not decide what an answer is (thinking inside
tags stays in the text), and never logs a key or a prompt.

Events: https://html.spec.whatwg.org/multipage/server-sent-events.html, with lines that end in newline bytes only.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from sixfold.core import Chunk, EngineInfo, Finish, Request, Usage
from sixfold.engine.dialects import Dialect, EngineRole, key_names
from sixfold.engine.wrap import fan_out, refuse_missing
from sixfold.errors import EngineError

_MAX_BYTES = 8 * 2**20
_FINISH: Mapping[str, Finish] = {
    "length": "length", "max_tokens": "length", "model_length": "length", "repetition": "length",
    "abort": "error", "error": "error", "content_filter": "error", "insufficient_system_resource": "error",
}  # fmt: skip
"""Every other reason counts as `stop`."""
_FINAL = frozenset({"content_filter"})
"""Reasons for finish `error` that would end the same request again."""
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_ADDRESS = "give the address of an OpenAI-compatible API; it usually ends in /v1"


async def sse_data(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """The data of each event of a server-sent event stream, however its bytes are cut into pieces.

    Lines end at newline bytes only, for JSON may hold U+2028. Comments (pings) and fields other than data are passed
    over, except the field `error`, by which old llama-servers say that they failed. The last event needs no blank line.
    """
    buffer, data, size = b"", list[bytes](), 0
    async for piece in pieces:
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            if found := _field(line):
                data.append(found)
                size += len(found)
            elif data and not line.strip():
                yield b"\n".join(data).decode("utf-8", "replace")
                data, size = [], 0
        if len(buffer) + size > _MAX_BYTES:
            raise EngineError("the engine sent an endless event", kind="protocol", hint=_ADDRESS)
    if found := _field(buffer):
        data.append(found)
    if data:
        yield b"\n".join(data).decode("utf-8", "replace")


def _field(line: bytes) -> bytes:
    name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
    value = value.strip()
    return value if name == b"data" else b'{"error": %b}' % value if name == b"error" and value else b""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole reply. `kind` is its media type; `text` is cut after 8 MiB."""

    status: int
    kind: str
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """What it holds, or `None` where that is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


@dataclass(slots=True)
class _Choice:
    """What has been seen of one choice: its counts so far and a finish that still waits for its usage."""

    usage: Usage = field(default_factory=Usage)
    finish: Finish | None = None
    reason: str = ""
    pieces: int = 0
    ended: bool = False


class RemoteEngine:
    """An OpenAI-compatible endpoint at `url` (ending in /v1).

    `info` is what the endpoint can do, as probed or as its dialect promises; `idle_timeout_s` bounds silence, not length.
    `slots` is how many choices one request may have, `None` where no bound is known; more are asked for one by one. `role`
    is whose engine it is, which is where advice about keys points to.
    Connections over plain HTTP are not kept: llama-server may close one as soon as a stream on it has ended, and the
    next request would fall into that gap.
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
        slots: int | None = None,
        role: EngineRole = "engine",
    ) -> None:
        self.dialect = dialect
        self.url = url
        self.info = info
        self.slots = slots
        self.role = role
        self._key = key
        self.client = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=httpx.Timeout(idle_timeout_s, connect=min(5.0, idle_timeout_s)),
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=32 if url.startswith("https:") else 0, keepalive_expiry=2.0
            ),
            transport=transport,
            trust_env=not url.startswith(("http://127.", "http://localhost", "http://[::1]")),
        )

    async def aclose(self) -> None:
        await self.client.aclose()

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON that is sent for a request. Refuses what the engine is not known to be able to do."""
        refuse_missing(self.info, request, hint=f"see what it can do with: sixfold engine probe {self.url}")
        dialect, sampling = self.dialect, request.sampling
        messages: list[dict[str, str]] = [{"role": m.role, "content": m.content} for m in request.messages]
        body: dict[str, Any] = {"messages": messages, "stream": True}
        if dialect.stream_options:
            body["stream_options"] = dict(dialect.stream_options)
        if self.info.model:
            body["model"] = self.info.model
        body[dialect.max_tokens_field] = sampling.max_tokens
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        body |= dialect.extra
        if request.n > 1:
            body["n"] = request.n
        if sampling.seed is not None:
            body["seed"] = sampling.seed % 2**31
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.logprobs:
            body |= {"logprobs": True, "top_logprobs": 1}
        if request.json_schema is not None:
            schema = {"name": "reply", "strict": True, "schema": request.json_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.think_tokens is not None and dialect.think_field:
            body[dialect.think_field] = request.think_tokens
        if request.prefill:
            messages.append({"role": "assistant", "content": request.prefill})
            if dialect.prefill == "continue":
                body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    async def get(self, url: str, timeout_s: float = 5.0) -> Page:
        """A page of the server, whatever its status. Raises `EngineError` only where there is no reply at all."""
        with self._mapped():
            async with self.client.stream("GET", url, timeout=timeout_s) as response:
                return await _page(response)

    async def events(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON objects that answer a request as they come (one, where the server does not stream), and an empty one
        at their orderly end. Closing the generator closes the connection."""
        with self._mapped():
            # ASCII, so that even half a surrogate pair in a question can be sent.
            async with self.client.stream(
                "POST", f"{self.url}/chat/completions", content=json.dumps(body), headers={"Content-Type": "application/json"}
            ) as response:
                kind = _kind(response)
                if response.status_code != 200 or "json" in kind or "html" in kind:
                    page = await _page(response)
                    if page.status != 200:
                        raise self.refusal(page)
                    if not isinstance(page.json(), dict):
                        raise self._protocol(f"{self.url} answered with {kind}, not with a completion")
                    yield page.json()
                    yield {}
                    return
                seen = False
                async with aclosing(sse_data(response.aiter_bytes())) as events:
                    async for data in events:
                        seen = True
                        if data == "[DONE]":
                            yield {}
                            return
                        yield self._parse(data)
                if not seen and kind != "text/event-stream":
                    raise self._protocol(f"{self.url} answered with {kind or 'no media type'}, not with a completion")

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        if request.n > 1 and not (self.info.shares_prompt and request.n <= (self.slots or request.n)):
            async with aclosing(fan_out(self.stream, request)) as merged:
                async for chunk in merged:
                    yield chunk
            return
        choices = [_Choice() for _ in range(request.n)]
        orderly = False
        async with aclosing(self.events(self.body(request))) as events:
            async for data in events:
                orderly = not data
                try:
                    chunks = self._read(data, choices)
                except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
                    raise self._protocol(f"{self.url} sent a completion of a shape that nobody knows") from error
                for chunk in chunks:
                    yield chunk
        for chunk in self._last(choices, orderly, request.sampling.max_tokens):
            yield chunk

    def _read(self, data: Mapping[str, Any], choices: list[_Choice]) -> list[Chunk]:
        """The chunks that one event stands for."""
        if failure := self.failure_in(data):
            raise failure
        chunks: list[Chunk] = []
        counted = bool(data.get("usage") or data.get("timings"))
        for item in data.get("choices") or ():
            index = int(item.get("index") or 0)
            if not 0 <= index < len(choices) or choices[index].ended:
                continue
            choice, delta = choices[index], item.get("delta") or item.get("message") or {}
            text, reasoning, logprobs = text_in(delta.get("content")), reasoning_in(delta), logprobs_in(item)
            wrote = bool(text or reasoning or logprobs)
            choice.pieces += wrote
            choice.usage = _running(data if counted else {}, choice, index)
            if wrote:
                chunks.append(Chunk(index, text, reasoning, logprobs, usage=choice.usage))
            if item.get("finish_reason"):
                choice.reason = str(item["finish_reason"])
                choice.finish = _FINISH.get(choice.reason, "stop")
        if counted and not data.get("choices"):
            waiting = [i for i, c in enumerate(choices) if c.finish and not c.ended]
            for i in waiting:
                now, before = _running(data, choices[i], i), choices[i].usage.completion_tokens
                # One count for several choices is their sum: each keeps what was counted while it streamed.
                choices[i].usage = now if len(waiting) == 1 else replace(now, completion_tokens=before)
                chunks.append(self._end(i, choices[i]))
        return chunks

    def _end(self, index: int, choice: _Choice) -> Chunk:
        choice.ended = True
        failed = choice.finish == "error"
        error = f"the engine ended it: {choice.reason}" if failed else None
        retryable = failed and choice.reason not in _FINAL
        return Chunk(index, finish=choice.finish, usage=choice.usage, error=error, retryable=retryable)

    def _last(self, choices: list[_Choice], orderly: bool, max_tokens: int) -> list[Chunk]:
        """The ends of choices whose usage never came. One without a finish has ended where the server ended the stream in
        good order and the choice had begun; otherwise it was cut off, and that is an error."""
        for choice in choices:
            if choice.finish is None and orderly and choice.pieces:
                choice.finish = "length" if choice.usage.completion_tokens >= max_tokens else "stop"
            if choice.finish is None:
                raise EngineError(
                    "the engine closed the stream before the answer ended", kind="unreachable", retryable=True,
                    hint="the server may have been restarted; try again",
                )  # fmt: skip
        return [self._end(i, c) for i, c in enumerate(choices) if not c.ended]

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """httpx's exceptions as `EngineError`s."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            passes = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)) and "CERTIFICATE" not in str(error)
            raise EngineError(
                f"the engine at {self.url} cannot be reached: {self._clean(str(error)) or type(error).__name__}",
                kind="unreachable", retryable=passes, hint="start the server, or check the address; `sixfold doctor` tests it",
            ) from error  # fmt: skip
        except httpx.TimeoutException as error:
            raise EngineError(
                f"the engine at {self.url} was silent for too long ({type(error).__name__})",
                kind="unreachable", retryable=True, hint="raise engine.idle_timeout_s, or check the server",
            ) from error  # fmt: skip
        except httpx.TransportError as error:
            raise EngineError(
                f"the engine at {self.url} broke the connection: {self._clean(str(error)) or type(error).__name__}",
                kind="unreachable", retryable=True, hint="look at the server's log, then try again",
            ) from error  # fmt: skip
        except httpx.DecodingError as error:
            raise self._protocol(f"{self.url} sent bytes that cannot be unpacked") from error

    def refusal(self, page: Page) -> EngineError:
        """The error that a reply with another status than 200 stands for."""
        if 300 <= page.status < 400:
            place = self._clean(page.headers.get("location", "another address"))
            return self._protocol(f"{self.url} redirects to {place}")
        data = page.json()
        error = (data.get("error") or data) if isinstance(data, dict) else {"message": _plain(page)}
        failure = self._failure(error, page.status, _retry_after_s(page.headers))
        asked = page.headers.get("x-should-retry", "").lower()
        failure.retryable = asked == "true" or (failure.retryable and asked != "false")
        return failure

    def failure_in(self, data: Mapping[str, Any]) -> EngineError | None:
        """The failure that an event tells of, if it does: an `error` (Cerebras puts the status beside it), or nothing
        but a message (older vLLM and SGLang)."""
        if data.get("error"):
            return self._failure(data["error"], data.get("status_code"))
        bare = data.get("object") == "error" or ("message" in data and "choices" not in data)
        return self._failure(data, data.get("status_code")) if bare else None

    def _failure(self, error: Any, status: Any = None, retry_after_s: float | None = None) -> EngineError:
        fields = error if isinstance(error, dict) else {"message": str(error)}
        raw = fields.get("message") or fields.get("detail")
        message = self._clean(raw if isinstance(raw, str) else json.dumps(raw) if raw else "no reason given")
        label = f"{fields.get('type')} {fields.get('code')}".lower()
        code = _code(status) or _code(fields.get("code")) or (
            400 if "invalid_request" in label else 429 if "rate_limit" in label else 500
        )  # fmt: skip
        kind, hint = _explain(code, f"{label} {message.lower()}", self.dialect, self.role)
        if kind == "context" and fields.get("n_prompt_tokens"):
            message = f"the question has {fields['n_prompt_tokens']} tokens, the engine's context is {fields.get('n_ctx')}"
        return EngineError(
            f"{self.info.name}: {message} (HTTP {code})", kind=kind, hint=hint,
            retryable=code in _RETRYABLE and kind in ("rate", "server", "refused"), retry_after_s=retry_after_s,
        )  # fmt: skip

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            data = json.loads(text)
        except ValueError as error:
            raise self._protocol(f"{self.url} sent something that is not JSON: {text[:80]!r}") from error
        if not isinstance(data, dict):
            raise self._protocol(f"{self.url} sent JSON that is not an object: {text[:80]!r}")
        return data

    def _protocol(self, message: str) -> EngineError:
        return EngineError(self._clean(message), kind="protocol", hint=_ADDRESS)

    def _clean(self, text: str) -> str:
        """A server's words, short enough to show and without our key, which some servers repeat."""
        return (text.replace(self._key, "[key]") if self._key else text)[:500]


def reasoning_in(delta: Mapping[str, Any]) -> str:
    """Thinking that the server separated. Some send it under both names, so only the first is read."""
    return text_in(delta.get("reasoning_content")) or text_in(delta.get("reasoning"))


def _explain(code: int, text: str, dialect: Dialect, role: EngineRole) -> tuple[str, str]:
    """The kind of an engine's refusal, and what to do about it."""
    if code in (401, 403):
        return "auth", f"set {' or '.join(key_names(dialect, role))}, or {role}.key_file"
    if code == 402 or "insufficient_quota" in text:
        return "auth", "the account has no credit left"
    if code == 429:
        return "rate", "wait, or lower n"
    if "context" in text and ("exceed" in text or "length" in text or "maximum" in text):
        return "context", "shorten the question, or give the engine a larger context (engine.context_tokens=8192)"
    if code == 404:
        return "refused", "check the address (it usually ends in /v1) and engine.model"
    if code >= 500:
        return "server", "look at the server's log, then try again"
    return "refused", "see what the endpoint can do: sixfold engine probe URL"


def _code(value: Any) -> int | None:
    """
    >>> _code("429"), _code(503), _code("invalid_api_key"), _code(True)
    (429, 503, None, None)
    """
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    return number if type(number) is int and 400 <= number < 600 else None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the server asks us to wait: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date, which is
    read against the server's own clock where it tells the time.

    >>> _retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:07 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"})
    7.0
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value)) / scale
        except ValueError:
            pass
        if (date := _date(value)) is not None:
            return max(0.0, (date - (_date(headers.get("date", "")) or datetime.now(UTC))).total_seconds())
    return None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


async def _page(response: httpx.Response) -> Page:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MAX_BYTES:
            break
    return Page(response.status_code, _kind(response), response.headers, body.decode("utf-8", "replace"))


def _kind(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).split(";")[0].strip().lower()


def _plain(page: Page) -> str:
    return page.text.strip()[:200] if page.kind == "text/plain" else f"it answered with {page.kind or 'nothing'}"


def text_in(value: Any) -> str:
    """A text, or the texts of a list of parts; anything else is no text."""
    if isinstance(value, list):
        return "".join(text_in(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def logprobs_in(item: Mapping[str, Any]) -> tuple[float, ...]:
    content = (item.get("logprobs") or {}).get("content") or ()
    return tuple(float(t["logprob"]) for t in content if t.get("logprob") is not None)


def _running(data: Mapping[str, Any], choice: _Choice, index: int) -> Usage:
    """A choice's counts after an event: OpenAI's `usage`, llama.cpp's `timings` (drafts come only from these), or, where
    the server has told of none, the number of pieces. A request for n choices computes the prompt once: choice 0 paid
    for it, the others reused it."""
    usage, timings, before = data.get("usage") or {}, data.get("timings") or {}, choice.usage
    details = usage.get("prompt_tokens_details") or {}
    cached = int(details.get("cached_tokens") or timings.get("cache_n") or before.cached_tokens)
    prompt = usage.get("prompt_tokens")
    if prompt is None and timings:
        prompt = int(timings.get("prompt_n") or 0) + int(timings.get("cache_n") or 0)
    prompt = before.prompt_tokens if prompt is None else int(prompt)
    completion = usage.get("completion_tokens") or timings.get("predicted_n")
    if completion is None:
        completion = max(before.completion_tokens, choice.pieces)
    now = Usage(
        prompt, cached, int(completion), int(timings.get("draft_n") or before.drafted_tokens),
        int(timings.get("draft_n_accepted") or before.accepted_tokens),
    )  # fmt: skip
    return replace(now, cached_tokens=prompt) if index else now
