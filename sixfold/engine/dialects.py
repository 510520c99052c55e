"""How each kind of OpenAI-compatible server is asked, as data.

A dialect says where a server usually listens, where its key comes from, which fields it reads, and what every server of
its kind is sure to do. What one of an unknown kind really does is learnt by `probe.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from sixfold.core import EngineInfo
from sixfold.errors import ConfigError

Prefill = Literal["last", "continue", "none"]
"""How a server goes on from text the assistant already wrote: a trailing assistant message is enough (`last`), needs
`continue_final_message` (`continue`), or cannot be done (`none`)."""


EngineRole = Literal["engine", "planner", "judge"]
"""Whose engine it is, as the configuration names it. Each has its own key: one's key is no business of another's server."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`extra` is sent with every streamed request. `think_field` takes a thinking budget in tokens, if there is one.
    `native_n` asks for n choices in one request; without it n requests are sent, which is as cheap where the server
    keeps a prefix cache, and gives each candidate its own counts. `promises` are names of `EngineInfo.can` that hold for
    every model it serves; `owner` is how it signs its list of models; with `one_model` the first listed is the one."""

    name: str
    url: str | None = None
    key_env: tuple[str, ...] = ()
    native_n: bool = False
    prefill: Prefill = "none"
    max_tokens_field: str = "max_tokens"
    think_field: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream_options: Mapping[str, Any] = field(default_factory=lambda: {"include_usage": True})
    promises: frozenset[str] = frozenset({"n"})
    owner: str = ""
    one_model: bool = False

    def info(self, model: str, context_tokens: int | None = None) -> EngineInfo:
        """What is known of such a server without asking it."""
        return EngineInfo(self.name, model, context_tokens, self.promises, self.native_n)


_EVERY_CHUNK = {"include_usage": True, "continuous_usage_stats": True}
_LOCAL = frozenset({"n", "seed", "json_schema", "logprobs", "prefill", "cancel", "exact_usage"})

DIALECTS: Mapping[str, Dialect] = {
    "llama-server": Dialect(
        "llama-server",
        "http://127.0.0.1:8080/v1",
        ("LLAMA_API_KEY",),
        native_n=True,
        prefill="last",
        think_field="reasoning_budget_tokens",
        extra={"timings_per_token": True, "cache_prompt": True},
        promises=_LOCAL,
        owner="llamacpp",
    ),
    "vllm": Dialect(
        "vllm",
        "http://127.0.0.1:8000/v1",
        ("VLLM_API_KEY",),
        prefill="continue",
        think_field="thinking_token_budget",
        stream_options=_EVERY_CHUNK,
        promises=_LOCAL,
        owner="vllm",
        one_model=True,
    ),
    # SGLang reads a seed only where it was started for deterministic inference.
    "sglang": Dialect(
        "sglang",
        "http://127.0.0.1:30000/v1",
        ("SGLANG_API_KEY",),
        prefill="continue",
        stream_options=_EVERY_CHUNK,
        promises=_LOCAL - {"seed"},
        owner="sglang",
        one_model=True,
    ),
    "cerebras": Dialect(
        "cerebras",
        "https://api.cerebras.ai/v1",
        ("CEREBRAS_API_KEY",),
        max_tokens_field="max_completion_tokens",
        promises=frozenset({"n", "exact_usage"}),
        owner="cerebras",
    ),
    "openai": Dialect(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        max_tokens_field="max_completion_tokens",
        promises=frozenset({"n", "exact_usage"}),
    ),
    "compatible": Dialect("compatible"),
}


def parse_spec(spec: str, role: EngineRole = "engine") -> tuple[Dialect, str]:
    """Split `PRESET`, `PRESET:URL` or `URL` into a dialect and a base address. An address without a path gets /v1.

    >>> dialect, url = parse_spec("vllm:http://10.0.0.5:8000")
    >>> dialect.name, url
    ('vllm', 'http://10.0.0.5:8000/v1')
    >>> parse_spec("http://[::1]:9/api/v1/chat/completions")[1]
    'http://[::1]:9/api/v1'
    """
    name, _, rest = spec.partition(":")
    if spec.lower().startswith(("http://", "https://")):
        return DIALECTS["compatible"], _check_url(spec, role)
    known = ", ".join(k for k in DIALECTS if k != "compatible")
    if name not in DIALECTS or name == "compatible":
        raise ConfigError(
            f"unknown engine {spec!r}", hint=f"use embedded, scripted:FILE, a URL, or one of {known} (also as NAME:URL)"
        )
    dialect = DIALECTS[name]
    return dialect, _check_url(rest or dialect.url or "", role)


def _check_url(text: str, role: EngineRole) -> str:
    try:
        parts = urlsplit(text)
        host, secret = parts.hostname, parts.username or parts.password
        if parts.port == 0:
            raise ValueError("port 0")
    except ValueError as error:
        raise ConfigError(f"the engine's address is not a URL: {error}", hint="for example http://127.0.0.1:8000/v1") from error
    if secret or parts.query or parts.fragment:
        # Not shown: what is in there may be a key.
        raise ConfigError(
            f"the address of {host} holds a user name, a query or a fragment",
            hint=f"give the address alone; a key goes into {key_names(DIALECTS['compatible'], role)[-1]} or {role}.key_file",
        )
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in text):
        raise ConfigError(f"{text!r} is not an http or https URL", hint="for example http://127.0.0.1:8000/v1")
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def key_names(dialect: Dialect, role: EngineRole) -> tuple[str, ...]:
    """The environment variables that a key is looked for in, the first one that is set counts.

    >>> key_names(DIALECTS["vllm"], "judge")
    ('VLLM_API_KEY', 'SIXFOLD_JUDGE_KEY')
    """
    return (*dialect.key_env, f"SIXFOLD_{role.upper()}_KEY")


def read_key(dialect: Dialect, key_file: Path | None, role: EngineRole = "engine") -> str | None:
    """The key from a file, else from the environment (`key_names`); `None` where neither is set. It is never printed."""
    if key_file is not None:
        try:
            return _check_key(key_file.read_text(encoding="utf-8"), f"the key file {key_file}")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"the key file {key_file} cannot be read: {why}", hint=f"check {role}.key_file") from None
    for name in key_names(dialect, role):
        if os.environ.get(name, "").strip():
            return _check_key(os.environ[name], name)
    return None


def _check_key(text: str, place: str) -> str:
    """A key as it can stand in a header. Another one would fail later, with a message that repeats it."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{place} does not hold one key", hint="put only the key into it")
    return key
