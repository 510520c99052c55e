"""From a configuration to an engine that is known to do what the run needs.

Place: every command that thinks starts here. The kinds of engine are loaded only when they are used.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sixfold.config import EngineConfig
from sixfold.core import Engine
from sixfold.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from sixfold.engine.dialects import EngineRole
    from sixfold.engine.llamacpp import LlamaCppEngine
    from sixfold.engine.probe import ProbeReport
    from sixfold.engine.remote import RemoteEngine


async def open_engine(
    config: EngineConfig, *, slots: int, home: Path, needs: Collection[str] = (), role: EngineRole = "engine"
) -> Engine:
    """Open the engine that `config` describes; close it with `aclose()`.

    `slots` is how many candidates the embedded engine works on at once; `home` holds the pulled models; `needs` are names
    of `EngineInfo.can`; `role` says whose engine it is, and so which key it gets. Raises `ConfigError`, `ModelError`, or
    `EngineError`, of kind `missing` where a need is not met.
    """
    from sixfold.engine.probe import require
    from sixfold.engine.wrap import Retry

    engine: Engine
    if config.spec == "embedded":
        engine = await _open_embedded(config, slots, home)
    elif config.spec.startswith("scripted:"):
        from sixfold.engine.scripted import load_script

        engine = load_script(Path(config.spec.removeprefix("scripted:")))
    else:
        remote = _make_remote(config, role)
        try:
            await _learn(remote, needs)
        except BaseException:
            await remote.aclose()
            raise
        engine = Retry(remote)
    try:
        require(engine.info, needs)
    except EngineError:
        await engine.aclose()
        raise
    return engine


async def probe_engine(config: EngineConfig, *, home: Path, budget_s: float = 90.0) -> ProbeReport:
    """Probe the engine that `config` describes, the embedded one included, and close it again."""
    from sixfold.engine.probe import probe

    if config.spec.startswith("scripted:"):
        raise ConfigError("a scripted engine has no endpoint to probe", hint="probe embedded, a preset or a URL")
    if config.spec == "embedded":
        embedded = await _open_embedded(config, 2, home)
        try:
            return await probe(embedded.remote, budget_s=budget_s)
        finally:
            await embedded.aclose()
    remote = _make_remote(config)
    try:
        return await probe(remote, budget_s=budget_s)
    finally:
        await remote.aclose()


async def _open_embedded(config: EngineConfig, slots: int, home: Path) -> LlamaCppEngine:
    from sixfold.engine import llamacpp, models

    if slots > llamacpp.MAX_SLOTS:
        raise ConfigError(
            f"{slots} candidates at once (n times concurrency), but llama.cpp works on at most {llamacpp.MAX_SLOTS}",
            hint="lower n or concurrency",
        )
    kind, draft = llamacpp.check_speculate(config.speculate)
    model = models.find(config.model or models.DEFAULT, home)
    settings = llamacpp.Settings(
        model_path=str(model.path),
        alias=model.name,
        slots=slots,
        context_tokens=config.context_tokens,
        threads=config.threads,
        port=config.port,
        speculate=kind,
        draft_path=str(models.find(draft, home).path) if draft else "",
        lora_path=str(config.lora.expanduser()) if config.lora else "",
    )
    return await llamacpp.open_llamacpp(settings, config.idle_timeout_s)


def _make_remote(config: EngineConfig, role: EngineRole = "engine") -> RemoteEngine:
    from sixfold.engine.dialects import parse_spec, read_key
    from sixfold.engine.remote import RemoteEngine

    dialect, url = parse_spec(config.spec, role)
    key = read_key(dialect, config.key_file, role)
    info = dialect.info(config.model)
    return RemoteEngine(dialect, url, info=info, key=key, idle_timeout_s=config.idle_timeout_s, role=role)


async def _learn(engine: RemoteEngine, needs: Collection[str]) -> None:
    """Fill in the model's name, the context, the slots where they bound n, and, of a bare URL, the dialect; probe only what a
    need makes necessary."""
    from sixfold.engine.listing import pick_model, read_models, read_props, recognise
    from sixfold.engine.probe import info_of, probe, require

    bare = engine.dialect.name == "compatible"
    listing = await read_models(engine)
    engine.dialect = recognise(engine.dialect, listing)
    model = pick_model(engine.dialect, listing, engine.info.model)
    engine.info = engine.dialect.info(model, listing.context_tokens.get(model) if listing else None)
    if engine.dialect.native_n:
        engine.slots = (await read_props(engine)).slots
    if set(needs) <= ({"n"} if bare else engine.info.can):
        return
    report = await probe(engine)
    require(report, needs)
    known = info_of(report)
    engine.dialect, engine.info = report.dialect, replace(known, can=known.can | engine.info.can - _denied(report))


def _denied(report: ProbeReport) -> frozenset[str]:
    """What was seen not to work, whatever servers of its kind promise."""
    return frozenset(row.capability for row in report.rows if row.value == "no")
