"""An engine that says what it is told to: for tests, for demonstrations, and for anyone who builds on the engine seam.

Deterministic, no model, no network. A token is a word with the white space before it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sixfold.core import Chunk, EngineInfo, Finish, Request, Usage
from sixfold.engine.wrap import fan_out, refuse_missing
from sixfold.errors import ConfigError, EngineError

_CAN = frozenset({"n", "seed", "json_schema", "logprobs", "prefill", "cancel", "exact_usage"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What one choice says. `token_s` is the pause before each token; `first_s` the one before the first.
    `fails_after` raises a retryable error after that many tokens; `error` is its message, and that of finish `error`, which
    is `retryable` or not."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    text: str
    reasoning: str = ""
    finish: Finish = "stop"
    token_s: float = 0.0
    first_s: float = 0.0
    logprob: float = -0.1
    fails_after: int | None = None
    error: str = "the script says so"
    retryable: bool = False


Script = Callable[[Request, int], Reply | str]
"""From a request (always with n = 1) and the number of requests served before it to what is said."""


def words(text: str) -> list[str]:
    """
    >>> words("a  b\\n")
    ['a', '  b', '\\n']
    """
    return re.findall(r"\s*\S+|\s+$", text)


class ScriptedEngine:
    """Serves `script`, or a list of replies in turn (the last one again and again, and whatever the seed).

    It refuses what is not in `can`, but says the same with a schema or a stop text. `served` are the requests so far;
    `running` is how many streams are open, so that tests can see cancelling.
    """

    def __init__(
        self, script: Script | Sequence[Reply | str], *, name: str = "scripted", can: frozenset[str] = _CAN,
        context_tokens: int | None = None,
    ) -> None:  # fmt: skip
        self.script = script if callable(script) else _in_turn(script)
        self.info = EngineInfo(name, "script", context_tokens, can)
        self.served: list[Request] = []
        self.running = 0
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        refuse_missing(self.info, request, hint="let the script's engine have it in `can`")
        several = request.n > 1
        async with aclosing(fan_out(self._one, request) if several else self._one(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _one(self, request: Request) -> AsyncGenerator[Chunk, None]:
        said = self.script(request, len(self.served))
        reply = said if isinstance(said, Reply) else Reply(said)
        self.served.append(request)
        prompt_tokens = sum(len(words(m.content)) for m in request.messages) + len(words(request.prefill))
        if self.info.context_tokens and prompt_tokens > self.info.context_tokens:
            raise EngineError(
                f"the question has {prompt_tokens} tokens, the engine's context is {self.info.context_tokens}",
                kind="context", hint="shorten the question",
            )  # fmt: skip
        self.running += 1
        try:
            await asyncio.sleep(reply.first_s)
            pieces = [("", w) for w in words(reply.reasoning)] + [(w, "") for w in words(reply.text)]
            finish = reply.finish
            for done, (text, reasoning) in enumerate(pieces):
                if reply.fails_after == done:
                    raise EngineError(reply.error, kind="died", retryable=True)
                if done == request.sampling.max_tokens:
                    finish = "length"
                    break
                await asyncio.sleep(reply.token_s)
                logprobs = (reply.logprob,) if request.sampling.logprobs else ()
                usage = Usage(prompt_tokens, 0, done + 1)
                yield Chunk(0, text, reasoning, logprobs, usage=usage)
            used = Usage(prompt_tokens, 0, min(len(pieces), request.sampling.max_tokens))
            if reply.fails_after is not None and reply.fails_after >= len(pieces):
                raise EngineError(reply.error, kind="died", retryable=True)
            error, retryable = (reply.error, reply.retryable) if finish == "error" else (None, False)
            yield Chunk(0, finish=finish, usage=used, error=error, retryable=retryable)
        finally:
            self.running -= 1


def _in_turn(replies: Sequence[Reply | str]) -> Script:
    return lambda request, served: replies[min(served, len(replies) - 1)]


def load_script(path: Path) -> ScriptedEngine:
    """A scripted engine from a JSON file: a list of texts or of `Reply` objects, said in turn."""
    try:
        said = TypeAdapter(list[Reply | str]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise ConfigError(
            f"{path} is not a script: {why}", hint='a script is a JSON list of texts, such as ["Answer: 4"]'
        ) from error
    return ScriptedEngine(said or [""])
