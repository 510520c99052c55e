"""`sixfold doctor`: is everything there that a solve needs, and if not, what to do.

Each check looks, and changes nothing, except that the engine check starts the engine and says four words to it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from sixfold import __version__
from sixfold.cli.screen import print_rows
from sixfold.config import EngineConfig, home_dir
from sixfold.core import Message, Request, Sampling
from sixfold.engine import models
from sixfold.engine.llamacpp import cores
from sixfold.engine.open import open_engine
from sixfold.errors import SixfoldError
from sixfold.verify.sandbox import NEXT_STEP, open_sandbox


class Check(NamedTuple):
    name: str
    ok: bool
    found: str
    fix: str = ""


def diagnose(engine: str | None, model: str = "") -> list[Check]:
    """All checks, in the order in which they depend on each other."""
    checks = [_python(), _machine(), _home(), _sandbox()]
    if engine is None or engine == "embedded":
        checks += [_library(), _model()]
    return [*checks, asyncio.run(_engine(engine or "embedded", model))]


def show(checks: list[Check]) -> None:
    print_rows(("check", "", "found"), [(c.name, "ok" if c.ok else "FAIL", c.found) for c in checks])
    for check in checks:
        if not check.ok:
            print(f"{check.name}: {check.fix}", file=sys.stderr)


def _python() -> Check:
    found = f"Python {platform.python_version()}, sixfold {__version__}"
    return Check("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _machine() -> Check:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Check(
        "machine", memory_gib >= 1.0, f"{platform.machine()}, {cores()} cores, {memory_gib:.0f} GiB", "1 GiB of memory"
    )


def _home() -> Check:
    home = home_dir()
    place = next(p for p in (home, *home.parents) if p.exists())
    free_gib = shutil.disk_usage(place).free / 2**30
    writable = os.access(place, os.W_OK)
    fix = f"make {place} writable, or set SIXFOLD_HOME to a folder that is" if not writable else "free 1 GiB of disk"
    return Check("home", writable and free_gib >= 1.0, f"{home}, {free_gib:.0f} GiB free", fix)


def _sandbox() -> Check:
    """Nothing fails without one, except that answers which are programs are unscored."""
    found = open_sandbox()
    return Check("sandbox", True, found.kind if found else f"none, programs are unscored: {NEXT_STEP}")


def _library() -> Check:
    try:
        return Check("llama.cpp", True, f"xllamacpp {version('xllamacpp')}")
    except PackageNotFoundError:
        return Check("llama.cpp", False, "xllamacpp is not installed", "pip install xllamacpp")


def _model() -> Check:
    return _attempt("model", _check_model)


def _check_model() -> str:
    model = models.find(models.DEFAULT, home_dir())
    models.verify(model)
    return f"{model.name}, {model.size_bytes / 2**20:.0f} MiB, SHA-256 right"


def _attempt(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except SixfoldError as error:
        return Check(name, False, str(error.args[0]), error.hint)


async def _engine(spec: str, model: str) -> Check:
    begun = time.monotonic()
    try:
        engine = await open_engine(EngineConfig(spec=spec, model=model), slots=1, home=Path(home_dir()))
        try:
            request = Request((Message("user", "Count: one two three"),), Sampling(max_tokens=32, temperature=0.0))
            loaded, tokens = time.monotonic(), 0
            async with aclosing(engine.stream(request)) as chunks:
                async for chunk in chunks:
                    tokens = chunk.usage.completion_tokens if chunk.usage else tokens
            rate = tokens / max(1e-9, time.monotonic() - loaded)
        finally:
            await engine.aclose()
    except SixfoldError as error:
        return Check("engine", False, str(error.args[0]), error.hint)
    return Check("engine", True, f"{spec}: ready after {loaded - begun:.1f} s, {rate:.0f} tokens/s for one stream")
