"""From a configuration to an engine: what is checked before any work, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dialects import serve

from sixfold.config import EngineConfig
from sixfold.core import Message, Request, Sampling
from sixfold.engine.open import open_engine, probe_engine
from sixfold.engine.wrap import Retry
from sixfold.errors import ConfigError, EngineError, ModelError

ASK = Request((Message("user", "why?"),), Sampling(8, 0.0))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIXFOLD_ENGINE_KEY", "OPENAI_API_KEY", "VLLM_API_KEY", "CEREBRAS_API_KEY"):
        monkeypatch.delenv(name, raising=False)


async def opened(spec: str, home: Path, *needs: str, **config: Any) -> Any:
    engine = await open_engine(EngineConfig(spec=spec, **config), slots=2, home=home, needs=needs)
    await engine.aclose()
    return engine


async def test_a_preset_is_believed_and_only_its_list_is_read(tmp_path: Path) -> None:
    async with serve("vllm") as peer:
        engine = await open_engine(
            EngineConfig(spec=f"vllm:{peer.url}"), slots=2, home=tmp_path, needs=["n", "seed", "prefill"]
        )
        assert isinstance(engine, Retry)
        assert (engine.info.name, engine.info.model, engine.info.context_tokens) == ("vllm", "tiny", 2048)
        assert peer.seen == []
        assert [chunk async for chunk in engine.stream(ASK)][-1].finish == "stop"
        await engine.aclose()


async def test_a_bare_url_is_probed_only_where_something_is_needed(tmp_path: Path) -> None:
    async with serve("llama-server") as peer:
        engine = await opened(peer.url, tmp_path)
        assert (engine.info.name, engine.info.shares_prompt) == ("llama-server", True)
        await opened(peer.url, tmp_path, "n")
        assert peer.seen == []
        engine = await opened(peer.url, tmp_path, "json_schema")
        assert peer.seen
        assert "json_schema" in engine.info.can


async def test_what_a_preset_does_not_promise_is_probed(tmp_path: Path) -> None:
    async with serve("openai") as peer:
        engine = await opened(f"openai:{peer.url}", tmp_path, "logprobs")
        assert {"logprobs", "exact_usage"} <= engine.info.can
        with pytest.raises(EngineError) as caught:
            await opened(f"openai:{peer.url}", tmp_path, "prefill")
        assert caught.value.kind == "missing"
        assert "began anew" in str(caught.value)


async def test_what_was_seen_not_to_work_is_not_promised_any_more(tmp_path: Path) -> None:
    async with serve("vllm", thinks="hm", schema=False) as peer:
        engine = await opened(f"vllm:{peer.url}", tmp_path, "reasoning")
        assert "reasoning" in engine.info.can
        assert "json_schema" not in engine.info.can


async def test_a_wrong_address_or_key_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve("vllm", key="right") as peer:
        with pytest.raises(EngineError) as caught:
            await opened(peer.url, tmp_path)
        assert caught.value.kind == "auth"
        monkeypatch.setenv("SIXFOLD_ENGINE_KEY", "right")
        await opened(peer.url, tmp_path)
        (tmp_path / "key").write_text("wrong")
        with pytest.raises(EngineError):
            await opened(peer.url, tmp_path, key_file=tmp_path / "key")
    with pytest.raises(EngineError) as caught:
        await opened(peer.url, tmp_path)
    assert caught.value.kind == "unreachable"
    async with serve("vllm", pages={"/v1/models": (200, "text/html", "<html>")}) as peer:
        with pytest.raises(EngineError, match="text/html"):
            await opened(peer.url, tmp_path)
    with pytest.raises(ConfigError, match="unknown engine"):
        await opened("nonsense", tmp_path)


async def test_a_model_is_asked_for_where_there_are_several(tmp_path: Path) -> None:
    async with serve("openai", models=("a", "b")) as peer:
        with pytest.raises(EngineError, match="none was chosen"):
            await opened(f"openai:{peer.url}", tmp_path)
        assert (await opened(f"openai:{peer.url}", tmp_path, model="b")).info.model == "b"


async def test_a_script_is_an_engine(tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text('["Answer: 4"]')
    engine = await opened(f"scripted:{tmp_path / 'script.json'}", tmp_path, "n", "seed")
    assert engine.info.name == "scripted"
    assert engine.closed
    with pytest.raises(EngineError) as caught:
        await opened(f"scripted:{tmp_path / 'script.json'}", tmp_path, "speculation")
    assert caught.value.kind == "missing"
    with pytest.raises(ConfigError):
        await probe_engine(EngineConfig(spec="scripted:x"), home=tmp_path)


async def test_the_embedded_engine_says_what_it_lacks_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        await opened("embedded", tmp_path, model="nonsense")
    with pytest.raises(ConfigError, match="unknown speculation"):
        await opened("embedded", tmp_path, speculate="nonsense")


@pytest.mark.model
async def test_the_embedded_engine_is_opened_and_probed(tmp_path: Path, model_path: Path) -> None:
    config = EngineConfig(model=str(model_path), context_tokens=256, threads=1)
    engine = await open_engine(config, slots=2, home=tmp_path, needs=["n", "seed", "json_schema", "logprobs", "prefill"])
    try:
        assert [chunk async for chunk in engine.stream(ASK)][-1].finish
    finally:
        await engine.aclose()
    report = await probe_engine(config, home=tmp_path)
    found = {row.capability: row.value for row in report.rows}
    sure = ("stream", "exact_usage", "n", "seed", "json_schema", "logprobs", "prefill", "cancel")
    assert {name: found[name] for name in sure} == dict.fromkeys(sure, "yes")
    assert (report.dialect.name, report.context_tokens, report.shares_prompt) == ("llama-server", 256, True)


async def test_probing_by_configuration(tmp_path: Path) -> None:
    async with serve("vllm") as peer:
        report = await probe_engine(EngineConfig(spec=peer.url), home=tmp_path)
    assert report.dialect.name == "vllm"


def test_importing_it_loads_no_engine() -> None:
    code = "import sys, sixfold.engine.open; print([m for m in ('xllamacpp', 'httpx', 'numpy', 'gguf') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
