"""Whether two answers mean the same: numbers, fractions, expressions, choices, lists, words.

Place: voting groups candidates with `answer_keys`, reports compare with the known answer through `same_answer`. An answer is
turned into a key, so "same" is an equivalence, and n answers need n keys instead of n*n comparisons. Expressions with
variables are compared by their values at fixed points. No `eval`, no sympy: bounded in time whatever a model wrote.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

Number = Fraction | float

_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
          "eighteen nineteen twenty").split()  # fmt: skip
_UNITS: Mapping[str, tuple[str, Fraction]] = {
    name: (base, Fraction(factor))
    for base, names in {
        "m": "km:1000 kilometer:1000 kilometers:1000 m:1 meter:1 meters:1 metres:1 cm:1/100 centimeters:1/100 mm:1/1000",
        "g": "kg:1000 kilogram:1000 kilograms:1000 g:1 gram:1 grams:1 mg:1/1000",
        "s": "h:3600 hour:3600 hours:3600 min:60 minute:60 minutes:60 s:1 sec:1 second:1 seconds:1 ms:1/1000",
        "L": "l:1 liter:1 liters:1 litre:1 litres:1 ml:1/1000",
        "N": "n:1 newton:1 newtons:1 kn:1000", "J": "j:1 joule:1 joules:1 kj:1000",
        "V": "v:1 volt:1 volts:1", "A": "ampere:1 amperes:1 amps:1 ma:1/1000", "W": "w:1 watt:1 watts:1 kw:1000",
        "m/s": "m/s:1 km/h:5/18", "m/s^2": "m/s^2:1 m/s²:1",
    }.items()
    for name, factor in (item.split(":") for item in names.split())
}  # fmt: skip
_QUANTITY = re.compile(
    r"(?i)[$€£¥]?\s*([-+]?\d+(?:,\d{3})*(?:\.\d+)?|[-+]?\.\d+)(?:\s*(?:e|\*10\^)\s*([-+]?\d{1,3}))?"
    r"(?:\s*/\s*(\d+(?:\.\d+)?))?\s*((?!e[-+\d]|pi\b)[a-zA-Zµ°%$€£¥](?:[a-zA-Z/²%.\s-]|\^2){0,40})?$"
)
_MAX_LENGTH = 400


def answer_key(answer: str) -> str:
    r"""A string that two answers share when they mean the same.

    >>> answer_key("$1,200.50"), answer_key(r"\frac{3}{4}") == answer_key("0.75"), answer_key("(B) Paris")
    ('n:2401/2', True, 'c:b')
    >>> answer_key("x + 1") == answer_key("1+x"), answer_key("2 km") == answer_key("2000 m")
    (True, True)
    """
    text = _plain(answer)
    for read in (_choice_key, _quantity_key, _list_key, _expression_key):
        if key := read(text):
            return key
    words = re.sub(r"[^\w\s/+*^=<>-]", "", text.casefold()).split()
    kept = [w for w in words if w not in ("the", "a", "an")] or words
    if len(kept) == 1 and kept[0] in _WORDS:
        return f"n:{_WORDS.index(kept[0])}"
    return f"t:{' '.join(kept) or text}"


def answer_keys(answers: Sequence[str]) -> list[str]:
    """Keys of answers to one question: a bare number joins the same number with a unit, where only one such unit is there.

    >>> answer_keys(["5", "5 cm", "5 cm"]), answer_keys(["5", "5 cm", "5 m"])[0]
    (['n:1/20 m', 'n:1/20 m', 'n:1/20 m'], 'n:5')
    """
    keys = [answer_key(a) for a in answers]
    written = [_quantity(_plain(a)) for a in answers]
    joined = []
    for key, quantity in zip(keys, written, strict=True):
        if quantity and not quantity[1]:
            same = {k for k, q in zip(keys, written, strict=True) if q and q[1] and q[0] == quantity[0]}
            key = same.pop() if len(same) == 1 else key
        joined.append(key)
    return joined


def same_answer(answer: str, known: str) -> bool:
    """Whether an answer means the known one.

    >>> same_answer("12 apples", "12"), same_answer("12", "13")
    (True, False)
    """
    left, right = answer_keys([answer, known])
    return left == right


def _plain(answer: str) -> str:
    r"""LaTeX and typography to plain text, as far as comparing needs it."""
    text = unicodedata.normalize("NFKC", answer[:_MAX_LENGTH]).strip()
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}", r" \1 ", text)
    for _ in range(4):
        text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)", text)
    text = re.sub(r"\\[dt]?frac\s*(\d)\s*(\d)", r"(\1/\2)", text)
    text = re.sub(r"\\(?:left|right|displaystyle|!|,|;|quad)", "", text)
    for old, new in (("\\cdot", "*"), ("\\times", "*"), ("×", "*"), ("·", "*"), ("÷", "/"), ("−", "-"), ("–", "-"),
                     ("\\%", "%"), ("\\$", "$"), ("\\pi", "pi"), ("π", "pi"), ("\\{", "{"), ("\\}", "}"), ("^\\circ", "°"),
                     ("\\infty", "infinity"), ("⁄", "/"), ("\\", " ")):  # fmt: skip
        text = text.replace(old, new)
    text = re.sub(r"^[a-zA-Z]\w{0,2}\s*=\s*(?=\S)", "", text.strip().strip("$").strip())
    while (inner := re.fullmatch(r"\(\s*\(([^()]*\)\s*/\s*\([^()]*)\)\s*\)", text)) is not None:
        text = f"({inner[1]})"
    return re.sub(r"\s+", " ", text).strip(" .;:")


def _choice_key(text: str) -> str | None:
    match = re.fullmatch(
        r"\(([A-Ja-j])\)(?:\s+.*)?|([A-J]|[a-j](?=$|[).]))(?:[).:](?:\s+.*)?)?|(?:option|choice)\s+([A-Ja-j])\b.*", text
    )
    return f"c:{(match[1] or match[2] or match[3]).lower()}" if match else None


def _quantity(text: str) -> tuple[Fraction, str] | None:
    """A number and its unit ("" where there is none that is known), or `None` where the text is something else."""
    text = re.sub(r"^\(\(?(-?[\d.]+)\)?/\(?([\d.]+)\)?\)", r"\1/\2", text)
    match = _QUANTITY.fullmatch(text)
    if match is None or len(match[1]) > 60:
        return None
    value = Fraction(match[1].replace(",", "")) * Fraction(10) ** int(match[2] or 0)
    if match[3]:
        if not Fraction(match[3]):
            return None
        value /= Fraction(match[3])
    unit = (match[4] or "").strip().rstrip(".")
    known = unit.lower() in _UNITS or unit == "A"
    if unit[:1].isalpha() and not known and text[match.start(4) - 1] != " ":
        return None
    return value, unit if known else ""


def _quantity_key(text: str) -> str | None:
    quantity = _quantity(text)
    if quantity is None:
        return None
    base, factor = ("A", Fraction(1)) if quantity[1] == "A" else _UNITS.get(quantity[1].lower(), ("", Fraction(1)))
    return f"n:{quantity[0] * factor} {base}".strip()


def _list_key(text: str) -> str | None:
    unordered, inner = text[:1] == "{" and text[-1:] == "}", text
    if text[:1] + text[-1:] in ("{}", "[]", "()"):
        inner = text[1:-1]
    parts = [p.strip() for p in re.split(r",|;|\band\b", inner) if p.strip()]
    if len(parts) < 2 or len(parts) > 64:
        return None
    keys = [answer_key(p) for p in parts]
    return "l:" + ",".join(sorted(keys) if unordered else keys)


_OPERATORS: Mapping[type, Callable[[Number, Number], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sqrt": math.sqrt, "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "ln": math.log, "log": math.log,
    "abs": abs,
}  # fmt: skip
_POINTS = (0.731, 1.377, 2.193)


def evaluate(expression: str, variables: Mapping[str, Number] | None = None) -> Number:
    """The value of an arithmetic expression, exact where it can be. Raises `ValueError` for anything else.

    >>> evaluate("(1 + 2) * 3 / 4"), evaluate("2x + 1", {"x": Fraction(3)})
    (Fraction(9, 4), Fraction(7, 1))
    """
    text = expression.strip().replace("^", "**").replace("{", "(").replace("}", ")")
    text = re.sub(r"(?<=[\d)])\s*(?=[a-zA-Z(])", "*", text)
    if not text or len(text) > _MAX_LENGTH:
        raise ValueError("no expression")
    try:
        return _value(ast.parse(text, mode="eval").body, variables or {})
    except (SyntaxError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError(f"not an expression: {error}") from error


def _value(node: ast.expr, variables: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError("too large")
            return Fraction(str(value))
        case ast.Name(id=name) if name in variables:
            return variables[name]
        case ast.Name(id="pi"):
            return math.pi
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, variables)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, variables)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, variables), _value(right, variables))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, variables), _value(right, variables))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](float(_value(argument, variables)))
    raise ValueError("not arithmetic")


def _power(base: Number, exponent: Number) -> Number:
    """Bounded: exact for small whole exponents, in floating point for the rest."""
    small = isinstance(exponent, Fraction) and exponent.denominator == 1 and abs(exponent) <= 64
    if small and isinstance(base, Fraction) and base.numerator.bit_length() * abs(int(exponent)) <= 4096:
        return base ** int(exponent)
    value: float | complex = float(base) ** float(exponent)
    if isinstance(value, complex):
        raise ValueError("not real")
    return value


def _expression_key(text: str) -> str | None:
    if not re.search(r"\d|[-+*/^()=]|\b[a-z]\b", text) or len(text) > 200 or "=" in text:
        return None
    names = sorted(set(re.findall(r"(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z])", text)))
    try:
        if not names:
            value = evaluate(text)
            return f"n:{value}" if isinstance(value, Fraction) else f"n:{value:.9g}"
        spread = [{name: Fraction(str(round(point * (1 + i / 7), 6))) for i, name in enumerate(names)} for point in _POINTS]
        values = [float(evaluate(text, point)) for point in spread]
    except (ValueError, OverflowError):
        return None
    return f"e:{''.join(names)}:" + ",".join(f"{v:.9g}" for v in values)
