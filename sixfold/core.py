"""The nouns that travel through Sixfold, and the seams between its parts.

Values travel, functions act: everything here is a frozen value or a Protocol, with no behaviour beyond arithmetic.
It imports nothing from the package, so every other module may import it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "error"]
"""Why an engine ended a choice: it chose to, it ran into a token limit, or it failed (then `Chunk.error` says how)."""

Phase = Literal["plan", "attempt", "judge"]

Domain = Literal["math", "code", "science", "logic", "simulation", "tabular"]
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw tokens. `max_tokens` counts completion tokens, thinking included; `seed + index` seeds choice `index`."""

    max_tokens: int = 512
    temperature: float = 0.8
    top_p: float = 0.95
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One piece of work for an engine: `n` choices for one prompt, which the engine may let share the prompt's work.

    `prefill` is text the assistant has already written: the engine goes on from its end and does not repeat it.
    `json_schema` constrains the answer; an engine that cannot do so refuses the request rather than ignore it.
    `think_tokens` bounds thinking where the engine itself can tell thinking from answer.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    n: int = 1
    prefill: str = ""
    json_schema: Mapping[str, Any] | None = None
    think_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` is the part of `prompt_tokens` that the engine did not have to compute again;
    `accepted_tokens` is the part of `drafted_tokens` (speculative decoding) that the model kept.

    >>> Usage(prompt_tokens=3, completion_tokens=4) + Usage(completion_tokens=1)
    Usage(prompt_tokens=3, cached_tokens=0, completion_tokens=5, drafted_tokens=0, accepted_tokens=0)
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of choice `index`. `usage` is the running total of that choice, not a difference.

    The last chunk of a choice, and only it, has `finish`. `logprobs` are those of this piece's tokens, natural log.
    `reasoning` is thinking that the engine itself separated; thinking inside tags stays in `text`.
    `retryable` belongs to finish `error`: the same request may work later.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    logprobs: tuple[float, ...] = ()
    finish: Finish | None = None
    usage: Usage | None = None
    error: str | None = None
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """A question, and what is known about its answer. `verifier` names how an answer is judged, if it can be; `meta` holds what
    that verifier needs. `solution` is a worked solution, one step a line, where there is one."""

    id: str
    question: str
    answer: str | None = None
    domain: str = ""
    verifier: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    solution: str | None = None


AnswerForm = Literal["strict", "flexible", "none"]
"""How an answer was found: where the prompt asked for it, only by looking harder, or not at all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score` is in 0..1; `None` means *could not be judged*, which is never the same as wrong.

    `answer` is what was judged, as it was extracted; `form` says how it was found (the strict score is 0 where that is not
    `strict`).
    """

    score: float | None
    reason: str = ""
    answer: str | None = None
    form: AnswerForm = "none"

    @property
    def strict_score(self) -> float | None:
        return self.score if self.score is None or self.form == "strict" else 0.0


@dataclass(frozen=True, slots=True)
class Published:
    """How the published evaluation of a task is run: `runs` independent samples a question are averaged; limits in tokens."""

    source: str
    runs: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 2048


@dataclass(frozen=True, slots=True)
class Task:
    """A named set of problems that a model can be measured on, or trained on where it has a train split.

    `load(split, count)` yields at most `count` problems (all where it is `None`), always the same ones in the same order; it
    raises `TaskError` for a split that is not in `splits` or data that is not there. `floor` is the accuracy that a fixed guess
    reaches at most, `attack_limit` the score that an adversarial answer may reach at most, both 0..1. `instruction` is what the
    published evaluation adds to the question. `masked`: the same question with other numbers counts as the same question.
    """

    name: str
    domain: Domain
    load: Callable[[Split, int | None], Iterable[Problem]]
    splits: tuple[Split, ...] = ("test",)
    floor: float = 0.0
    attack_limit: float = 0.0
    instruction: str = ""
    version: str = "1"
    licence: str = ""
    source: str = ""
    published: Published | None = None
    masked: bool = True


AttemptStatus = Literal["done", "forced", "truncated", "cancelled", "failed"]
"""`done`: ended by itself, and said its answer, if need be when asked. `forced`: its thinking was cut and it then answered.
`truncated`: out of tokens without an answer. `cancelled`: stopped by us. `failed`: the engine could not finish it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One chain of thought and what came of it. `answer` is the extracted final answer, never a piece of thinking.
    `wasted_tokens` are completion tokens that came to nothing: of a try that began again, all of a cancelled or failed one."""

    index: int
    text: str
    answer: str | None
    status: AttemptStatus
    usage: Usage
    mean_logprob: float | None = None
    ttft_s: float | None = None
    elapsed_s: float = 0.0
    error: str | None = None
    retries: int = 0
    wasted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which attempt was chosen, by which selector, and why. `votes` maps an answer to what it got."""

    index: int
    selector: str
    reason: str
    votes: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


EventKind = Literal[
    "started",  # data: question, engine, model, planner, judge, config
    "gated",  # data: plan (bool), reason
    "plan_text",  # text: a piece of plan `attempt` (None: the shared plan)
    "planned",  # text: the whole plan as the solver sees it; data: usage, elapsed_s, leak, error
    "attempt_started",  # attempt
    "attempt_text",  # attempt, text: a piece as it streams; data: channel "reasoning" where the engine separated it
    "attempt_answer",  # attempt, text: the answer, as soon as it can be read from the stream
    "attempt_retried",  # attempt, text: why
    "attempt_forced",  # attempt, text: why its thinking was closed
    "attempt_done",  # attempt, text: its answer or ""; data: status, usage, mean_logprob, ttft_s, elapsed_s, error, text (all)
    "stopping",  # text: why no more is generated; data: saved_tokens, method
    "judged",  # data: one comparison, `first` and `second` the attempts in the order shown, `order` what was said, `error`
    "chosen",  # attempt, text: the answer; data: selector, reason, votes, text (the attempt's last text), details
    "usage",  # data: the account, see reason/budget.py
    "failed",  # text: why there is no answer; data: code
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a solve. The screen, the trace file, the evals and the server are readers of these.

    `at_s` is seconds since the solve began; `attempt` is the candidate's index where the event belongs to one.
    """

    kind: EventKind
    at_s: float
    attempt: int | None = None
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is known of an engine before it is used. `can` holds capability names that a run may require:
    n, seed, json_schema, logprobs, prefill, cancel, reasoning, exact_usage, speculation.

    `shares_prompt` says that asking for n choices in one request is cheaper than n requests.
    """

    name: str
    model: str
    context_tokens: int | None = None
    can: frozenset[str] = frozenset()
    shares_prompt: bool = False


class Engine(Protocol):
    """Turns a request into chunks.

    Closing the iterator frees the engine's work within a second. Same request and seed, same text, where `info.can`
    has `seed`. A choice that fails alone ends with finish `error`; what breaks the whole request raises `EngineError`.
    """

    @property
    def info(self) -> EngineInfo: ...

    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]: ...

    async def aclose(self) -> None: ...


Verifier = Callable[[Problem, str], Verdict]
"""Judges an answer. Never raises because of what a model wrote; bounded in time and memory."""

Selector = Callable[[Problem, Sequence[Attempt]], Awaitable[Choice]]
"""Chooses among finished attempts, at least one of which has an answer. Never returns None."""
