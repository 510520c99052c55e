"""The embedded engine with the real model: watched, restarted, cancelled, counted, and gone with its parent."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
from embedded import engine_on, texts_of

from sixfold.config import SolveConfig, load_config
from sixfold.core import Event, Message, Problem, Request, Sampling, Usage
from sixfold.engine import llamacpp
from sixfold.engine.llamacpp import LlamaCppEngine, Settings, open_llamacpp
from sixfold.errors import EngineError
from sixfold.reason.solve import Engines, solve

pytestmark = pytest.mark.model

_COUNT = (Message("user", "Count from 1 to 40, separated by commas."),)
_QUESTION = "Tom has 3 boxes with 4 apples in each box. How many apples does he have in all?"


async def get(engine: LlamaCppEngine, path: str) -> httpx.Response:
    root = engine.remote.url.removesuffix("/v1")
    return await engine.remote.client.get(root + path)


async def until(true: Callable[[], object], limit_s: float) -> bool:
    """Whether something (perhaps awaitable) becomes true within a time."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        result = true()
        if await result if asyncio.iscoroutine(result) else result:
            return True
        await asyncio.sleep(0.02)
    return False


async def counters(engine: LlamaCppEngine) -> dict[str, int]:
    text = (await get(engine, "/metrics")).text
    return {name: int(float(value)) for name, value in re.findall(r"^llamacpp:(\w+_total) (\S+)$", text, re.M)}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def proc(pid: int | None, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def children_of(pid: int) -> list[int]:
    return [int(p) for p in proc(pid, f"task/{pid}/children").split()]


async def run_solve(engine: LlamaCppEngine, *overrides: str) -> list[Event]:
    config = load_config(SolveConfig, overrides=["seed=1", *overrides]).resolved()
    return [event async for event in solve(Problem("q", _QUESTION), config, Engines(engine))]


async def test_killing_the_child_in_the_middle_of_a_solve_does_not_kill_the_solve(model_path: Path) -> None:
    async with engine_on(model_path, slots=4) as engine:
        config = load_config(SolveConfig, overrides=["n=4", "seed=1", "plan=off", "early_stop=false"]).resolved()
        first_pid, events, seen = engine.pid, [], 0
        async with aclosing(solve(Problem("q", _QUESTION), config, Engines(engine))) as stream:
            async for event in stream:
                events.append(event)
                seen += event.kind == "attempt_text"
                if seen == 12:
                    seen += 1
                    assert engine.pid is not None
                    os.kill(engine.pid, signal.SIGKILL)
        kinds = [e.kind for e in events]
        assert "chosen" in kinds
        assert events[kinds.index("chosen")].text
        assert kinds.count("attempt_retried") == 4
        assert engine.restarts == 1
        assert engine.pid != first_pid
        texts = {i: "".join(e.text for e in events if e.kind == "attempt_text" and e.attempt == i) for i in range(4)}
        chosen = events[kinds.index("chosen")]
        # A retried attempt goes on from where its text stood: what was shown is what it wrote, once.
        assert texts[chosen.attempt or 0].strip() == chosen.data["text"].strip()


async def test_a_child_that_keeps_dying_is_given_up_with_a_clear_error(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is.
    monkeypatch.setattr(llamacpp, "_DEATHS_WINDOW_S", 3600.0)
    async with engine_on(model_path, slots=1) as engine:
        request = Request(_COUNT, Sampling(max_tokens=400, temperature=1.0))

        async def kill_it() -> None:
            killed = None
            async with aclosing(engine.stream(request)) as chunks:
                async for _ in chunks:
                    # Once only: its id may be another's as soon as it is gone.
                    if killed is None and (killed := engine.pid):
                        os.kill(killed, signal.SIGKILL)

        errors: list[EngineError] = []
        for _ in range(7):
            with pytest.raises(EngineError) as caught:
                await kill_it()
            errors.append(caught.value)
        assert [error.retryable for error in errors] == [True] * 5 + [False] * 2
        assert engine.restarts == 5
        for error in errors[5:]:
            assert "died 5 times" in str(error)
            assert "doctor" in error.hint


async def test_closing_a_stream_frees_its_slots_within_a_second(model_path: Path) -> None:
    async with engine_on(model_path, slots=4) as engine:
        request = Request(_COUNT, Sampling(max_tokens=1500, temperature=1.0), n=4)

        async def busy() -> int:
            return sum(slot["is_processing"] for slot in (await get(engine, "/slots")).json())

        async with aclosing(engine.stream(request)) as chunks:
            seen = 0
            async for _ in chunks:
                seen += 1
                if seen == 8:
                    break
            assert await busy() == 4

        async def idle() -> bool:
            return await busy() == 0

        assert await until(idle, 1.0)


_PARENT = """
import asyncio, sys
from sixfold.engine.llamacpp import Settings, open_llamacpp
async def main():
    engine = await open_llamacpp(Settings(sys.argv[1], slots=1))
    print(engine.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_orphan_is_left_however_the_parent_goes(model_path: Path, how: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, str(model_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)
    parent.send_signal(how)
    await parent.wait()
    assert await until(lambda: not is_alive(pid), 5.0)


async def test_ctrl_c_twice_on_the_command_line_leaves_no_child(model_home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sixfold.cli.app", "solve", _QUESTION, "--n", "2", "--no-plan",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr
    while b"started" not in await process.stderr.readline():
        pass
    children = children_of(process.pid)
    assert children
    process.send_signal(signal.SIGINT)
    while b"Ctrl-C again quits" not in await process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    await process.communicate()
    # 0 where the answer was there before the second Ctrl-C; that it quits is tested with a slower script.
    assert process.returncode in (0, 130)
    assert await until(lambda: not any(map(is_alive, children)), 5.0)


async def test_a_request_that_times_out_does_not_end_an_engine_that_serves_others(model_path: Path) -> None:
    async with engine_on(model_path, slots=1) as engine:
        pid = engine.pid
        engine.remote.client.timeout = httpx.Timeout(1.0)
        long = asyncio.create_task(texts_of(engine, Request(_COUNT, Sampling(max_tokens=300, temperature=0.0))))
        await asyncio.sleep(0.2)
        with pytest.raises(EngineError, match="silent"):
            await texts_of(engine, Request(_COUNT, Sampling(max_tokens=5)))
        assert (await long)[1].completion_tokens > 5
        assert engine.pid == pid


@pytest.mark.parametrize("overrides", [["n=1", "plan=off"], ["n=4", "plan=shared"], ["n=3", "plan=each", "select=judge"]])
async def test_the_parts_of_the_account_sum_to_the_engines_own_counters(model_path: Path, overrides: list[str]) -> None:
    async with engine_on(model_path, slots=4) as engine:
        before = await counters(engine)
        events = await run_solve(engine, *overrides, "early_stop=false", "think_tokens=64")
        account = events[-1].data
        after = await counters(engine)
    spent = {k: after[k] - before.get(k, 0) for k in after}
    total = account["total"]
    assert account["exact"]
    assert total["completion_tokens"] == spent["tokens_predicted_total"]
    assert total["prompt_tokens"] - total["cached_tokens"] == spent["prompt_tokens_total"]
    for key in ("prompt_tokens", "completion_tokens", "cached_tokens"):
        assert sum(phase[key] for phase in account["phases"].values()) == total[key]
        assert sum(a["usage"][key] for a in account["attempts"]) == account["phases"]["attempt"][key]


async def test_what_was_cancelled_is_counted_up_to_the_step_in_which_the_engine_heard_of_it(model_path: Path) -> None:
    async with engine_on(model_path, slots=4) as engine:
        before, seen, used = await counters(engine), 0, dict[int, Usage]()
        async with aclosing(engine.stream(Request(_COUNT, Sampling(max_tokens=300, temperature=0.0), n=4))) as chunks:
            async for chunk in chunks:
                used[chunk.index] = chunk.usage or used[chunk.index]
                seen += 1
                if seen == 80:
                    break

        async def settled() -> bool:
            return not any(slot["is_processing"] for slot in (await get(engine, "/slots")).json())

        assert await until(settled, 5.0)
        after = await counters(engine)
    made = after["tokens_predicted_total"] - before.get("tokens_predicted_total", 0)
    assert 0 <= made - sum(u.completion_tokens for u in used.values()) <= 4 * 3


async def test_the_key_is_random_and_nowhere_to_be_read(model_path: Path) -> None:
    async with engine_on(model_path, slots=1) as first, engine_on(model_path, slots=1) as second:
        key = first.remote.client.headers["Authorization"].removeprefix("Bearer ")
        assert key != second.remote.client.headers["Authorization"].removeprefix("Bearer ")
        for name in ("cmdline", "environ"):
            assert key.encode() not in proc(first.pid, name)
        async with httpx.AsyncClient(trust_env=False) as stranger:
            reply = await stranger.post(f"{first.remote.url}/chat/completions", json={"messages": []})
        assert reply.status_code == 401
        assert first.remote.url.startswith("http://127.0.0.1:")


async def test_a_port_in_use_is_said_so(model_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(EngineError, match="in use") as caught:
            await open_llamacpp(Settings(str(model_path), slots=1, port=taken.getsockname()[1]))
    assert "engine.port" in caught.value.hint


async def test_a_file_that_is_no_model_is_said_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(EngineError, match="could not load"):
        await open_llamacpp(Settings(str(broken), slots=1))


async def test_its_own_completion_gives_token_ids_and_their_probabilities(model_path: Path) -> None:
    body = {"prompt": [1, 4093, 198, 504], "n_predict": 3, "n_cmpl": 2, "n_probs": 1, "return_tokens": True, "seed": 1}
    async with engine_on(model_path, slots=2, context_tokens=64) as engine:
        got = await engine.complete(body, 60.0)
        assert [reply["index"] for reply in got] == [0, 1]
        for reply in got:
            assert [entry["id"] for entry in reply["completion_probabilities"]] == reply["tokens"]
            assert all(entry["logprob"] < 0 for entry in reply["completion_probabilities"])
        assert len(await engine.complete(body | {"n_cmpl": 1}, 60.0)) == 1
        with pytest.raises(EngineError, match=r"refused a request.*context") as caught:
            await engine.complete(body | {"prompt": [504] * 3000}, 60.0)
        assert caught.value.kind == "refused"


async def test_a_question_over_the_context_is_refused_with_counts(model_path: Path) -> None:
    async with engine_on(model_path, slots=1, context_tokens=256) as engine:
        config = load_config(SolveConfig, overrides=["n=1"]).resolved()
        problem = Problem("q", "Add these: " + "12 and 7, " * 1000)
        events = [event async for event in solve(problem, config, Engines(engine))]
    failed = next(e for e in events if e.kind == "failed")
    assert re.search(r"has \d{4,} tokens, the engine's context is 256", failed.text)
    assert failed.data["code"] == 3
