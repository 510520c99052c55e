"""What an endpoint really does, measured with a dozen short requests: no documentation and no version number is believed.

Place: `sixfold engine probe URL` prints the report; `open.py` probes where a run needs what a server's kind does not
promise, and goes on with what was learnt (`info_of`, `ProbeReport.dialect`). `yes` needs evidence, and so does `no`;
what cannot be seen from outside is `unknown`, which a run that needs it treats as missing.
It does not measure speed or quality, and costs some 300 tokens.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sixfold.core import EngineInfo, Message, Request, Sampling
from sixfold.engine.dialects import Dialect, Prefill
from sixfold.engine.listing import pick_model, read_models, read_props, recognise
from sixfold.engine.remote import RemoteEngine, logprobs_in, reasoning_in, text_in
from sixfold.errors import EngineError

Value = Literal["yes", "no", "unknown"]

_STEP_S = 20.0
_CANCEL_S = 2.0
_GAUGES = ("vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing")
_ALL = frozenset({"n", "seed", "json_schema", "logprobs", "prefill"})
_WORD = "zebra-4711"


@dataclass(frozen=True, slots=True)
class Row:
    capability: str
    value: Value
    evidence: str


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """`dialect` is how to ask this endpoint from now on; `reasoning_field` is where it puts thinking, if it does."""

    url: str
    model: str
    models: tuple[str, ...]
    context_tokens: int | None
    dialect: Dialect
    reasoning_field: str
    shares_prompt: bool
    rows: tuple[Row, ...]
    elapsed_s: float

    def value(self, capability: str) -> Value:
        return next((row.value for row in self.rows if row.capability == capability), "unknown")


def info_of(report: ProbeReport) -> EngineInfo:
    """The report as a run needs it. n is always there: what the server cannot do at once is asked for one by one."""
    can = frozenset({"n", *(row.capability for row in report.rows if row.value == "yes")})
    return EngineInfo(report.dialect.name, report.model, report.context_tokens, can, report.shares_prompt)


def require(known: ProbeReport | EngineInfo, needs: Collection[str]) -> None:
    """Raises `EngineError` (kind `missing`) that names what a run needs and the engine is not known to do."""
    info = info_of(known) if isinstance(known, ProbeReport) else known
    missing = sorted(set(needs) - info.can)
    if not missing:
        return
    rows = known.rows if isinstance(known, ProbeReport) else ()
    seen = {row.capability: f"{row.value}, {row.evidence}" for row in rows}
    raise EngineError(
        f"the engine {info.name} lacks what this run needs: "
        + "; ".join(f"{name} ({seen[name]})" if name in seen else name for name in missing),
        kind="missing", hint="use another engine or model; `sixfold engine probe URL` shows what each can do",
    )  # fmt: skip


def rows_of(report: ProbeReport) -> list[tuple[str, str, str]]:
    """Capability, yes/no/unknown, evidence; first what the endpoint is."""
    listed = f"{len(report.models)} listed" if report.models else "the endpoint lists none"
    return [
        ("server", "yes" if report.dialect.name != "compatible" else "unknown", report.dialect.name),
        ("model", "yes" if report.model else "unknown", f"{report.model or 'unnamed'}, {listed}"),
        (
            "context",
            "yes" if report.context_tokens else "unknown",
            f"{report.context_tokens} tokens" if report.context_tokens else "the endpoint does not say",
        ),
        *((row.capability, row.value, row.evidence) for row in report.rows),
    ]


def to_json(report: ProbeReport) -> dict[str, Any]:
    return {
        "url": report.url,
        "server": report.dialect.name,
        "model": report.model,
        "models": list(report.models),
        "context_tokens": report.context_tokens,
        "reasoning_field": report.reasoning_field or None,
        "prefill": report.dialect.prefill,
        "shares_prompt": report.shares_prompt,
        "elapsed_s": round(report.elapsed_s, 3),
        "capabilities": {row.capability: {"value": row.value, "evidence": row.evidence} for row in report.rows},
    }


@dataclass(slots=True)
class _Seen:
    """What one reply was made of."""

    texts: dict[int, str] = field(default_factory=dict)
    thoughts: dict[int, str] = field(default_factory=dict)
    finishes: dict[int, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    events: int = 0
    pieces: int = 0
    thought_pieces: int = 0
    logprobs: list[float] = field(default_factory=list)
    counts: int = 0
    tokens: int | None = None
    drafted: int = 0

    @property
    def text(self) -> str:
        return self.texts.get(0, "")

    @property
    def whole(self) -> str:
        return self.thoughts.get(0, "") + self.text

    def read(self, data: Mapping[str, Any]) -> None:
        self.events += 1
        usage, timings = data.get("usage") or {}, data.get("timings") or {}
        if type(usage.get("completion_tokens")) is int:
            self.tokens = usage["completion_tokens"]
            self.counts += not data.get("choices")
        self.drafted = max(self.drafted, int(timings.get("draft_n") or 0))
        for item in data.get("choices") or ():
            index, delta = int(item.get("index") or 0), item.get("delta") or item.get("message") or {}
            text, thought = text_in(delta.get("content")), reasoning_in(delta)
            self.texts[index] = self.texts.get(index, "") + text
            self.thoughts[index] = self.thoughts.get(index, "") + thought
            self.names |= {name for name in ("reasoning_content", "reasoning") if delta.get(name)}
            self.pieces += bool(text or thought)
            self.thought_pieces += bool(thought)
            self.logprobs += logprobs_in(item)
            if item.get("finish_reason"):
                self.finishes[index] = str(item["finish_reason"])


@dataclass(slots=True)
class _Probe:
    """The engine under test, with everything allowed, and what the checks found out for the ones after them."""

    engine: RemoteEngine
    plain: _Seen = field(default_factory=_Seen)
    shares_prompt: bool = False

    @property
    def root(self) -> str:
        return self.engine.url.removesuffix("/v1")

    @property
    def spare_tokens(self) -> int:
        """What a model that thinks needs before it answers."""
        return 384 if self.plain.names or "<think>" in self.plain.whole else 0

    async def ask(self, question: str, sampling: Sampling, **more: Any) -> _Seen:
        return await self.send(self.engine.body(Request((Message("user", question),), sampling, **more)))

    async def send(self, body: Mapping[str, Any]) -> _Seen:
        seen = _Seen()
        async with aclosing(self.engine.events(body)) as events:
            async for data in events:
                if failure := self.engine.failure_in(data):
                    raise failure
                try:
                    seen.read(data)
                except (AttributeError, TypeError, ValueError, OverflowError) as error:
                    raise EngineError("it sent a completion of a shape that nobody knows", kind="protocol") from error
        return seen


_Check = Callable[[_Probe], Awaitable[tuple[Value, str]]]


async def _stream(probe: _Probe) -> tuple[Value, str]:
    plain = probe.plain
    if plain.events > 2:
        return "yes", f"{plain.events} events"
    return "no", "the whole reply came at once"


async def _usage(probe: _Probe) -> tuple[Value, str]:
    plain = probe.plain
    if plain.tokens:
        return "yes", f"{plain.tokens} tokens counted by the server, {plain.pieces} pieces seen"
    return "no", f"{plain.pieces} pieces and no count"


async def _reasoning(probe: _Probe) -> tuple[Value, str]:
    plain = probe.plain
    if plain.names:
        return "yes", f"field {' and '.join(sorted(plain.names))}"
    if "<think>" in plain.text or "</think>" in plain.text:
        return "no", "thinking came in <think> tags in the text"
    return "no", f"no thinking in {plain.pieces} pieces"


async def _n(probe: _Probe) -> tuple[Value, str]:
    seen = await probe.ask("Say a word.", Sampling(max_tokens=4, temperature=1.0, seed=1), n=2)
    if set(seen.texts) >= {0, 1} and set(seen.finishes) >= {0, 1}:
        own = seen.counts >= 2
        probe.shares_prompt = own and probe.engine.dialect.native_n
        return "yes", f"asked for 2, got 2, {'each with its own count' if own else 'without a count for each'}"
    return "no", f"asked for 2, got {len(seen.finishes)}; n single requests are sent instead"


async def _seed(probe: _Probe) -> tuple[Value, str]:
    said = []
    for seed in (11, 11, 12, 13):
        sampling = Sampling(max_tokens=12, temperature=1.0, top_p=1.0, seed=seed)
        said.append((await probe.ask("Write twelve random words.", sampling)).whole)
    if not all(said):
        return "unknown", "it said nothing"
    if said[0] != said[1]:
        return "no", "one seed gave two texts"
    others = len({*said[1:]} - {said[0]})
    if not others:
        return "unknown", "every seed gave one text"
    return "yes", f"one seed twice: one text; two other seeds: {others} other text{'s' if others > 1 else ''}"


async def _json_schema(probe: _Probe) -> tuple[Value, str]:
    word = {"type": "object", "properties": {"word": {"type": "string", "enum": [_WORD]}}}
    schema = word | {"required": ["word"], "additionalProperties": False}
    sampling = Sampling(max_tokens=128 + probe.spare_tokens, temperature=0.0, seed=1)
    seen = await probe.ask("Say hello.", sampling, json_schema=schema)
    text = seen.text.rpartition("</think>")[2].strip()
    try:
        if json.loads(text) == {"word": _WORD}:
            return "yes", f"forced it to say {_WORD}"
    except ValueError:
        pass
    if seen.finishes.get(0) == "length" and (not text or text.startswith("{")):
        return "unknown", "it ran out of tokens before the end of its answer"
    return "no", f"it said {text[:40]!r}"


async def _logprobs(probe: _Probe) -> tuple[Value, str]:
    seen = await probe.ask("Say hello.", Sampling(max_tokens=8, temperature=0.0, logprobs=True))
    found, tokens = len(seen.logprobs), seen.pieces if seen.tokens is None else seen.tokens
    # The end-of-text token is counted, but often has no entry.
    fits = found > 0 and abs(found - tokens) <= 1 and all(value <= 0 for value in seen.logprobs)
    return "yes" if fits else "no", f"{found} log-probabilities for {tokens} tokens"


async def _prefill(probe: _Probe) -> tuple[Value, str]:
    engine, said = probe.engine, ""
    styles: tuple[Prefill, ...] = (engine.dialect.prefill, "last", "continue")
    for style in dict.fromkeys(s for s in styles if s != "none"):
        engine.dialect = replace(engine.dialect, prefill=style)
        sampling = Sampling(max_tokens=4, temperature=0.0)
        try:
            seen = await probe.ask("What is the capital of France?", sampling, prefill="The capital of France is Par")
        except EngineError as error:
            if error.kind != "refused":
                raise
            said = str(error.args[0])
            continue
        # In the middle of a word, so that a new turn cannot look like the old one going on. Some servers take what goes on
        # for thinking, since no tag has closed it.
        if seen.whole.startswith("is"):
            return (
                "yes",
                f"went on in the middle of a word ({'continue_final_message' if style == 'continue' else 'last turn'})",
            )
        said = f"it began anew: {seen.whole[:40]!r}"
    engine.dialect = replace(engine.dialect, prefill="none")
    return "no", said


async def _think_tokens(probe: _Probe) -> tuple[Value, str]:
    name = probe.engine.dialect.think_field
    if not name:
        return "no", "no field for it is known"
    if not probe.plain.names:
        return "unknown", f"there is no thinking to bound (field {name})"
    seen = await probe.ask("How many days are in 7 weeks?", Sampling(max_tokens=96, temperature=0.0), think_tokens=8)
    thought = f"{name} 8: {seen.thought_pieces} pieces of thinking"
    if seen.text and seen.thought_pieces <= 24:
        return "yes", thought
    return ("no", thought) if seen.thought_pieces > 24 else ("unknown", thought)


async def _speculation(probe: _Probe) -> tuple[Value, str]:
    if probe.plain.drafted:
        return "yes", f"{probe.plain.drafted} tokens were drafted"
    slots = await _slots(probe)
    if slots and all("speculative" in slot for slot in slots):
        return ("yes" if any(slot["speculative"] for slot in slots) else "no"), "as /slots says"
    return "unknown", "the endpoint does not say"


async def _cancel(probe: _Probe) -> tuple[Value, str]:
    before = await _wait_idle(probe)
    if before is None:
        return "unknown", "neither /slots nor /metrics shows what it works on"
    if before:
        return "unknown", "it works for others at the moment"
    question = (Message("user", "Count from one to one thousand, in words."),)
    body = probe.engine.body(Request(question, Sampling(max_tokens=512, temperature=1.0)))
    during, events_seen = 0, 0
    async with aclosing(probe.engine.events(body)) as events:
        async for data in events:
            if not data:
                return "unknown", "it was done before it could be stopped"
            events_seen += 1
            if events_seen >= 3 and (during := await _busy(probe) or 0):
                break
    if not during:
        return "unknown", "its work did not show while it ran"
    began = time.monotonic()
    if await _wait_idle(probe) == 0:
        return "yes", f"{during} running, none {time.monotonic() - began:.1f} s after the connection was closed"
    return "no", f"still running {_CANCEL_S:.0f} s after the connection was closed"


_CHECKS: Mapping[str, _Check] = {
    "stream": _stream,
    "exact_usage": _usage,
    "reasoning": _reasoning,
    "n": _n,
    "seed": _seed,
    "json_schema": _json_schema,
    "logprobs": _logprobs,
    "prefill": _prefill,
    "think_tokens": _think_tokens,
    "speculation": _speculation,
    "cancel": _cancel,
}


async def _slots(probe: _Probe) -> list[dict[str, Any]] | None:
    page = await probe.engine.get(f"{probe.root}/slots")
    slots = page.json() if page.status == 200 else None
    return slots if isinstance(slots, list) and all(isinstance(slot, dict) for slot in slots) else None


async def _busy(probe: _Probe) -> int | None:
    """How many requests the server works on, where it shows that."""
    slots = await _slots(probe)
    if slots is not None and all("is_processing" in slot for slot in slots):
        return sum(slot["is_processing"] is True for slot in slots)
    page = await probe.engine.get(f"{probe.root}/metrics")
    values = []
    for line in page.text.splitlines() if page.status == 200 else ():
        name, _, value = line.rpartition(" ")
        if name.partition("{")[0] in _GAUGES:
            try:
                values.append(int(float(value)))
            except (ValueError, OverflowError):
                return None
    return sum(values) if values else None


async def _wait_idle(probe: _Probe) -> int | None:
    """`_busy` as soon as it is 0, or after `_CANCEL_S`."""
    until = time.monotonic() + _CANCEL_S
    while True:
        busy = await _busy(probe)
        if not busy or time.monotonic() > until:
            return busy
        await asyncio.sleep(0.05)


async def _first(probe: _Probe) -> _Seen:
    """A plain reply. Where the server refuses a field that only some servers know, the other name for it is used, or none."""
    sampling = Sampling(max_tokens=24, temperature=0.0)
    for _ in range(3):
        try:
            return await probe.ask("How many days are in 7 weeks? Explain.", sampling)
        except EngineError as error:
            dialect, text = probe.engine.dialect, str(error.args[0])
            other = "max_tokens" if dialect.max_tokens_field == "max_completion_tokens" else "max_completion_tokens"
            if error.kind == "refused" and "stream_options" in text and dialect.stream_options:
                probe.engine.dialect = replace(dialect, stream_options={})
            elif error.kind == "refused" and dialect.max_tokens_field in text:
                probe.engine.dialect = replace(dialect, max_tokens_field=other)
            else:
                raise
    raise EngineError("it refuses every way of asking for a completion", kind="refused", hint="look at the server's log")


async def probe(engine: RemoteEngine, *, budget_s: float = 90.0) -> ProbeReport:
    """Measure what the endpoint of `engine` can do; `engine.info.model` is the model that is asked, or empty.

    Takes at most about `budget_s`; a check that does not end in time is `unknown`. Raises `EngineError` where the endpoint
    cannot give a plain completion. `engine` itself is neither changed nor closed.
    """
    began = time.monotonic()
    listing = await read_models(engine)
    dialect = recognise(engine.dialect, listing)
    model = pick_model(dialect, listing, engine.info.model)
    trial = copy.copy(engine)
    trial.dialect, trial.info = dialect, EngineInfo(dialect.name, model, None, _ALL, shares_prompt=True)
    state = _Probe(trial)
    try:
        async with asyncio.timeout(min(budget_s, 3 * _STEP_S)):
            state.plain = await _first(state)
    except TimeoutError as error:
        raise EngineError(
            f"the engine at {engine.url} gave no completion in time", kind="unreachable", retryable=True,
            hint="look at the server's log, then try again",
        ) from error  # fmt: skip
    context_tokens = listing.context_tokens.get(model) if listing else None
    rows = []
    for name, check in _CHECKS.items():
        rows.append(await _checked(name, check, state, began + budget_s - time.monotonic()))
    context_tokens = (await read_props(engine)).context_tokens or context_tokens
    return ProbeReport(
        engine.url, model, listing.ids if listing else (), context_tokens, trial.dialect,
        next(iter(sorted(state.plain.names, reverse=True)), ""), state.shares_prompt, tuple(rows), time.monotonic() - began,
    )  # fmt: skip


async def _checked(name: str, check: _Check, state: _Probe, left_s: float) -> Row:
    try:
        async with asyncio.timeout(max(0.0, min(left_s, _STEP_S))):
            return Row(name, *await check(state))
    except TimeoutError:
        return Row(name, "unknown", "no end in time")
    except EngineError as error:
        return Row(name, "no" if error.kind == "refused" else "unknown", str(error.args[0]))
