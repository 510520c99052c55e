"""Solves on scripted engines, as several test files run them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sixfold.config import SolveConfig, load_config
from sixfold.core import Engine, Event, Problem, Request
from sixfold.engine.scripted import Reply
from sixfold.reason.prompts import JUDGE_SYSTEM, PLANNER_SYSTEM
from sixfold.reason.solve import Engines, solve

Script = Callable[[Request, int], Reply | str]


def config(*overrides: str) -> SolveConfig:
    return load_config(SolveConfig, overrides=["seed=0", "plan=off", *overrides]).resolved()


async def events_of(
    engine: Engine | Engines, settings: SolveConfig, problem: Problem | None = None, stop: asyncio.Event | None = None
) -> list[Event]:
    engines = engine if isinstance(engine, Engines) else Engines(engine)
    stream = solve(problem or Problem("p", "What is 2 + 2?"), settings, engines, answer_now=stop)
    return [event async for event in stream]


def only(events: list[Event], kind: str) -> Event:
    found = [e for e in events if e.kind == kind]
    assert len(found) == 1, [e.kind for e in events]
    return found[0]


def role(request: Request) -> str:
    system = request.messages[0].content
    return "plan" if system == PLANNER_SYSTEM else "judge" if system == JUDGE_SYSTEM else "solve"


def in_role(**said: Reply | str | Script) -> Script:
    """A script that answers by who is asked: plan, solve or judge."""

    def script(request: Request, served: int) -> Reply | str:
        reply = said[role(request)]
        return reply(request, served) if callable(reply) else reply

    return script


def by_seed(*replies: Reply | str) -> Script:
    """Candidate i says reply i."""
    return lambda request, _: replies[(request.sampling.seed or 0) % len(replies)]
