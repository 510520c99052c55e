"""Multiple choice: which one option does an answer name, by its label or by its text?

Place: the verifier `choice`. An answer may name an option by label ("C", "(C)", "option C"), by its whole text (numbers by
value), or by both, if both agree. Hedges, negations and several options score 0. A bare label is always read as a label, even
where another option's text looks like it. `meta["labels"] = []` says that the question shows no labels, so that only the text
counts.

Not here: guessing an option from a paraphrase, or from the reasoning before the answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sixfold.core import AnswerForm, Problem, Verdict
from sixfold.verify.blocks import normalised, read_line
from sixfold.verify.extract import read_answer, split_thinking
from sixfold.verify.quantity import read_number

_NEGATED = re.compile(
    r"(?i)\b(?:not|never|neither|nor|no longer|except|false|wrong|incorrect|cannot|anything but|other than|"
    r"rather than|eliminate|rule[sd]? out)\b|n['’]t\b"
)
_EXPLAINED = re.compile(r"(?i)[\s,;:.(–—-]*(?:because|since|as|for|which|due to|so|this|that)\b")
_HEDGES = re.compile(r"(?i)\W*(?:or|and|but|maybe|perhaps|possibly|probably|unless|if|not)\b")
_PRAISE = re.compile(
    r"(?i)\s*(?:is|would be|seems) (?:the )?(?:most )?(?:correct|right|best|true|likely)(?: (?:answer|option|choice|one))?\.?$"
)
_CALLS = re.compile(r"(?i)\b(?:correct|right|best|answer|choose|select|pick)\b")
_LATEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox|rm|bf)\s*\{([^{}]*)\}")
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a question. `label` matches any label; `texts` are normalised."""

    labels: Sequence[str]
    texts: Sequence[str]

    @property
    def label(self) -> str:
        return (
            "(?:" + "|".join(re.escape(x) for x in sorted(self.labels, key=len, reverse=True)) + ")" if self.labels else "(?!)"
        )

    def index(self, label: str) -> int:
        return [x.casefold() for x in self.labels].index(label.casefold())


def judge_choice(problem: Problem, text: str) -> Verdict:
    """`meta`: `choices` (texts), `labels` (A, B, ... where missing, at most 26). `answer` is a label or an option's text. 1 or
    0.

    >>> problem = Problem("p", "Capital?", answer="B", meta={"choices": ["Rome", "Paris"]})
    >>> [judge_choice(problem, f"Answer: {a}").score for a in ("(B)", "paris", "B. Paris", "B. Rome", "A or B", "not A")]
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """
    options = _options(problem)
    if isinstance(options, str):
        return Verdict(None, options)
    known = _reference(str(problem.answer), options)
    if known is None:
        return Verdict(None, f"the reference {str(problem.answer)[:40]!r} is not one of the options")
    answer, form, picked = _read(text, options)
    if not answer:
        return Verdict(0.0, "no answer")
    if picked is None:
        return Verdict(0.0, f"{answer[:60]!r} does not name exactly one option", answer, form)
    names = options.labels or options.texts
    return Verdict(float(picked == known), f"names {names[picked][:60]}, the answer is {names[known][:60]}", answer, form)


def _read(text: str, options: Options) -> tuple[str | None, AnswerForm, int | None]:
    """What was judged, how it was found, and the option that it names."""
    line = read_line(text)
    if line.answer:
        if (picked := pick_option(line.answer, options)) is not None:
            return line.answer, "strict", picked
        called = _called(line.answer, options)
        return line.answer, "strict" if called is None else "flexible", called
    lines = [x[-_LONGEST:] for x in split_thinking(text).text[-20_000:].splitlines() if x.strip()][-30:]
    last = lines[-1].strip() if lines else ""
    answer, form = read_answer(text, accept=lambda a: pick_option(a, options) is not None)
    if len({i for x in lines if (i := pick_option(x, options)) is not None}) > 1:
        return answer or last, "flexible", None  # the options, listed
    if (picked := pick_option(last, options)) is not None:
        return last, "flexible", picked
    if _CALLS.search(last) and not last.endswith("?") and (picked := _called(last, options)) is not None:
        return last, "flexible", picked
    if answer is None and lines and (picked := pick_option(lines[0], options)) is not None:
        return lines[0].strip(), "flexible", picked  # the answer first, and then why
    return answer, form, pick_option(answer, options) if answer and not _NEGATED.search(last) else None


def _unlatexed(text: str) -> str:
    return _LATEX.sub(r"\1", unicodedata.normalize("NFKC", text)).replace("\\ ", " ").replace("\\", "")


def _said(text: str) -> str:
    return normalised(_unlatexed(text).strip("$*_`{} "))


def _options(problem: Problem) -> Options | str:
    """The options of a problem, or what is wrong with them."""
    choices, labels = problem.meta.get("choices") or [], problem.meta.get("labels")
    if labels is None:
        labels = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(choices)])
    if not isinstance(choices, list | tuple) or not isinstance(labels, list | tuple) or not (choices or labels):
        return "the problem has no list of choices"
    if problem.answer is None or (choices and labels and len(choices) != len(labels)) or max(len(choices), len(labels)) > 100:
        return "the problem has no answer, or not one label a choice"
    if len({str(x).casefold() for x in labels}) < len(labels) or not all(str(x).strip() for x in labels):
        return "two choices share a label"
    return Options([str(x) for x in labels], [_said(str(x)) for x in choices])


def _reference(answer: str, options: Options) -> int | None:
    bare = answer.strip().strip("().").casefold()
    if bare in (folded := [x.casefold() for x in options.labels]):
        return folded.index(bare)
    same = [i for i, t in enumerate(options.texts) if t == _said(answer)]
    return same[0] if len(same) == 1 else None


def pick_option(answer: str, options: Options) -> int | None:
    """The one option that an answer names, all of the answer read; `None` for none, several, or a label and a text that
    disagree.

    >>> options = Options(["A", "B"], ["rome", "paris"])
    >>> [pick_option(a, options) for a in ("option B", "B: Paris", "Paris (B)", "Rome (B)", "A, B", "A because it is old")]
    [1, 1, 1, None, None, 0]
    """
    if len(answer) > _LONGEST:
        return None
    text = re.sub(r"^[\s$*_`{}\"'“]+|[\s$*_`{}\"'”.。]+$", "", _unlatexed(answer))
    text = _PRAISE.sub("", text).rstrip(". ")
    label = options.label
    if alone := re.fullmatch(
        rf"(?i)(?:(?:the )?(?:option|choice|answer|letter)(?: is)?\s*:?\s*)?[(\[<]?\s*({label})\s*[)\]>:.,]?", text
    ):
        return options.index(alone[1])
    if (by_text := _by_text(text, options)) is not None:
        return by_text
    if not options.labels and (led := re.fullmatch(r"([^,;:.–—]{1,80})(?:[,;:.]|\s[–—-])\s+(.+)", text, re.DOTALL)):
        i = _by_text(led[1], options)
        return i if i is not None and _adds_nothing(led[2], i, options) else None
    start = rf"(?:(?i:(?:the )?(?:option|choice|answer)(?: is)?\s*:?\s*))?(?:[(\[]\s*({label})\s*[)\]]|({label}))"
    for pattern in (
        rf"{start}(?:[*_$`]*\s*[.:)=,–—-]\s*[*_$`]*|\s+(?=\S))(.+)",
        rf"(?i){start}(?:[*_`]*\s*[.:)]\s*[*_`]*)(.+)",
    ):
        if (led := re.fullmatch(pattern, text, re.DOTALL)) and len(led[3]) > 0:
            i = options.index(led[1] or led[2])
            return i if _agrees(led[3], i, options) else None
    if ended := re.fullmatch(
        rf"(.+?)[\s,–—-]*(?:\(\s*(?:(?i:option|choice|answer)\s+)?({label})\s*\)|(?i:option|choice)\s+({label}))",
        text,
        re.DOTALL,
    ):
        i = options.index(ended[2] or ended[3])
        return i if _by_text(ended[1], options) == i else None
    return None


def _adds_nothing(rest: str, i: int, options: Options) -> bool:
    """Whether what follows an option's text neither goes on to another option nor hedges."""
    others = [t for j, t in enumerate(options.texts) if j != i]
    return not _HEDGES.match(rest) and not any(re.search(rf"(?<!\w){re.escape(o)}(?!\w)", _said(rest)) for o in others)


def _by_text(text: str, options: Options) -> int | None:
    whole = _said(text)
    same = [i for i, t in enumerate(options.texts) if t == whole]
    if not same and (value := read_number(whole)) is not None:
        same = [i for i, t in enumerate(options.texts) if read_number(t) == value]
    return same[0] if len(same) == 1 else None


def _agrees(rest: str, i: int, options: Options) -> bool:
    """Whether what follows a label says nothing against it: the option's text, or most of its words, or a reason."""
    said = _said(rest)
    own = options.texts[i] if options.texts else ""
    if not said or said == own:
        return True
    others = {t for j, t in enumerate(options.texts) if j != i and t != own}
    rest_of_it = rest[len(own) :] if own and said.startswith(own) else rest
    if said in others or _mentions_label(rest_of_it, i, options):
        return False
    if any(len(o) > 2 and o not in own and re.search(rf"(?<!\w){re.escape(o)}(?!\w)", said) for o in others):
        return False
    if (number := read_number(said)) is not None and (known := read_number(own)) is not None:
        return number == known
    if own and re.match(rf"{re.escape(own)}(?!\w)", said):
        return not _NEGATED.search(rest_of_it) and not re.match(r"\W*(?:or|and)\b", said[len(own) :])
    if _NEGATED.search(said) and not _NEGATED.search(own):
        return False
    if _EXPLAINED.match(rest):
        return True
    words = set(re.findall(r"\w+", said))
    return bool(words) and 2 * len(words & set(re.findall(r"\w+", own))) >= len(words)


def _mentions_label(text: str, i: int, options: Options) -> bool:
    """Whether `text` speaks of another label."""
    one = rf"[(\[]?({options.label})(?!\w)"
    hedged = r"(?i:\b(?:option|choice|or|and|also|either|maybe|perhaps|possibly)\b|[/&,])"
    spoken = rf"\(\s*({options.label})\s*\)|{hedged}\s*{one}|^\W*{one}\W*$"
    named = {next(g for g in m.groups() if g) for m in re.finditer(spoken, text)}
    return any(options.index(n) != i for n in named)


def _called(line: str, options: Options) -> int | None:
    """The one option that a sentence calls the answer, where it neither hedges nor denies."""
    if _NEGATED.search(line) or not options.labels or len(line) > _LONGEST:
        return None
    label = options.label
    found = list(
        re.finditer(
            rf"\(\s*({label})\s*\)|\b(?i:option|choice|choose|select|pick)\s+[*_]{{0,2}}({label})(?!\w)"
            rf"|(?<!\w)({label})[*_]{{0,2}} (?=is (?:the )?(?:correct|right|best)\b)",
            line,
        )
    )
    named = {options.index(next(g for g in m.groups() if g)) for m in found}
    if len(named) != 1 or _mentions_label(line, i := named.pop(), options):
        return None
    return i if _by_text(line.replace(found[0][0], ""), options) in (i, None) else None
