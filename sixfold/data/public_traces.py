"""Public sets of long chains of thought, as training rows: three by name from the hub, and files of the same shapes.

Place: the third source of rows, beside `traces.py` and `sampled.py`. A set is read where SIXFOLD_DATA has it
(`traces/<name>.jsonl`, or `.parquet` and `.jsonl` files in `traces/<name>/`), else at a pinned commit from the hub, through
`tasks/hub.py`: each file is downloaded whole before its first row is read, and then streamed. Thinking is put between `<think>`
and `</think>`, the answer after it, whatever tags the set has; the question is asked as our solver asks it. `extra_info` has
`dataset`, its licence, and `pass_rate` where the set tells how many tries were right. What a set itself calls wrong or
unfinished is left out and counted.

Not here: whether an answer is right (`filters.verified`), and what may be used: a licence is passed on as it was published, and
`filters.licences` decides.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sixfold.core import Message, Problem
from sixfold.data.rows import Row, make_row
from sixfold.data.sampled import as_trace
from sixfold.errors import ConfigError, TaskError
from sixfold.reason.prompts import SOLVER_SYSTEM
from sixfold.tasks import hub, local
from sixfold.verify.extract import extract_answer, last_boxed, split_thinking

Skip = Callable[[str], None]
Raw = Mapping[str, Any]

_SHORT = 200
"""Characters of a reference solution that may be an answer as it stands."""
_OPEN_THOUGHTS = (
    ("<|begin_of_thought|>", "<think>"), ("<|end_of_thought|>", "</think>"), ("<|begin_of_solution|>", ""),
    ("<|end_of_solution|>", ""),
)  # fmt: skip
_ANSWER_TAGS = re.compile(r"(?i)\A\s*<(?:final_)?answer>(.*)</(?:final_)?answer>\s*\Z", re.DOTALL)
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


@dataclass(frozen=True, slots=True)
class Trace:
    """One question with a chain of thought. `before` are turns of the conversation that came first."""

    question: str
    text: str
    answer: str | None = None
    domain: str = ""
    name: str = ""
    before: tuple[Message, ...] = ()
    pass_rate: float | None = None


@dataclass(frozen=True, slots=True)
class TraceSet:
    """A published set. `read` makes traces out of one of its rows; `licence` is the one on its page, "unknown" where this
    program's authors could not see it. `rows`, and `tokens` of a row, are about right and for plans alone."""

    repo: hub.Repo
    licence: str
    read: Callable[[Raw, Skip], Iterator[Trace]]
    rows: int
    tokens: int


def read_conversations(raw: Raw, skip: Skip) -> Iterator[Trace]:
    """`conversations` of turns with `from` and `value` (ShareGPT), or `messages` with `role` and `content`: the last turn, with
    the others before it. AM-Thinking-v1-Distilled; its subsets differ in all else, so no more is counted on. Where the last
    turn has `info` with a `reference_answer` or `ground_truth` text, that is the answer."""
    turns: Sequence[Any] = raw.get("conversations") or raw.get("messages") or []
    spoken: list[tuple[str, str]] = []
    for turn in turns:
        role, text = _ROLES.get(str(turn.get("from") or turn.get("role"))), turn.get("value") or turn.get("content")
        if role in ("user", "assistant"):
            spoken.append((role, text if isinstance(text, str) else ""))
    if len(spoken) < 2 or [role for role, _ in spoken[-2:]] != ["user", "assistant"]:
        skip("no question and reply at its end")
        return
    if not all(text.strip() for _, text in spoken):
        skip("an empty turn")
        return
    # Thinking of earlier turns is not shown to a model again, so it is not trained with either.
    before = tuple(
        Message("user", text) if role == "user" else Message("assistant", split_thinking(text).text.strip())
        for role, text in spoken[:-2]
    )
    info = turns[-1].get("info") if isinstance(turns[-1], Mapping) else None
    info = info if isinstance(info, Mapping) else {}
    found = info.get("reference_answer") or info.get("ground_truth")
    name = raw.get("id") or raw.get("uuid") or ""
    yield Trace(spoken[-2][1], spoken[-1][1], _short(found), str(info.get("category") or ""), str(name), before)


def read_generations(raw: Raw, skip: Skip) -> Iterator[Trace]:
    """OpenR1-Math-220k: `problem`, `answer` and several `generations`, with a flag for each in `is_reasoning_complete` and
    `correctness_math_verify` (else `correctness_llama`). The shortest that is both is taken."""
    texts = raw.get("generations") or ()
    right = raw.get("correctness_math_verify") or raw.get("correctness_llama") or ()
    whole = raw.get("is_reasoning_complete") or ()
    good = [t for t, r, w in zip(texts, right, whole, strict=False) if r and w and isinstance(t, str)]
    if not isinstance(raw.get("problem"), str) or not good:
        skip("no generation that is right and whole" if isinstance(raw.get("problem"), str) else "no problem")
        return
    rate = sum(bool(r) for r in right) / len(right)
    name = str(raw.get("uuid") or "")
    yield Trace(raw["problem"], min(good, key=len), _short(raw.get("answer")), "math", name, pass_rate=rate)


def read_trajectory(raw: Raw, skip: Skip) -> Iterator[Trace]:
    """s1K-1.1: `question`, `deepseek_thinking_trajectory`, `deepseek_attempt`, and `deepseek_grade` where it was judged. The
    answer is `solution` where that is short, else what stands in its last box."""
    thinking, attempt, solution = (raw.get(key) for key in ("deepseek_thinking_trajectory", "deepseek_attempt", "solution"))
    if not all(isinstance(part, str) and part.strip() for part in (raw.get("question"), thinking, attempt)):
        skip("no question, thinking or attempt")
        return
    if str(raw.get("deepseek_grade") or "yes").strip().casefold().startswith("no"):
        skip("graded wrong")
        return
    answer = _short(solution) or (last_boxed(solution) if isinstance(solution, str) else None)
    yield Trace(raw["question"], f"<think>\n{thinking}\n</think>\n\n{attempt}", answer, str(raw.get("cot_type") or ""))


SETS: Mapping[str, TraceSet] = {
    "am-thinking": TraceSet(
        hub.Repo(
            "a-m-team/AM-Thinking-v1-Distilled", {"train": ("*.jsonl",)}, "3697c1829816a2b8d4d25995ed6d5d27ffb49b30"
        ),
        # arXiv 2505.14464; K2 Think's SFT made two epochs of it in 1,084 steps of 512 x 32,768 tokens.
        "unknown", read_conversations, 1_890_000, 4_800,
    ),
    "openr1-math": TraceSet(
        hub.Repo(
            "open-r1/OpenR1-Math-220k", {"train": ("data/train-*.parquet",)}, "e4e141ec9dea9f8326f4d347be56105859b2bd68"
        ),
        # Its rows are those of its page, its tokens a guess.
        "Apache-2.0", read_generations, 94_000, 5_000,
    ),
    "s1k": TraceSet(
        hub.Repo("simplescaling/s1K-1.1", {"train": ("data/train-*.parquet",)}), "MIT", read_trajectory, 1_000, 7_000
    ),
}  # fmt: skip
"""By the name they are asked for. A set without a revision is pinned at its first use (`tasks/hub.py`)."""


def find_set(name: str) -> TraceSet:
    """A set by its name. Raises `ConfigError` with the nearest one."""
    if name not in SETS:
        near = difflib.get_close_matches(name, SETS, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"use {', '.join(SETS)}, or a JSONL file"
        raise ConfigError(f"there is no trace set {name!r}", hint=hint)
    return SETS[name]


def public_rows(name: str, skip: Skip = lambda why: None) -> Iterator[Row]:
    """The rows of a set, in its order. Raises `ConfigError` for an unknown name, `TaskError` where its data cannot be had."""
    known, files = find_set(name), local_files(name)
    if files:
        raws: Iterable[tuple[str, Raw]] = ((f"{file.name}:{i}", raw) for file in files for i, raw in enumerate(_read(file), 1))
        revision = "local"
    else:
        raws = ((f"{path}:{i}", raw) for path, i, raw in hub.read(known.repo, "train"))
        revision = hub.recorded_commit(known.repo) or "newest"
    yield from _rows(raws, known.read, name, f"{known.repo.name}@{revision}", known.licence, skip)


def local_rows(path: Path, licence: str, skip: Skip = lambda why: None) -> Iterator[Row]:
    """The rows of a .jsonl or .parquet file whose shape is that of one of the sets, as its keys tell row by row. `licence` is
    what the rows are under. Raises `ConfigError` where the file cannot be read or the first row has no such shape."""
    raws = ((f"{path.name}:{i}", raw) for i, raw in enumerate(_read(path), 1))

    def read(raw: Raw, skip: Skip) -> Iterator[Trace]:
        for key, reader in _SHAPES.items():
            if key in raw:
                yield from reader(raw, skip)
                return
        skip("a shape that is not known")

    yield from _rows(raws, read, path.stem, path.name, licence, skip)


_SHAPES: Mapping[str, Callable[[Raw, Skip], Iterator[Trace]]] = {
    "generations": read_generations, "deepseek_thinking_trajectory": read_trajectory, "conversations": read_conversations,
    "messages": read_conversations,
}  # fmt: skip
"""By the key that tells the shape; the first that a row has."""


def normalise(text: str) -> str | None:
    r"""A completion in one form: `<think>`, the thinking, `</think>`, the answer, without tags around it. `None` without both.
    An answer of one line that nothing marks as such gets "Answer: " before it.

    >>> normalise("<think>6 * 7 = 42</think><answer>42</answer>")
    '<think>\n6 * 7 = 42\n</think>\n\nAnswer: 42'
    >>> normalise("<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>So \\boxed{3}.<|end_of_solution|>")
    '<think>\na\n</think>\n\nSo \\boxed{3}.'
    >>> normalise("It is 42.") is None
    True
    """
    for theirs, ours in _OPEN_THOUGHTS:
        text = text.replace(theirs, ours)
    split = split_thinking(text)
    if split.state != "closed" or not split.thinking.strip():
        return None
    tagged = _ANSWER_TAGS.match(split.text)
    answer = (tagged[1] if tagged else split.text).strip()
    if tagged and "\n" not in answer and extract_answer(answer) is None:
        answer = f"Answer: {answer}"
    return as_trace(f"<think>{split.thinking}</think>{answer}") if answer.removeprefix("Answer:").strip() else None


def _rows(
    raws: Iterable[tuple[str, Raw]], read: Callable[[Raw, Skip], Iterator[Trace]], name: str, source: str, licence: str,
    skip: Skip,
) -> Iterator[Row]:  # fmt: skip
    for at, raw in raws:
        for trace in read(raw, skip):
            completion = normalise(trace.text)
            if completion is None:
                skip("no thinking and answer")
                continue
            verifier = "math" if trace.answer else None
            problem = Problem(trace.name or f"{name}/{at}", trace.question.strip(), trace.answer, trace.domain, verifier)
            prompt = [Message("system", SOLVER_SYSTEM), *trace.before, Message("user", problem.question)]
            row = make_row(
                problem, prompt, completion, "public", kind="solver", licence=licence, dataset=source, untrained=[],
                pass_rate=trace.pass_rate,
            )  # fmt: skip
            row["data_source"] = f"sixfold/public/{name}"
            yield row


def _short(answer: Any) -> str | None:
    """A reference that can be compared: one line, not long."""
    text = str(answer).strip() if isinstance(answer, str | int | float) else ""
    return text if text and len(text) <= _SHORT and "\n" not in text else None


def local_files(name: str) -> list[Path]:
    """Where SIXFOLD_DATA has a set; nothing where it is read from the hub."""
    folder = local.data_folder()
    if folder is None:
        return []
    if (single := local.find_file(folder / "traces", name)) is not None:
        return [single]
    kinds = ("*.parquet", "*.jsonl", "*.jsonl.gz")
    return sorted(file for kind in kinds for file in (folder / "traces" / name).glob(kind))


def _read(file: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        for row in hub.read_rows(file):
            number += 1
            yield row
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}, row {number + 1}: {error}", hint="mend or remove that row") from error
    except TaskError as error:
        raise ConfigError(str(error.args[0]), hint=error.hint) from error
