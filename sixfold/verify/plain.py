"""LaTeX and typography to plain text, as far as comparing answers needs it.

Place: the first step of `answers.py` and of other verifiers that compare what was written. It changes spelling, never meaning,
and reads no value (`evaluate.py` does).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from fractions import Fraction

from sixfold.verify.extract import clean

_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹⁺⁻]+")

_MIXED = re.compile(r"(?<![\w./^)])(\d+)\s+(\d+)\s*/\s*([1-9]\d*)(?![\d.])")

MAX_LENGTH = 400


def plain(answer: str) -> str:
    r"""LaTeX and typography to plain text, as far as comparing needs it; "" for what is too long to be compared.

    >>> plain(r"$2\tfrac{1}{2} \times 10^{8}$")
    '5/2*10^(8)'
    """
    return _plain(answer) if len(answer) <= MAX_LENGTH else ""


@functools.lru_cache(maxsize=4096)
def _plain(answer: str) -> str:
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", clean(answer) or answer)
    text = _MATRIX.sub(_matrix, _THIN.sub("", _UNSEEN.sub("", text)))
    text = _SUPERSCRIPT.sub(lambda m: f"^{m[0]}" if len(m[0]) == 1 else f"^({m[0]})", text)
    text = unicodedata.normalize("NFKC", text).strip()
    text = re.sub(r"\d", lambda m: str(int(m[0])), text)
    text = re.sub(r"(?i)^(?:negative|minus)\s+(?=[\d.])", "-", text)
    if _SPACED.fullmatch(text) and " 000" in text:
        text = text.replace(" ", "")
    text = _REPEATING.sub(_repeating, text)
    text = _COMMANDS.sub(lambda m: _NAMED[m[1]], text)
    text = re.sub(r"\\(?:text|math(?:rm|bf|bb|it|sf)|text(?:bf|it|rm)|mbox|operatorname)\s*\{([^{}]*)\}", r" \1 ", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "°", text)
    text = re.sub(r"\\[dt]?frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"(?<![\w.^)}])(\d+)\s*\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}", r"\1 \2/\3", text)
    text = re.sub(r"\{([^{}]{1,80}?)\\over(?![a-z])([^{}]{1,80})\}", r"\\frac{\1}{\2}", text)
    for _ in range(4):
        text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)", text)
        text = re.sub(r"\^\s*\{([^{}]*)\}", r"^(\1)", text)
    text = re.sub(r"(?:\\sqrt|√)\s*(\d+|[a-zA-Z](?![a-zA-Z]))", r"sqrt(\1)", text)
    text = re.sub(r"\\(?:(?:left|right|displaystyle|q?quad|[bB]ig{1,2}[lr]?)(?![a-zA-Z])|[!,;])", "", text)
    for old, new in _TYPOGRAPHY:
        text = text.replace(old, new)
    text = re.sub(r"(?<=[\d)])\s*\bx\b\s*(?=10\^)|\s*\*\s*", "*", text.strip(" $"))
    text = _MIXED.sub(lambda m: str(Fraction(int(m[1])) + Fraction(int(m[2]), int(m[3]))), text)
    while (inner := re.fullmatch(r"\(\s*\(([^()]*\)\s*/\s*\([^()]*)\)\s*\)", text)) is not None:
        text = f"({inner[1]})"
    return re.sub(r"\s+", " ", text).strip(" ;:").rstrip(" .;:")


_THIN = re.compile(r"(?<=\d)[\u2009\u202f\u00a0](?=\d{3}(?!\d))")

_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")

_SPACED = re.compile(r"[-+]?\d{1,3}(?: \d{3})+")

_REPEATING = re.compile(r"(?<![\d.])(\d+)\.(\d{0,12})\\(?:overline|bar|dot)\s*\{?(\d{1,12})\}?(?![\d.])")

_NAMED = {"emptyset": " ∅ ", "varnothing": " ∅ ", "neq": "≠", "ne": "≠", "in": " ∈ ", "cup": " ∪ ", "pm": "±", "approx": "≈",
          "lt": "<", "gt": ">", "to": "→", "colon": ":"}  # fmt: skip

_COMMANDS = re.compile(rf"\\({'|'.join(_NAMED)})(?![a-zA-Z])")

_MATRIX = re.compile(r"\\begin\{([bpvV]?matrix|array)\}(?:\{[lcr|]{0,20}\})?([^{}]*(?:\{[^{}]*\}[^{}]*){0,64})\\end\{\1\}")


def _repeating(match: re.Match[str]) -> str:
    whole, fixed, period = match.groups()
    value = Fraction(int(whole + fixed + period) - int(whole + fixed), 10 ** len(fixed) * (10 ** len(period) - 1))
    return f"{value.numerator}/{value.denominator}"


def _matrix(match: re.Match[str]) -> str:
    """Rows in brackets; a column is a vector, as written in round brackets. A determinant is no matrix."""
    if match[1] in ("vmatrix", "Vmatrix"):
        return f"det{match[2]}"
    rows = [row.split("&") for row in match[2].split("\\\\") if row.strip()]
    if len(rows) > 1 and all(len(row) == 1 for row in rows):
        return f"({', '.join(row[0].strip() for row in rows)})"
    return f"[{', '.join('[' + ', '.join(c.strip() for c in row) + ']' for row in rows)}]"


_TYPOGRAPHY = (
    ("{,}", ","), ("٬", ","), ("٫", "."), ("،", ","), ("、", ","), ("\\cdot", "*"), ("\\times", "*"), ("\\div", "/"),
    ("×", "*"), ("·", "*"), ("÷", "/"), ("⁄", "/"), ("−", "-"), ("–", "-"), ("’", "'"), ("\\%", "%"), ("\\$", "$"),
    ("\\pi", " pi "), ("π", " pi "), ("\\{", "{"), ("\\}", "}"), ("\\infty", "infinity"), ("∞", "infinity"),
    ("\\leqslant", "≤"), ("\\leq", "≤"), ("\\le", "≤"), ("<=", "≤"), ("\\geqslant", "≥"), ("\\geq", "≥"), ("\\ge", "≥"),
    (">=", "≥"), ("√", "sqrt"), ("~", " "), ("\\", " "),
)  # fmt: skip
