"""What is left out of a training set, and why: filters over a stream of rows, each of which names what it takes away.

Place: between any source of rows and training. A filter looks at one row and says a reason or nothing; `filtered` lets each row
pass through all of them, in their order, and counts. Put the cheap ones first. What a filter remembers (only the two against
duplicates remember anything) is 8-byte hashes, 12 to 24 bytes each, if need be in a file: for ten million rows 134 MB against
exact and 537 MB against near duplicates.

Not here: the index of evaluation questions (`decontaminate.py`).
"""

from __future__ import annotations

import hashlib
import mmap
import re
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sixfold.core import Problem, Verdict
from sixfold.data.decontaminate import counts_as_overlap, row_texts
from sixfold.data.overlap import Index, words
from sixfold.data.rows import Row, row_problem
from sixfold.errors import ConfigError
from sixfold.verify.extract import split_thinking
from sixfold.verify.verifiers import CHOOSING, NAMES

_LOOP_CHARACTERS, _LOOP_PERIOD, _LOOP_TIMES = 60, 200, 5
_FEW_WORDS = 20
_STOP_WORDS = frozenset(
    "the of and to is that it for with as this we then are be from have not which let so by each there has will can if".split()
)
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LAST_LATIN = "ɏ"


@dataclass(frozen=True, slots=True)
class Filter:
    """`check` returns why a row is left out, in a few words that are the same for all such rows, or `None`."""

    name: str
    check: Callable[[Row], str | None]


def filtered(rows: Iterable[Row], filters: Sequence[Filter], counts: Counter[str]) -> Iterator[Row]:
    """The rows that every filter lets pass. `counts` gets `read`, `kept`, and `<filter>: <reason>` of the rest.

    >>> counts = Counter()
    >>> row = {"prompt": [], "completion": [{"role": "assistant", "content": "a b"}]}
    >>> list(filtered([row], [lengths(at_least=9)], counts)), dict(counts)
    ([], {'read': 1, 'length: fewer than 9 characters': 1})
    """
    for row in rows:
        counts["read"] += 1
        for each in filters:
            if (why := each.check(row)) is not None:
                counts[f"{each.name}: {why}"] += 1
                break
        else:
            counts["kept"] += 1
            yield row


def completion_text(row: Row) -> str:
    """What the assistant says in a row; "" where it says nothing."""
    return "\n".join(str(m.get("content") or "") for m in row.get("completion") or ())


def question_text(row: Row) -> str:
    """What the user asks in a row, all turns."""
    return "\n".join(str(m.get("content") or "") for m in row.get("prompt") or () if m.get("role") == "user")


def has_completion() -> Filter:
    return Filter("completion", lambda row: None if completion_text(row).strip() else "empty")


def has_answer() -> Filter:
    """Leaves out rows that nothing can be judged by: without a problem, a known verifier, or the answer that it needs."""

    def check(row: Row) -> str | None:
        try:
            problem = row_problem(row)
        except ConfigError:
            return "no problem in the row"
        if problem.verifier not in NAMES:
            return "no verifier"
        needed = problem.verifier not in CHOOSING and not problem.meta
        return "no answer" if needed and not (problem.answer or "").strip() else None

    return Filter("answer", check)


def verified(judge: Callable[[Problem, str], Verdict], unknown: bool = False) -> Filter:
    """Leaves out completions that are not judged right. Rows that ask for a plan alone have nothing to judge and pass, and with
    `unknown` those that name no verifier."""

    def check(row: Row) -> str | None:
        if (row.get("extra_info") or {}).get("kind") == "planner":
            return None
        try:
            problem = row_problem(row)
            if unknown and problem.verifier is None:
                return None
            verdict = judge(problem, completion_text(row))
        except ConfigError:
            return "no problem in the row"
        except Exception:  # noqa: BLE001 - a verifier that breaks on one row of millions must not end the stream
            return "the verifier broke"
        if verdict.score is None:
            return "could not be judged"
        return None if verdict.score == 1.0 else "wrong"

    return Filter("verified", check)


def lengths(
    at_least: int = 1, at_most: int | None = None, measure: Callable[[str], int] = len, unit: str = "characters"
) -> Filter:
    """Bounds the length of completions, both ends included; `measure` may count tokens (`unit` says what it counts)."""

    def check(row: Row) -> str | None:
        length = measure(completion_text(row))
        if length < at_least:
            return f"fewer than {at_least} {unit}"
        return f"more than {at_most} {unit}" if at_most is not None and length > at_most else None

    return Filter("length", check)


def repeated_share(text: str, size: int = 8) -> float:
    """The share of runs of `size` words that were there before in the text, 0..1.

    >>> repeated_share("one two three " * 4, size=3), repeated_share("one two three four", size=3)
    (0.7, 0.0)
    """
    tokens = words(text)
    runs = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def ends_in_loop(text: str) -> bool:
    """Whether the text ends with one piece said again and again, as a model does that cannot stop.

    >>> ends_in_loop("So it is 4. " + "Wait, no. " * 9), ends_in_loop("1, 2, 3, 4, 5, 6")
    (True, False)
    """
    text = text.rstrip()
    for period in range(1, min(_LOOP_PERIOD, len(text) // _LOOP_TIMES) + 1):
        span = max(period * _LOOP_TIMES, _LOOP_CHARACTERS)
        tail = text[-span:]
        if len(tail) == span and tail[period:] == tail[:-period]:
            return True
    return False


def repetition(most: float = 0.3, size: int = 8) -> Filter:
    """Leaves out completions of which more than `most` of the runs of `size` words are repeats, or which end in a loop."""

    def check(row: Row) -> str | None:
        text = completion_text(row)
        if any(ends_in_loop(part) for part in (text, split_thinking(text).thinking)):
            return "ends in a loop"
        return "says the same again" if repeated_share(text, size) > most else None

    return Filter("repetition", check)


def is_english(text: str) -> bool:
    """Whether the text is likely English: Latin letters, and among twenty words or more at least one in twenty a common one.

    Its limit: it reads script and common words alone. A short text in another language with Latin letters passes, and so does
    one that mixes languages; code blocks are not looked at.

    >>> is_english("We add the two numbers."), is_english("Сложим эти два числа.")
    (True, False)
    """
    text = _FENCED.sub(" ", text)
    letters = [c for c in text if c.isalpha()]
    if sum(c <= _LAST_LATIN for c in letters) < 0.9 * len(letters):
        return False
    spoken = [w for w in words(text) if len(w) > 1 and not w.isdigit()]
    return len(spoken) < _FEW_WORDS or sum(w in _STOP_WORDS for w in spoken) >= len(spoken) / 20


def english() -> Filter:
    return Filter("language", lambda row: None if is_english(completion_text(row)) else "not English")


def licences(allowed: Iterable[str]) -> Filter:
    """Leaves out rows whose `extra_info.licence` is not one of these, whatever its case. A row without one is left out."""
    known = {name.casefold() for name in allowed}

    def check(row: Row) -> str | None:
        licence = str((row.get("extra_info") or {}).get("licence") or "unknown")
        return None if licence.casefold() in known else f"licence {licence[:40]}"

    return Filter("licence", check)


def no_questions(index: Index) -> Filter:
    """Leaves out rows that hold a question of the index, and says of which task."""

    def check(row: Row) -> str | None:
        try:
            question, text = row_texts(row)
        except ConfigError:
            return "no question in the row"
        return next((f"of {match.task}" for match in index.find(question, text) if counts_as_overlap(match)), None)

    return Filter("evaluation question", check)


class HashSet:
    """A set of 8-byte hashes in one flat table (open addressing): `bytes` is 12 to 24 for each of them. With a `path` the table
    is a file, which the system keeps in memory only as far as there is room; without one it is in memory. Two texts share a
    hash with a chance of 3 in a million over ten million rows."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._count = path, 0
        self._map: mmap.mmap | None = None
        self._slots = self._table(1 << 10)

    def __len__(self) -> int:
        return self._count

    @property
    def bytes(self) -> int:
        return 8 * len(self._slots)

    def add(self, value: int) -> bool:
        """Add a hash (1..2**64-1); whether it is new."""
        if 3 * self._count >= 2 * len(self._slots):
            self._grow()
        at = self._find(value)
        if self._slots[at]:
            return False
        self._slots[at], self._count = value, self._count + 1
        return True

    def _find(self, value: int) -> int:
        mask, slots = len(self._slots) - 1, self._slots
        at = value & mask
        while slots[at] and slots[at] != value:
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        before, mapped = self._slots, self._map
        self._slots = self._table(2 * len(before))
        for value in before:
            if value:
                self._slots[self._find(value)] = value
        if isinstance(before, memoryview) and mapped is not None:
            before.release()
            mapped.close()

    def _table(self, slots: int) -> Any:
        if self._path is None:
            return array("Q", [0]) * slots
        # The name goes at once: the room comes back when the process ends, however it ends.
        with self._path.open("w+b") as file:
            file.truncate(8 * slots)
            self._map = mapped = mmap.mmap(file.fileno(), 8 * slots)
        self._path.unlink()
        return memoryview(mapped).cast("Q")


def hash64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1


def no_duplicates(key: Callable[[Row], str] | None = None, seen: HashSet | None = None) -> Filter:
    """Leaves out rows whose words (of question and completion, or of `key`) were there before; case and punctuation are not
    looked at."""
    table = HashSet() if seen is None else seen

    def check(row: Row) -> str | None:
        text = key(row) if key else f"{question_text(row)}\n{completion_text(row)}"
        return None if table.add(hash64(" ".join(words(text)))) else "there before"

    return Filter("duplicate", check)


_BANDS, _ROWS = 4, 8


def no_near_duplicates(key: Callable[[Row], str] = completion_text, seen: HashSet | None = None) -> Filter:
    """Leaves out rows that say nearly what one before says: MinHash (Broder 1997) over word triples, 4 bands of 8.

    With the share `s` of triples in common (Jaccard), a row is left out with probability 1 - (1 - s**8)**4: 0.99 at 0.95, 0.89
    at 0.9, 0.52 at 0.8, 0.02 at 0.5. Four hashes a row are all that is kept, so nothing is compared again. For what people and
    models wrote; rows of generated families differ by their numbers alone and are meant to.
    """
    table = HashSet() if seen is None else seen

    def check(row: Row) -> str | None:
        tokens = words(key(row))
        triples = {" ".join(tokens[i : i + 3]) for i in range(len(tokens) - 2)}
        if not triples:
            return None
        # Every band is added, whichever of them was there.
        new = [table.add(band) for band in _signature(triples)]
        return None if all(new) else "nearly there before"

    return Filter("near duplicate", check)


@cache
def _functions() -> tuple[Any, Any]:
    """Multiply-shift functions (Dietzfelbinger et al. 1997), one for each hash of a signature."""
    import numpy as np

    generator = np.random.default_rng(8)
    a = generator.integers(0, 1 << 64, _BANDS * _ROWS, dtype=np.uint64) | np.uint64(1)
    return a, generator.integers(0, 1 << 64, _BANDS * _ROWS, dtype=np.uint64)


def _signature(triples: Collection[str]) -> list[int]:
    import numpy as np

    a, b = _functions()
    least = np.full(_BANDS * _ROWS, np.uint64(2**64 - 1))
    values = np.fromiter(map(hash64, triples), dtype=np.uint64, count=len(triples))
    for start in range(0, len(values), 4096):
        mixed = (values[start : start + 4096, None] * a[None, :] + b[None, :]) >> np.uint64(32)
        least = np.minimum(least, mixed.min(axis=0))
    signature = least.astype(np.uint32)
    bands = [signature[i * _ROWS : (i + 1) * _ROWS].tobytes() + bytes([i]) for i in range(_BANDS)]
    return [int.from_bytes(hashlib.blake2b(band, digest_size=8).digest(), "big") or 1 for band in bands]
