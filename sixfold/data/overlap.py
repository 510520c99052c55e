"""Does a text contain a question of an evaluation? An index of questions, asked four ways.

Place: `decontaminate.py` builds one `Index` over all tasks and asks it for every row of a training set. The four ways, each of
which finds what the others miss: the same question once case and punctuation are gone; a run of 8 to 13 words (13 as in GPT-3,
arXiv 2005.14165, appendix C, less where the question is shorter); MinHash over word triples (Broder 1997) for questions that
were reworded a little; and the same sentence with other numbers. No embeddings: a paraphrase in other words is not found.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["exact", "ngram", "minhash", "template"]

SHORT, LONG = 8, 13
"""Words of the shortest run that counts, and of the run that always counts."""
COVERED = 0.5
"""The share of a question's runs of eight that makes a shorter overlap count."""
SIMILAR = 0.6
"""Jaccard similarity of word triples from which two questions are the same."""
_COMMON = 0.02
"""A run or triple that stands in more than this share of a task's questions is an instruction, not a question."""
_SAYING = 3
"""Different words that are no numbers, without which a run says nothing."""
_BANDS, _ROWS = 32, 4
"""128 hashes; two questions of similarity 0.6 meet in one of the bands with probability 0.988, of 0.3 with 0.23."""


@dataclass(frozen=True, slots=True)
class Match:
    """One question found: its task and id, how, and how much of it (0..1: of its runs, of its triples; 1 for the others)."""

    task: str
    id: str
    kind: Kind
    share: float


def words(text: str) -> list[str]:
    """Lower-case words and numbers, without punctuation; other scripts by letter where they have no blanks.

    >>> words("Tom's 3.5 apples, (red)!")
    ['tom', 's', '3', '5', 'apples', 'red']
    """
    return re.findall(r"[^\W\d_]+|\d+", text.casefold())


def template(tokens: Sequence[str]) -> str:
    """The words with every number as `#`; numbers in a row are one.

    >>> template(words("Add 3.5 and 12."))
    'add # and #'
    """
    return re.sub(r"#(?: #)+", "#", " ".join("#" if t.isdigit() else t for t in tokens))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).digest(), "big")


class _Signer:
    """MinHash signatures out of a set of hashes: the least value under each of `_BANDS * _ROWS` fixed multiply-shift functions
    (Dietzfelbinger et al. 1997)."""

    def __init__(self) -> None:
        import numpy as np

        generator = np.random.default_rng(6)
        self._a = generator.integers(0, 1 << 64, _BANDS * _ROWS, dtype=np.uint64) | np.uint64(1)
        self._b = generator.integers(0, 1 << 64, _BANDS * _ROWS, dtype=np.uint64)

    def bands(self, hashes: Iterable[int]) -> list[bytes]:
        import numpy as np

        values = np.fromiter(hashes, dtype=np.uint64)
        mixed = (values[:, None] * self._a[None, :] + self._b[None, :]) >> np.uint64(32)
        signature = mixed.min(axis=0).astype(np.uint32)
        return [signature[i * _ROWS : (i + 1) * _ROWS].tobytes() + bytes([i]) for i in range(_BANDS)]


@dataclass(slots=True)
class _Question:
    task: str
    id: str
    runs: int
    length: int
    triples: frozenset[int]


class Index:
    """Questions of evaluation tasks. `add` them, then `find` them in texts; `counts` has how many of each task. The memory it
    needs grows with the questions alone."""

    def __init__(self) -> None:
        self._questions: list[_Question] = []
        self._exact: dict[str, int] = {}
        self._template: dict[str, int] = {}
        self._runs: dict[int, int | list[int]] = {}
        self._bands: dict[bytes, list[int]] = defaultdict(list)
        self._common: set[int] = set()
        self.counts: Counter[str] = Counter()
        self._signer = _Signer()

    def __len__(self) -> int:
        return len(self._questions)

    def add(self, task: str, questions: Mapping[str, str], *, masked: bool = True) -> None:
        """Add the questions of a task, by id. `masked`: the same sentence with other numbers is the same question; where it is
        not, because numbers are all that such questions differ by, templates and MinHash are not asked."""
        tokens = {name: words(text) for name, text in questions.items()}
        self.counts[task] += len(tokens)
        common = Counter(run for t in tokens.values() for run in {h for h, _ in _runs(t)})
        common_triples = Counter(triple for t in tokens.values() for triple in _triples(t))
        most = max(3, _COMMON * len(questions))
        self._common |= {triple for triple, count in common_triples.items() if count > most}
        for name, t in tokens.items():
            if not t:
                continue
            at = len(self._questions)
            runs = {h for h, _ in _runs(t) if common[h] <= most}
            triples = _triples(t) - self._common
            self._questions.append(_Question(task, name, len(runs), len(t), triples))
            self._exact.setdefault(" ".join(t), at)
            # A sum without a word has the form of every other.
            if masked and len({w.isdigit() for w in t}) == 2 and len(t) >= SHORT:
                self._template.setdefault(template(t), at)
            for run in runs:
                before = self._runs.setdefault(run, at)
                if isinstance(before, list):
                    before.append(at)
                elif before != at:
                    self._runs[run] = [before, at]
            if triples and masked:
                for band in self._signer.bands(triples):
                    self._bands[band].append(at)

    def find(self, question: str, text: str = "") -> list[Match]:
        """The questions that `question` is, or that stand in it or in `text` (a solution, a whole conversation); the surest
        kind for each, exact before ngram before minhash before template."""
        tokens = words(question)
        found: dict[int, Match] = {}

        def note(at: int, kind: Kind, share: float) -> None:
            asked = self._questions[at]
            found.setdefault(at, Match(asked.task, asked.id, kind, round(share, 3)))

        if (at := self._exact.get(" ".join(tokens))) is not None:
            note(at, "exact", 1.0)
        for at, share in self._overlaps(tokens + (["\x00", *words(text)] if text else [])).items():
            note(at, "ngram", share)
        triples = _triples(tokens) - self._common
        for at in {at for band in self._signer.bands(triples) for at in self._bands.get(band, ())} if triples else ():
            share = _jaccard(triples, self._questions[at].triples)
            if share >= SIMILAR:
                note(at, "minhash", share)
        if (at := self._template.get(template(tokens))) is not None:
            note(at, "template", 1.0)
        return [found[at] for at in sorted(found)]

    def _overlaps(self, tokens: Sequence[str]) -> dict[int, float]:
        """Questions of which a long enough run stands in the words, with the share of their runs that do."""
        hits: dict[int, list[int]] = defaultdict(list)
        for run, position in _runs(tokens):
            at_run = self._runs.get(run)
            for at in at_run if isinstance(at_run, list) else () if at_run is None else (at_run,):
                hits[at].append(position)
        found = {}
        for at, positions in hits.items():
            asked = self._questions[at]
            share = min(1.0, len(set(positions)) / max(1, asked.runs))
            if _longest(positions) + SHORT - 1 >= min(LONG, asked.length) or share >= COVERED:
                found[at] = share
        return found


def _runs(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """(hash, position) of every run of `SHORT` words; of counting and grids of digits, which are anyone's, of none."""
    runs = [(tokens[i : i + SHORT], i) for i in range(len(tokens) - SHORT + 1)]
    return [(_hash(" ".join(run)), i) for run, i in runs if len({t for t in run if not t.isdigit()}) >= _SAYING]


def _triples(tokens: Sequence[str]) -> frozenset[int]:
    triples = (tokens[i : i + 3] for i in range(len(tokens) - 2))
    return frozenset(_hash(" ".join(t)) for t in triples if not all(w.isdigit() for w in t))


def _longest(positions: Sequence[int]) -> int:
    """How many of the positions follow each other at most.

    >>> _longest([4, 5, 6, 9])
    3
    """
    best = length = 0
    last = -2
    for position in sorted(set(positions)):
        length = length + 1 if position == last + 1 else 1
        best, last = max(best, length), position
    return best


def _jaccard(one: frozenset[int], two: frozenset[int]) -> float:
    return len(one & two) / len(one | two)
