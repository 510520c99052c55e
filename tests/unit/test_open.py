"""From a configuration to an engine: what is checked before any work, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dialects import serve

from sixfold.config import EngineConfig, home_dir
from sixfold.core import Message, Request, Sampling
from sixfold.engine import llamacpp
from sixfold.engine.llamacpp import LlamaCppEngine, Settings
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


@pytest.mark.parametrize("named", [True, False], ids=["preset", "bare URL"])
async def test_a_llama_server_with_fewer_slots_than_choices_is_asked_one_by_one(tmp_path: Path, named: bool) -> None:
    props = {"total_slots": 2, "default_generation_settings": {"n_ctx": 2048}}
    page = (200, "application/json", json.dumps(props))
    async with serve("llama-server", slots=2, pages={"/props": page}) as peer:
        engine = await open_engine(EngineConfig(spec=f"llama-server:{peer.url}" if named else peer.url), slots=4, home=tmp_path)
        for n in (2, 4):
            chunks = [chunk async for chunk in engine.stream(replace(ASK, n=n))]
            assert sorted(chunk.index for chunk in chunks if chunk.finish == "stop") == list(range(n))
        assert [sent.get("n", 1) for sent in peer.seen] == [2, 1, 1, 1, 1]
        await engine.aclose()


@pytest.mark.parametrize("page", [(404, "text/html", "no"), (200, "application/json", "[]"), (200, "text/html", "{")], ids=str)
async def test_a_llama_server_that_does_not_tell_its_slots_is_believed(tmp_path: Path, page: tuple[int, str, str]) -> None:
    async with serve("llama-server", pages={"/props": page}) as peer:
        assert (await opened(f"llama-server:{peer.url}", tmp_path)).inner.slots is None


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
    async with serve("vllm", key="right") as peer:
        with pytest.raises(EngineError) as caught:
            await open_engine(EngineConfig(spec=peer.url), slots=1, home=tmp_path, role="judge")
        assert "SIXFOLD_JUDGE_KEY" in caught.value.hint, "SIXFOLD_ENGINE_KEY is none of the judge's business"
        monkeypatch.setenv("SIXFOLD_JUDGE_KEY", "right")
        await (await open_engine(EngineConfig(spec=peer.url), slots=1, home=tmp_path, role="judge")).aclose()
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
    with pytest.raises(ConfigError, match=r"257 candidates .* at most 256") as caught:
        await open_engine(EngineConfig(), slots=257, home=tmp_path)
    assert caught.value.hint == "lower n or concurrency"


async def test_a_relative_home_is_one_to_the_child_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIXFOLD_HOME", "here")
    models = tmp_path / "here" / "models"
    models.mkdir(parents=True)
    (models / "tiny.gguf").write_bytes(b"GGUF")
    record = {"size_bytes": 4, "gguf_type": "Q8_0", "origin": "", "sha256": "", "licence": ""}
    (models / "tiny.json").write_text(json.dumps(record))
    started: list[str] = []

    async def start(self: LlamaCppEngine) -> None:
        started.append(self.settings.model_path)

    monkeypatch.setattr(LlamaCppEngine, "start", start)
    for home in (home_dir(), Path("here")):
        engine = await open_engine(EngineConfig(model="tiny"), slots=1, home=home)
        await engine.aclose()
    assert started == [str(models / "tiny.gguf")] * 2


def test_a_home_is_absolute_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SIXFOLD_HOME", "~/models")
    assert home_dir() == Path("/home/me/models")
    monkeypatch.delenv("SIXFOLD_HOME")
    assert home_dir() == Path("/home/me/.sixfold")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", dict[int, Any]().__getitem__)
    with pytest.raises(ConfigError) as caught:
        home_dir()
    assert "SIXFOLD_HOME" in caught.value.hint


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


@pytest.mark.model
async def test_an_adapter_is_attached_by_its_file(tmp_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Settings] = []

    async def start(settings: Settings, idle_timeout_s: float) -> LlamaCppEngine:
        started.append(settings)
        return LlamaCppEngine(settings)

    monkeypatch.setattr(llamacpp, "open_llamacpp", start)
    for lora in ("~/adapter.gguf", None):
        await opened("embedded", tmp_path, model=str(model_path), lora=lora)
    assert [settings.lora_path for settings in started] == [str(Path.home() / "adapter.gguf"), ""]


async def test_probing_by_configuration(tmp_path: Path) -> None:
    async with serve("vllm") as peer:
        report = await probe_engine(EngineConfig(spec=peer.url), home=tmp_path)
    assert report.dialect.name == "vllm"


def test_importing_it_loads_no_engine() -> None:
    code = "import sys, sixfold.engine.open; print([m for m in ('xllamacpp', 'httpx', 'numpy', 'gguf') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
