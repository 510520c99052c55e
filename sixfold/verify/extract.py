"""Finding the final answer in what a model wrote, once and the same way for every reader.

Place: `split_thinking` takes the thinking away, `extract_answer` reads the rest; verifiers begin with `read_answer` or
`read_code`, which also say how the answer was found. Nothing here looks into thinking: half a thought is never an answer.
No judging (`answers.py`), no network, linear in the length of the text.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from sixfold.core import AnswerForm

_TAG = re.compile(r"<(/?)think(?:ing)?>|\[(/?)THINK\]")
_TAGGED = re.compile(r"(?i:<(/?)(?:final_)?answer>)|\[(/?)ANSWER\]")
_ENDING = re.compile(r"(?:<\|(?:im_end|end|end_of_text|endoftext|eot_id)\|>|</s>|<eos>|<end_of_turn>)\s*\Z")
_IS = (
    r"[*_ \t]{0,4}(?:\bis\b(?: (?:therefore|thus|then|equal to)\b,?)?|\be(?:s|st)\b|\bist\b|是|为|為|は|هو|هي|[:：=])"
    r"[*_:： \t]{0,8}(?:\n[*_ \t]{0,8}(?:`{3}\w{0,10}(?=\n))?){0,3}(\S[^\n]*)"
)
_MARKED = re.compile(
    r"(?im)^[^\w\n\"'`(\[{]{0,16}(?:\d{1,2}[.)][ \t*_]{0,8})?(?:(?:so|thus|therefore|hence)[, ]{1,4})?(?:the |my |our )?"
    r"(?:final |correct |right |best )?(?:answer|ans\b\.?)(?: to [^:：\n]{0,80}?)?" + _IS
)
_MARKED_ELSEWHERE = re.compile(
    r"(?m)(?:^|[\s。，、,:：*#>])(?:故|所以|因此|よって|したがって)?(?:(?:最終的な|最終|最终|正确|正しい|最後の|最后的?)の?)?"
    r"(?:回答|答え|答案|解答|정답|[Aa]ntwort|[Оо]твет|(?:[Rr]esp[uo]e?sta|[Rr]isposta|[Rr]éponse)(?: final[ea]?)?"
    r"|(?:الجواب|الإجابة|الاجابة)(?: (?:النهائي|الصحيح)ة?)?)" + _IS
)
_MARKED_INSIDE = re.compile(
    r"(?i)\b(?:final )?answer is[: \t]{1,8}\*{0,3}((?:[-−+$€£¥\\(\[{\d\"“]|(?:yes|no|true|false|[a-j])\b(?! {1,4}[a-z]))[^\n]*)"
)
_HEADED = re.compile(r"(?im)^(?:#{1,6}[ *]{0,8}|\*\*)(?:final )?answer[ *:：]{0,8}\n\s{0,8}(\S[^\n]*)")
_HASHES = re.compile(r"(?m)^####[ \t]{0,8}([-−+$€£¥\\]{0,3}\d[\d,./]*%?[ \t]*$|\S[^\n]*(?=\s*\Z))")
_SENTENCE_END = re.compile(r"(?<=[^.])\.\s+(?=[A-Z])|。(?=.)|(?i:[,;]?\s+\(?because\b|(?:[,;]\s+|\s+\()since\b)")
_RESULT = re.compile(
    r"(?<!not )(?<!n['’]t )(?:=|≈|\bis|\bare|\bhas|\bhave|\bwas|\bgives?|\bgets?|\bequals)[ \t]{0,4}\*{0,3}[ \t]{0,4}"
    r"([-−]?(?:\\?[$€£¥])?\d(?:[\d,]*\d)?(?:\.\d+)?(?:/\d+)?%?)(?![\d,.:/]*\d|\s?\\(?:sqrt|pi|[dt]?frac|cdot|times)|[\^π√]|[a-zA-Z](?![a-zA-Z]))"
    r"(?![*%]{0,3}(?:\s?[,–-]\s?|,?\s(?:or|and|to)\s)[$€£¥]?\d(?![\d.]*%))"
)
_ONLY_NUMBER = re.compile(
    r"[^\d=]*?(?<![\w.,^/])([-−]?(?:\\?[$€£¥])?\d(?:[\d,]*\d)?(?:\.\d+)?%?)(?![\w^/])[^\d=]*[.!][*_$)]{0,4}\s*"
)
_DENIED = re.compile(r"(?i)\b(?:not|no|never|neither|nor|or|if|either|between|wrong|wait|unless|at most|at least)\b|n['’]t\b")
_BRACE = re.compile(r"\\boxed\s?\{|[{}]")
_EMPHASIS = re.compile(r"(?<![\w)*])\*\*(?=[^\s*])|(?<=[^\s*])\*\*(?![\w(*])")
_COPULA = re.compile(r"(?<=[\w)}$])\s?(?:です|である|となります|になります)$")
_LONGEST = 2000
"""Characters of an answer; what is longer is no final answer of the kind that can be compared."""


_OPTION = re.compile(
    r"(?i)\b(?:option|choice|answer|statement|alternative)s?\b[ \t]{0,4}(?:is|would be|must be|should be|[:=])?"
    r"[ \t]{0,4}[*_$`]{0,4}(?:\(([A-J])\)|\b([A-J])\b(?! {1,4}[a-z]))"
)
_ANOTHER = re.compile(r"(?i)[*_$`]{0,4}\s{0,2}(?:,|/|&|and\b|or\b)\s{0,2}(?:and |or )?[*_$`]{0,4}\(?[A-J]\b(?! [a-z])")
_MATHEMATICAL = re.compile(r"\\[a-zA-Z]+|\b(?:pi|sqrt|sin|cos|tan|log|ln|exp|infinity|yes|no|true|false)\b")
_LONG_WORD = re.compile(r"[^\W\d_]{2}")
_FENCE = re.compile(r"(?m)^[ \t]{0,8}(`{3,16}|~{3,16})[ \t]{0,8}([\w+#.-]{0,20})[^\n`]{0,80}$")
_PYTHON = ("", "python", "py", "python3", "py3", "Python")
_LONGEST_CODE = 100_000


class Found(NamedTuple):
    """An answer, and how it was found; `None` and "none" where there is no answer."""

    answer: str | None
    form: AnswerForm


class Split(NamedTuple):
    """`state`: `none` (no tags), `closed`, or `open` (thinking that never ended; then `text` is what stood outside it)."""

    thinking: str
    text: str
    state: Literal["none", "closed", "open"]


def split_thinking(text: str) -> Split:
    """Thinking and the rest, for `<think>`, `<thinking>` and `[THINK]`. A closing tag without an opening one closes thinking
    that began with the text (templates often write the opening tag themselves). Later strays are dropped, and so is a token
    that ends the text; other text is not.

    >>> split_thinking("<think>2 + 2</think>Answer: 4")
    Split(thinking='2 + 2', text='Answer: 4', state='closed')
    >>> split_thinking("2 + 2</think>It is</think> 4").text
    'It is 4'
    >>> split_thinking("<think>Answer: 5").state
    'open'
    """
    thinking: list[str] = []
    visible: list[str] = []
    inside, seen, start = False, False, 0
    for tag in _TAG.finditer(text):
        closing = bool(tag[1] or tag[2])
        (thinking if inside or (closing and not seen) else visible).append(text[start : tag.start()])
        inside, seen, start = not closing, True, tag.end()
    (thinking if inside else visible).append(text[start:])
    shown = "".join(visible)
    shown = shown[:-100] + _ENDING.sub("", shown[-100:])
    return Split("".join(thinking), shown, "open" if inside else "closed" if seen else "none")


def last_boxed(text: str, longest: int = _LONGEST) -> str | None:
    r"""The content of the last whole `\boxed{...}` of at most `longest` characters, braces balanced.

    >>> last_boxed(r"so \boxed{\frac{1}{2}} it is")
    '\\frac{1}{2}'
    """
    opened: list[int] = []
    last = (-1, -1)
    for token in _BRACE.finditer(text):
        if token[0] != "}":
            opened.append(token.end() if len(token[0]) > 1 else -1)
        elif opened and last[0] < (start := opened.pop()) and token.start() - start <= longest:
            last = (start, token.start())
    return text[slice(*last)].strip() if last[0] >= 0 else None


def extract_answer(text: str, *, flexible: bool = False) -> str | None:
    r"""The final answer that `text` states outside its thinking; `None` where it states none.

    Strict: the last `<answer>`, else the last `\boxed`, else the last line that says "Answer:", "The answer is" or "####".
    Flexible adds the result at the end of the last sentence, as in "she has 12 apples" or "3 + 4 = **7**".

    >>> extract_answer("I get 5.\nAnswer: **42** apples.")
    '42 apples'
    >>> extract_answer("So 3 + 4 = 7.") is None, extract_answer("So 3 + 4 = 7.", flexible=True)
    (True, '7')
    >>> extract_answer("<think>Answer: 5") is None
    True
    """
    visible = split_thinking(text).text[-20_000:]
    if tagged := _last_tagged(visible):
        return clean(tagged)
    if boxed := last_boxed(visible):
        return clean(boxed)
    patterns = (_MARKED, _MARKED_ELSEWHERE, _MARKED_INSIDE, _HEADED, _HASHES)
    marked = [(m.start(1), m[1]) for p in patterns for m in p.finditer(visible)]
    if marked and (answer := clean(_SENTENCE_END.split(max(marked)[1], maxsplit=1)[0])):
        told = _RESULT.findall(answer) if flexible and len(answer.split()) > 4 else ()
        return clean(told[-1]) if told else answer
    if flexible and (lines := [line for line in visible.splitlines() if line.strip()]):
        results = _RESULT.findall(lines[-1])
        return clean(results[-1]) if results else None
    return None


def read_answer(text: str, *, accept: Callable[[str], bool] | None = None) -> Found:
    r"""The final answer and how it was found: strict as in `extract_answer`, else flexible.

    Flexible reads the end of the last sentence, the letter that the last line calls the option, and a last line that is
    nothing but an answer. `accept` says which answers a reader can use: the first that it accepts is taken, the first of all
    where it accepts none. Where a strict answer is there, only that one and the result inside it are looked at.

    >>> read_answer("Answer: 42"), read_answer("So the correct option is (C)."), read_answer("Adding:\n\n$x = 3$")
    (Found(answer='42', form='strict'), Found(answer='C', form='flexible'), Found(answer='x = 3', form='flexible'))
    >>> read_answer("Answer: there were 3 + 4 = 7 of them", accept=str.isdigit)
    Found(answer='7', form='flexible')
    """
    strict = extract_answer(text)
    found = [Found(strict, "strict")] if strict else []
    visible = split_thinking(text).text[-20_000:]
    found += [Found(a, "flexible") for a in (_inside(strict) if strict else _at_the_end(visible)) if a]
    return next((f for f in found if accept is None or accept(str(f.answer))), found[0] if found else Found(None, "none"))


def _inside(answer: str) -> Iterator[str | None]:
    """What a longer statement of an answer comes to: its last result, else the option it names."""
    if len(answer.split()) > 3 and not _DENIED.search(answer):
        results = _RESULT.findall(answer)
        yield clean(results[-1]) if results else None
        yield _option(answer)


def _at_the_end(text: str) -> Iterator[str | None]:
    """Answers that the last line of `text` may mean, the surest first."""
    lines = [line for line in text.splitlines() if line.strip() and line.strip() not in ("$$", "\\]", "\\)", "```", "---")]
    if not lines:
        return
    last = lines[-1][-_LONGEST:]
    line = clean(last)
    if line and len(line) <= 200 and not _LONG_WORD.search(_MATHEMATICAL.sub("", line)):
        yield line
    yield _option(last)
    results = _RESULT.findall(last)
    yield clean(results[-1]) if results else None
    if (only := _ONLY_NUMBER.fullmatch(last)) and not _DENIED.search(last):
        yield clean(only[1])
    if line and len(lines) == 1 and len(line) <= 200 and len(line.split()) <= 3:
        yield line


def _option(line: str) -> str | None:
    """The letter that `line` calls the option or answer, where it calls only one so."""
    named = list(_OPTION.finditer(line))
    letters = {(m[1] or m[2]).upper() for m in named}
    return None if len(letters) != 1 or any(_ANOTHER.match(line, m.end()) for m in named) else letters.pop()


def read_code(text: str) -> Found:
    r"""The program that `text` ends with: the last whole fenced block, of those in Python where any is called so or nothing.

    Flexible: an opened block that was never closed, or the visible text itself, where it compiles and does something.

    >>> read_code("So:\n```python\nprint(1)\n```\nIt prints\n```text\n1\n```")
    Found(answer='print(1)', form='strict')
    >>> read_code("def f(x):\n    return x")
    Found(answer='def f(x):\n    return x', form='flexible')
    """
    visible = split_thinking(text).text[-2 * _LONGEST_CODE :]
    blocks: list[tuple[str, str]] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(visible):
        if opened is None:
            opened = fence
        elif fence[1].startswith(opened[1]) and not fence[2]:
            blocks.append((opened[2], visible[opened.end() + 1 : fence.start()].rstrip()))
            opened = None
    whole = [b for b in blocks if b[1].strip() and len(b[1]) <= _LONGEST_CODE]
    if whole:
        return Found(next((code for label, code in reversed(whole) if label in _PYTHON), whole[-1][1]), "strict")
    rest = visible[opened.end() + 1 :] if opened else visible
    return Found(rest.strip("\n").rstrip(), "flexible") if _is_code(rest) else Found(None, "none")


def _is_code(text: str) -> bool:
    """Whether `text` compiles as Python and does more than name something; it is not run."""
    if not re.search(
        r"(?m)^\s{0,40}(?:async def|def|class|import|from|return|for|while|print|if)\b|^[a-zA-Z_]\w{0,40} ?=[^=]", text
    ):
        return False
    if len(text) > _LONGEST_CODE:
        return False
    indented = text.strip("\n").startswith((" ", "\t"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(f"def f():\n{text}" if indented else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _last_tagged(text: str) -> str | None:
    """What the last pair of `<answer>` tags with something between them holds."""
    start, found = -1, None
    for tag in _TAGGED.finditer(text):
        if not (tag[1] or tag[2]):
            start = tag.end()
        elif start >= 0:
            found, start = text[start : tag.start()].strip() or found, -1
    return found


def clean(answer: str) -> str | None:
    r"""An answer without decoration: emphasis, quotes, `$`, a full stop at the end, `\boxed` around all of it.

    >>> clean(' **$12$**. '), clean("2**3")
    ('12', '2**3')
    """
    previous = None
    while answer != previous:
        previous = answer
        answer = re.split(r"<\|?/?(?:im_end|answer|end|eot)|</s>|<eos>", answer.strip(), maxsplit=1)[0]
        if len(answer) > 2 * _LONGEST:
            return None
        if answer.count("\\boxed") == 1 and (boxed := last_boxed(answer)):
            answer = boxed
        answer = _EMPHASIS.sub("", answer.strip().strip("*_`").strip())
        answer = re.sub(r"(?i)^(?:the )?(?:final |correct )?answer[ \t]{0,4}(?:[:：=]|is\b:?)\s*", "", answer)
        answer = re.sub(r"(?<!\.)\.$", "", answer.rstrip("。"))
        answer = _COPULA.sub("", answer)
        for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ('"', '"'), ("“", "”"), ("「", "」")):
            inner = answer[len(left) : len(answer) - len(right)]
            if len(answer) > 1 and answer.startswith(left) and answer.endswith(right) and left not in inner:
                answer = inner
    if not any(c.isalnum() or c in "∞∅" for c in answer):
        return None
    return answer if len(answer) <= _LONGEST else None
