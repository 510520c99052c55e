"""Measures what `solve` costs and saves, with the untrained base: `make bench`, or one part: `make bench ARGS=early`.

Parts: overhead (N=1 against a raw streaming call to the same child), prefix (N=8 at once against eight calls in turn), early
(N=8 by majority, with and without early stopping), plan (with and without), speculate (each kind against none). Ratios of one
run on one machine; the two sides of a ratio take turns. Results are printed and, with `--out FILE`, written as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sixfold.config import SolveConfig, home_dir, load_config
from sixfold.core import Message, Problem, Request, Sampling
from sixfold.engine import models
from sixfold.engine.llamacpp import LlamaCppEngine, Settings, open_llamacpp
from sixfold.reason.prompts import solver_messages
from sixfold.reason.solve import Engines, solve
from sixfold.trace import counts, summarise
from sixfold.verify.answers import same_answer

_STORY = "Write a long story about a river, a bridge and a lighthouse."


@asynccontextmanager
async def embedded(slots: int, **settings: Any) -> AsyncIterator[LlamaCppEngine]:
    path = models.find(models.BASE, home_dir()).path
    engine = await open_llamacpp(Settings(str(path), slots=slots, **settings))
    try:
        yield engine
    finally:
        await engine.aclose()


async def run(engine: LlamaCppEngine, problem: Problem, **settings: Any) -> dict[str, Any]:
    config = load_config(SolveConfig, flags={"plan": "off", "logprobs": False, "temperature": 0.5} | settings).resolved()
    events = [e async for e in solve(problem, config, Engines(engine)) if e.kind not in ("attempt_text", "plan_text")]
    return summarise(events, problem)


async def raw_call(engine: LlamaCppEngine, messages: tuple[Message, ...], max_tokens: int) -> float:
    """Seconds of one streamed request, read as bytes and not looked at."""
    body = engine.remote.body(Request(messages, Sampling(max_tokens, 0.7, 0.95, 1)))
    begun = time.perf_counter()
    async with engine.remote.client.stream("POST", f"{engine.remote.url}/chat/completions", json=body) as response:
        async for _ in response.aiter_raw():
            pass
    return time.perf_counter() - begun


async def overhead(rounds: int) -> dict[str, Any]:
    async with embedded(1) as engine:
        # Without going on from text no forced answer follows: one request of 168 + 32 tokens, as in the raw call.
        engine.info = replace(engine.info, can=engine.info.can - {"prefill"})
        problem, ratios, tokens = Problem("story", _STORY), [], 0
        await raw_call(engine, solver_messages(_STORY), 200)
        for i in range(rounds):
            raw_s = 0.0 if i % 2 else await raw_call(engine, solver_messages(_STORY), 200)
            begun = time.perf_counter()
            result = await run(engine, problem, n=1, seed=1, think_tokens=168, answer_tokens=32)
            solve_s = time.perf_counter() - begun
            raw_s = raw_s or await raw_call(engine, solver_messages(_STORY), 200)
            ratios.append(solve_s / raw_s)
            tokens = result["usage"]["total"]["completion_tokens"]
    return {
        "tokens": tokens,
        "rounds": rounds,
        "median_ratio": statistics.median(ratios),
        "min": min(ratios),
        "max": max(ratios),
    }


async def prefix(rounds: int) -> dict[str, Any]:
    question = "A farmer has 4 fields with 12 rows each. Every row has 9 trees. How many trees are there?"
    problem, ratios, speeds = Problem("p", question), [], []
    settings: dict[str, Any] = {"early_stop": False, "think_tokens": 128, "select": "majority"}
    async with embedded(8) as engine:
        for i in range(rounds):
            begun, alone = time.perf_counter(), 0
            for k in range(8):
                single = await run(engine, problem, n=1, seed=100 * i + k, **settings)
                alone += single["usage"]["total"]["completion_tokens"]
            alone_s, begun = time.perf_counter() - begun, time.perf_counter()
            together = (await run(engine, problem, n=8, seed=100 * i, **settings))["usage"]["total"]["completion_tokens"]
            together_s = time.perf_counter() - begun
            speeds.append((alone / alone_s, together / together_s))
            ratios.append((together / together_s) / (alone / alone_s))
    return {
        "rounds": rounds, "median_ratio_of_tokens_per_s": statistics.median(ratios), "min": min(ratios), "max": max(ratios),
        "tokens_per_s": [round(statistics.median(s), 1) for s in zip(*speeds, strict=True)],
    }  # fmt: skip


def easy_questions(count: int, seed: int) -> Iterator[Problem]:
    """One-step problems that one attempt of the embedded model gets right about half of the time (temperature 0.5)."""
    rng = random.Random(seed)
    for i in range(count):
        a, b = rng.randint(2, 5), rng.randint(2, 3)
        question, answer = rng.choice([
            (f"A pencil costs {a} dollars. How much do {b} pencils cost, in dollars?", a * b),
            (f"There are {b} boxes with {a} apples in each box. How many apples are there in all?", a * b),
            (f"What is {a} + {b}?", a + b),
        ])  # fmt: skip
        yield Problem(f"e{i}", question, str(answer))


async def early(count: int) -> dict[str, Any]:
    problems = list(easy_questions(count, seed=7))
    sums: dict[bool, dict[str, float]] = {stop: {"tokens": 0, "right": 0, "s": 0.0, "saved": 0} for stop in (False, True)}
    attempts = right = differ = 0
    async with embedded(8) as engine:
        for i, problem in enumerate(problems):
            answers = []
            for stop in (False, True) if i % 2 else (True, False):
                result = await run(engine, problem, n=8, seed=1000 + 8 * i, select="majority", early_stop=stop)
                usage, side = result["usage"], sums[stop]
                side["tokens"] += usage["total"]["completion_tokens"]
                side["saved"] += usage["saved"]["completion_tokens"]
                side["right"] += bool(result["correct"])
                side["s"] += usage["elapsed_s"]
                answers.append(result["answer"])
                if not stop:
                    attempts += len(result["attempts"])
                    right += sum(
                        a["answer"] is not None and same_answer(a["answer"], problem.answer or "") for a in result["attempts"]
                    )
            differ += answers[0] != answers[1]
            print(f"{i + 1} of {count}", file=sys.stderr, end="\r", flush=True)
    full, stopped = sums[False], sums[True]
    return {
        "questions": count, "one_attempt_right": right / attempts, "majority_right": full["right"] / count,
        "majority_right_with_early_stop": stopped["right"] / count, "answers_that_differ": differ,
        "tokens": full["tokens"], "tokens_with_early_stop": stopped["tokens"],
        "tokens_saved": 1 - stopped["tokens"] / full["tokens"], "time_saved": 1 - stopped["s"] / full["s"],
        "tokens_saved_as_estimated": stopped["saved"] / (stopped["tokens"] + stopped["saved"]),
    }  # fmt: skip


async def plan(count: int) -> dict[str, Any]:
    """With a shared plan and without: how many are right, what it costs, and how often the plan contains the answer."""
    sides: dict[str, list[dict[str, Any]]] = {"off": [], "shared": []}
    async with embedded(8) as engine:
        for i, problem in enumerate(easy_questions(count, seed=11)):
            for mode in ("off", "shared") if i % 2 else ("shared", "off"):
                sides[mode].append(await run(engine, problem, n=8, seed=1000 + 8 * i, select="majority", plan=mode))
            print(f"{i + 1} of {count}", file=sys.stderr, end="\r", flush=True)
    sums = {mode: counts(results) for mode, results in sides.items()}
    tokens = {mode: sum(r["usage"]["total"]["completion_tokens"] for r in results) for mode, results in sides.items()}
    return {
        "questions": count, "right_without": sums["off"]["right"] / count, "right_with": sums["shared"]["right"] / count,
        "tokens_without": tokens["off"], "tokens_with": tokens["shared"],
        "plans_that_contain_the_answer": sums["shared"]["leaks"] / max(1, sums["shared"]["plans"]),
    }  # fmt: skip


async def speculate(rounds: int) -> dict[str, Any]:
    """Tokens per second of every kind over none, on the same greedy request, for one stream and for four."""
    path = str(models.find(models.BASE, home_dir()).path)
    messages = solver_messages("Sara has 5 bags with 7 marbles each and finds 4 more. How many marbles does she have?")
    speeds: dict[str, dict[int, list[float]]] = {}
    for _ in range(rounds):
        for kind in ("off", "ngram-simple", "ngram-mod", "ngram-cache", "draft"):
            async with embedded(4, speculate=kind, draft_path=path) as engine:
                for n in (1, 4):
                    begun, tokens = time.perf_counter(), 0
                    request = Request(messages, Sampling(256, 0.7, 0.95, 1), n=n)
                    async with aclosing(engine.stream(request)) as chunks:
                        async for chunk in chunks:
                            tokens += chunk.usage.completion_tokens if chunk.finish and chunk.usage else 0
                    speeds.setdefault(kind, {}).setdefault(n, []).append(tokens / (time.perf_counter() - begun))
    base = {n: statistics.median(speeds["off"][n]) for n in (1, 4)}
    return {kind: {n: round(statistics.median(v) / base[n], 3) for n, v in by_n.items()} for kind, by_n in speeds.items()}


PARTS = {
    "overhead": (overhead, 6),
    "prefix": (prefix, 3),
    "early": (early, 40),
    "plan": (plan, 16),
    "speculate": (speculate, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], help="overhead, prefix, early, plan, speculate; all without any"
    )
    parser.add_argument("--count", type=int, help="rounds or questions instead of the usual number")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    args = parser.parse_args()
    results = {}
    for name in args.parts or PARTS:
        part, usual = PARTS[name]
        results[name] = asyncio.run(part(args.count or usual))
        print(name, json.dumps(results[name], indent=1), flush=True)
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
