"""How each kind of OpenAI-compatible server is asked, as data.

A dialect says where a server usually listens, where its key comes from and which fields it reads. What it really does is
learnt by `probe.py`; nothing here is believed where a run depends on it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sixfold.errors import ConfigError

Prefill = Literal["last", "continue", "none"]
"""How a server goes on from text the assistant already wrote: a trailing assistant message is enough (`last`), needs
`continue_final_message` (`continue`), or cannot be done (`none`)."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`extra` is sent with every streamed request. `think_field` takes a thinking budget in tokens, if there is one.
    `native_n` asks for n choices in one request; without it n requests are sent, which is as cheap where the server
    keeps a prefix cache, and gives each candidate its own counts."""

    name: str
    url: str | None = None
    key_env: tuple[str, ...] = ()
    native_n: bool = False
    prefill: Prefill = "none"
    max_tokens_field: str = "max_tokens"
    think_field: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream_options: Mapping[str, Any] = field(default_factory=lambda: {"include_usage": True})
    sends: frozenset[str] = frozenset({"seed", "logprobs", "json_schema"})


_EVERY_CHUNK = {"include_usage": True, "continuous_usage_stats": True}

DIALECTS: Mapping[str, Dialect] = {
    "llama-server": Dialect(
        "llama-server",
        "http://127.0.0.1:8080/v1",
        ("LLAMA_API_KEY",),
        native_n=True,
        prefill="last",
        think_field="reasoning_budget_tokens",
        extra={"timings_per_token": True, "cache_prompt": True},
    ),
    "vllm": Dialect(
        "vllm",
        "http://127.0.0.1:8000/v1",
        ("VLLM_API_KEY",),
        prefill="continue",
        think_field="thinking_token_budget",
        stream_options=_EVERY_CHUNK,
    ),
    "sglang": Dialect(
        "sglang", "http://127.0.0.1:30000/v1", ("SGLANG_API_KEY",), prefill="continue", stream_options=_EVERY_CHUNK
    ),
    "cerebras": Dialect(
        "cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), max_tokens_field="max_completion_tokens"
    ),
    "openai": Dialect(
        "openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), max_tokens_field="max_completion_tokens"
    ),
    "compatible": Dialect("compatible", key_env=("SIXFOLD_ENGINE_KEY",)),
}


def parse_spec(spec: str) -> tuple[Dialect, str]:
    """Split `PRESET`, `PRESET:URL` or `URL` into a dialect and a base address.

    >>> dialect, url = parse_spec("vllm:http://10.0.0.5:8000/v1/")
    >>> dialect.name, url
    ('vllm', 'http://10.0.0.5:8000/v1')
    """
    name, _, rest = spec.partition(":")
    if spec.startswith(("http://", "https://")):
        return DIALECTS["compatible"], spec.rstrip("/")
    known = ", ".join(k for k in DIALECTS if k != "compatible")
    if name not in DIALECTS or name == "compatible":
        raise ConfigError(
            f"unknown engine {spec!r}", hint=f"use embedded, scripted:FILE, a URL, or one of {known} (also as NAME:URL)"
        )
    dialect = DIALECTS[name]
    if rest and not rest.startswith(("http://", "https://")):
        raise ConfigError(f"{rest!r} is not an http or https URL", hint=f"for example {name}:{dialect.url}")
    return dialect, (rest or dialect.url or "").rstrip("/")


def read_key(dialect: Dialect, key_file: Path | None) -> str | None:
    """The key from a file, else from the environment; `None` where neither is set. It is never printed."""
    if key_file is not None:
        try:
            key = key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the key file {key_file} cannot be read: {error}", hint="check engine.key_file") from error
        if not key or any(c.isspace() for c in key) or not key.isascii():
            raise ConfigError(f"the key file {key_file} does not hold one key", hint="put only the key into it")
        return key
    for name in (*dialect.key_env, "SIXFOLD_ENGINE_KEY"):
        if os.environ.get(name):
            return os.environ[name].strip()
    return None
