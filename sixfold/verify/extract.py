"""Finding the final answer in what a model wrote, once and the same way for every reader.

Place: `split_thinking` takes the thinking away, `extract_answer` reads the rest. Nothing here looks into thinking: half a
thought is never an answer. No judging (`answers.py`), no network, linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_TAG = re.compile(r"<(/?)think(?:ing)?>|\[(/?)THINK\]")
_TAGGED = re.compile(r"(?is)<answer>(.*?)</answer>")
_MARKED = re.compile(
    r"(?im)^[\s>*_#-]*(?:(?:so|thus|therefore|hence)[,\s]+)?(?:the\s+)?(?:final\s+|correct\s+)?"
    r"(?:answer|回答|答え|答案|الجواب|الإجابة)(?:\s+to\s+[^:：\n]{0,80})?[*_\s]*(?:is\b|[:：=は]|هو)[*_:：\s]*(\S[^\n]*)"
)
_MARKED_INSIDE = re.compile(
    r"(?i)\b(?:final\s+)?answer\s+is[:\s]+\**((?:[-−+$€£¥\\(\[{\d\"“]|(?:yes|no|true|false|[a-j])\b(?!\s+[a-z]))[^\n]*)"
)
_HEADED = re.compile(r"(?im)^#+[ *]*(?:final\s+)?answer[ *:]*\n\s*(\S[^\n]*)")
_HASHES = re.compile(r"(?m)^####[ \t]*(\S[^\n]*)")
_RESULT = re.compile(
    r"(?:=|≈|\bis|\bare|\bhas|\bhave|\bwas|\bgives?|\bgets?)\s*\**\s*([-−]?[$€£¥]?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?)"
)
_LONGEST = 2000
"""Characters of an answer; what is longer is no final answer of the kind that can be compared."""


class Split(NamedTuple):
    """`state`: `none` (no tags), `closed`, or `open` (thinking that never ended; then `text` is what stood outside it)."""

    thinking: str
    text: str
    state: Literal["none", "closed", "open"]


def split_thinking(text: str) -> Split:
    """Thinking and the rest, for `<think>`, `<thinking>` and `[THINK]`. A closing tag without an opening one closes thinking
    that began with the text (templates often write the opening tag themselves). Later strays are dropped, text is not.

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
    return Split("".join(thinking), "".join(visible), "open" if inside else "closed" if seen else "none")


def last_boxed(text: str) -> str | None:
    r"""The content of the last whole `\boxed{...}`, braces balanced.

    >>> last_boxed(r"so \boxed{\frac{1}{2}} it is")
    '\\frac{1}{2}'
    """
    start = text.rfind("\\boxed{")
    while start >= 0:
        depth = 0
        for i in range(start + 6, min(len(text), start + 6 + _LONGEST)):
            depth += (text[i] == "{") - (text[i] == "}")
            if not depth:
                return text[start + 7 : i].strip()
        start = text.rfind("\\boxed{", 0, start)
    return None


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
    tagged = [t.strip() for t in _TAGGED.findall(visible) if t.strip()]
    if tagged:
        return clean(tagged[-1])
    if boxed := last_boxed(visible):
        return clean(boxed)
    marked = [(m.start(), m[1]) for p in (_MARKED, _MARKED_INSIDE, _HEADED, _HASHES) for m in p.finditer(visible)]
    if marked and (answer := clean(re.split(r"(?<=[^.])\.\s+(?=[A-Z])", max(marked)[1])[0])):
        told = _RESULT.findall(answer) if flexible and len(answer.split()) > 4 else ()
        return clean(told[-1]) if told else answer
    if flexible and (lines := [line for line in visible.splitlines() if line.strip()]):
        results = _RESULT.findall(lines[-1])
        return clean(results[-1]) if results else None
    return None


def clean(answer: str) -> str | None:
    r"""An answer without decoration: emphasis, quotes, `$`, a full stop at the end, `\boxed` around all of it.

    >>> clean(' **$12$**. ')
    '12'
    """
    answer = re.split(r"<\|?/?(?:im_end|answer|end|eot)", answer.strip(), maxsplit=1)[0]
    if answer.count("\\boxed{") == 1 and (boxed := last_boxed(answer)):
        answer = boxed
    previous = None
    while answer != previous:
        previous = answer
        answer = answer.strip().strip("*_`").strip()
        answer = re.sub(r"(?i)^(?:final\s+)?answer\s*[:：=]\s*", "", answer)
        answer = re.sub(r"(?<![.\d])[.。]$|(?<=\d)\.$", "", answer)
        for left, right in (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ('"', '"'), ("“", "”")):
            inner = answer[len(left) : len(answer) - len(right)]
            if len(answer) > 1 and answer.startswith(left) and answer.endswith(right) and left not in inner:
                answer = inner
    answer = answer.replace("**", "").strip()
    if not any(c.isalnum() or c in "∞∅" for c in answer):
        return None
    return answer if answer and len(answer) <= _LONGEST else None
