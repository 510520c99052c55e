"""The probe against scripted servers: what they do is found out, what they only say is not believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from dialects import CONTEXT, Peer, serve

from sixfold.core import EngineInfo, Message, Request
from sixfold.engine.dialects import DIALECTS
from sixfold.engine.listing import pick_model, read_models, recognise
from sixfold.engine.probe import ProbeReport, info_of, probe, require, rows_of, to_json
from sixfold.engine.remote import RemoteEngine
from sixfold.errors import EngineError

ALL = ("stream", "exact_usage", "reasoning", "n", "seed", "json_schema", "logprobs", "prefill", "think_tokens", "cancel")


def engine_for(peer: Peer, dialect: str = "", model: str = "", key: str | None = None) -> RemoteEngine:
    found = DIALECTS[dialect or peer.dialect]
    return RemoteEngine(found, peer.url, info=found.info(model), key=key)


async def report_on(name: str, *, ask_as: str = "", model: str = "", budget_s: float = 60.0, **traits: Any) -> ProbeReport:
    async with serve(name, **{"delay_s": 0.001} | traits) as peer:
        engine = engine_for(peer, ask_as, model)
        before = dict(vars(engine))
        try:
            report = await probe(engine, budget_s=budget_s)
            assert vars(engine) == before
            return report
        finally:
            await engine.aclose()


def values(report: ProbeReport) -> Mapping[str, str]:
    return {row.capability: row.value for row in report.rows}


async def test_vllm() -> None:
    report = await report_on("vllm", thinks="let me see how many days that makes in all", length=8)
    assert values(report) == dict.fromkeys(ALL, "yes") | {"speculation": "unknown"}
    assert (report.reasoning_field, report.context_tokens, report.model) == ("reasoning", CONTEXT, "tiny")
    assert report.dialect.prefill == "continue"
    assert not report.shares_prompt


async def test_llama_server() -> None:
    report = await report_on("llama-server")
    assert values(report) == dict.fromkeys(ALL, "yes") | {
        "speculation": "no",
        "reasoning": "no",
        "think_tokens": "unknown",
    }
    assert report.shares_prompt
    assert (report.dialect.prefill, report.context_tokens) == ("last", CONTEXT)


async def test_sglang() -> None:
    report = await report_on("sglang", thinks="hm")
    assert report.reasoning_field == "reasoning_content"
    assert (report.value("cancel"), report.value("think_tokens"), report.value("prefill")) == ("yes", "no", "yes")


async def test_cerebras() -> None:
    report = await report_on("cerebras", thinks="hm")
    found = values(report)
    assert (found["n"], found["prefill"], found["cancel"], found["reasoning"]) == ("no", "no", "unknown", "yes")
    assert "n" in info_of(report).can, "n single requests do for n"


@pytest.mark.parametrize(
    ("traits", "capability", "value"),
    [
        ({"seeds": False}, "seed", "no"),
        ({"text": "always this"}, "seed", "unknown"),
        ({"schema": False}, "json_schema", "no"),
        ({"prefills": False}, "prefill", "no"),
        ({"counts": False}, "exact_usage", "no"),
        ({"stubborn": True}, "cancel", "no"),
        ({"pages": {"/metrics": (200, "text/plain", "nothing 1\nvllm:num_requests_running NaN\n")}}, "cancel", "unknown"),
        ({"pages": {"/metrics": (200, "text/plain", "vllm:num_requests_running 3\n")}}, "cancel", "unknown"),
        ({"pages": {"/slots": (200, "application/json", "[3]")}}, "cancel", "yes"),
        ({"refuses": ("logprobs",)}, "logprobs", "no"),
        ({"refuses": ("response_format",)}, "json_schema", "no"),
        ({"text": "<think> hm </think> 4"}, "reasoning", "no"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_does_not_work_is_seen(traits: dict[str, Any], capability: str, value: str) -> None:
    assert (await report_on("vllm", **traits)).value(capability) == value


async def test_a_server_that_does_not_stream_is_seen() -> None:
    assert (await report_on("vllm", troubles=["whole"])).value("stream") == "no"


async def test_trouble_in_the_middle_is_unknown_and_the_rest_goes_on() -> None:
    for trouble in ("cut", "error", "nonsense", "garbage", "html"):
        report = await report_on("vllm", troubles=["", trouble])
        assert (report.value("n"), report.value("seed")) == ("unknown", "yes"), trouble


async def test_what_takes_too_long_is_unknown() -> None:
    report = await report_on("vllm", troubles=["", "hang"], budget_s=0.5)
    assert report.value("n") == "unknown"
    assert report.elapsed_s < 10


@pytest.mark.parametrize(
    ("refused", "asked"),
    [("max_completion_tokens", {"max_tokens_field": "max_tokens"}), ("stream_options", {"stream_options": {}})],
)
async def test_fields_that_a_server_refuses_are_done_without(refused: str, asked: dict[str, Any]) -> None:
    report = await report_on("openai", refuses=(refused,))
    assert {name: getattr(report.dialect, name) for name in asked} == asked
    assert report.value("stream") == "yes"


async def test_a_bare_url_is_recognised_and_used_as_was_learnt() -> None:
    async with serve("vllm") as peer:
        engine = engine_for(peer, "compatible")
        report = await probe(engine)
        assert (report.dialect.name, report.dialect.prefill) == ("vllm", "continue")
        engine.dialect, engine.info = report.dialect, info_of(report)
        chunks = [c async for c in engine.stream(Request((Message("user", "why?"),), prefill="Par"))]
        assert chunks[0].text == "is"
        await engine.aclose()


async def test_an_unknown_server_that_goes_on_is_found_out() -> None:
    report = await report_on("llama-server", ask_as="compatible", owner="me")
    assert (report.dialect.name, report.dialect.prefill, report.value("prefill")) == ("compatible", "last", "yes")


async def test_an_endpoint_that_cannot_be_probed_raises() -> None:
    with pytest.raises(EngineError) as caught:
        await report_on("vllm", troubles=["503"])
    assert caught.value.kind == "server"
    with pytest.raises(EngineError) as caught:
        await report_on("vllm", troubles=["hang"], budget_s=0.2)
    assert caught.value.kind == "unreachable"


# Reports


async def test_a_report_is_rows_and_json() -> None:
    report = await report_on("cerebras", thinks="hm")
    rows = rows_of(report)
    assert rows[0] == ("server", "yes", "cerebras")
    assert {value for _, value, _ in rows} <= {"yes", "no", "unknown"}
    assert all(evidence for _, _, evidence in rows)
    data = json.loads(json.dumps(to_json(report)))
    assert data["capabilities"]["reasoning"] == {"value": "yes", "evidence": "field reasoning"}
    assert data["models"] == ["tiny"]


async def test_what_is_missing_is_named_with_what_was_seen() -> None:
    report = await report_on("cerebras")
    require(report, ["n", "logprobs"])
    with pytest.raises(EngineError) as caught:
        require(report, ["n", "prefill", "cancel"])
    assert caught.value.kind == "missing"
    assert caught.value.hint
    assert "prefill (no, it began anew" in str(caught.value)
    assert "cancel (unknown, neither /slots nor /metrics" in str(caught.value)
    with pytest.raises(EngineError, match="lacks what this run needs: seed"):
        require(EngineInfo("x", "y"), ["seed"])


# The list of models


async def listed(dialect: str = "vllm", key: str | None = None, **traits: Any) -> Any:
    async with serve(dialect, **traits) as peer:
        engine = engine_for(peer, key=key)
        try:
            return await read_models(engine)
        finally:
            await engine.aclose()


async def test_the_list_tells_ids_owner_and_context() -> None:
    found = await listed("llama-server", models=("a", "b"))
    assert (found.ids, found.owner, found.context_tokens) == (("a", "b"), "llamacpp", {"a": CONTEXT, "b": CONTEXT})


async def test_an_endpoint_without_a_list_has_none() -> None:
    assert await listed(pages={"/v1/models": (404, "application/json", "{}")}) is None


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ((200, "text/html", "<html>"), "protocol"),
        ((200, "application/json", '{"data": 3}'), "protocol"),
        ((302, "text/html", ""), "protocol"),
        ((503, "application/json", '{"error": {"code": 503, "message": "Loading model"}}'), "server"),
    ],
)
async def test_a_wrong_address_is_said(page: tuple[int, str, str], kind: str) -> None:
    with pytest.raises(EngineError) as caught:
        await listed(pages={"/v1/models": page})
    assert caught.value.kind == kind


async def test_strange_lists_are_read_as_far_as_they_go() -> None:
    models = [3, {"id": 4}, {"id": "a", "owned_by": None, "meta": 3, "max_model_len": "8"}, {"id": "b", "owned_by": "vllm"}]
    found = await listed(pages={"/v1/models": (200, "application/json", json.dumps({"data": models}))})
    assert (found.ids, found.owner, found.context_tokens) == (("a", "b"), "vllm", {})


async def test_the_model_is_the_wanted_or_the_only_one() -> None:
    two = await listed("openai", models=("a", "b"))
    one = await listed("openai", models=("a",))
    openai = DIALECTS["openai"]
    assert (pick_model(openai, two, "c"), pick_model(openai, one, ""), pick_model(openai, None, "")) == ("c", "a", "")
    assert pick_model(DIALECTS["vllm"], two, "") == "a", "what follows the model are its adapters"
    with pytest.raises(EngineError, match="none was chosen"):
        pick_model(openai, two, "")


async def test_only_a_bare_url_is_recognised_by_its_list() -> None:
    vllm = await listed("vllm")
    assert recognise(DIALECTS["compatible"], vllm) is DIALECTS["vllm"]
    assert recognise(DIALECTS["openai"], vllm) is DIALECTS["openai"]
    assert recognise(DIALECTS["compatible"], None) is DIALECTS["compatible"]
    assert recognise(DIALECTS["compatible"], replace(vllm, owner="")) is DIALECTS["compatible"]
