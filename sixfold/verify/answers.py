"""Whether two answers mean the same: numbers, fractions, expressions, choices, lists, words.

Place: voting groups candidates with `answer_keys`, reports compare with the known answer through `same_answer`. An answer is
turned into a key, so "same" is an equivalence, and n answers need n keys instead of n*n comparisons. Expressions with
variables are compared by their values at fixed points. No `eval`, no sympy: bounded in time whatever a model wrote.
Percent signs, currencies and units that are not converted are left out, because one question asks for one of them.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from sixfold.verify.extract import clean

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
        "V": "v:1 volt:1 volts:1", "A": "a:1 ampere:1 amperes:1 amps:1 ma:1/1000", "W": "w:1 watt:1 watts:1 kw:1000",
        "m/s": "m/s:1 km/h:5/18", "m/s^2": "m/s^2:1",
    }.items()
    for name, factor in (item.split(":") for item in names.split())
}  # fmt: skip
_SYMBOLS, _ATTACHED = frozenset("mghslNJVAWL"), frozenset("VAWJ")
"""Units of one letter, and those that may follow a number without a space, where others are variables (2m, 5n)."""
_TIMES: Mapping[str, int] = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_QUANTITY = re.compile(
    r"(?i)([-+]?)\s*[$€£¥]?\s*([-+]?\d+(?:,\d{3})*(?:\.\d+)?|[-+]?\.\d+)(?:\s*(?:e|\*10\^)\s*\(?([-+]?\d{1,3})\)?)?"
    r"(?:\s*/\s*(\d+(?:\.\d+)?))?(?:\s*(hundred|thousand|million|billion|trillion)\b)?"
    r"\s*((?!e[-+\d]|(?:pi|and|or|to|plus|minus|times|over|of|mod)\b)(?:[^\W\d_]|[µ°%$€£¥])(?:[^\W\d_]|[/%.\s-]|\^2){0,40})?$"
)
_NAME = re.compile(r"([a-zA-Z]\w{0,2}(?:\([a-zA-Z, ]{1,8}\))?|\([a-zA-Z](?:\s?,\s?[a-zA-Z]){1,5}\))\s*=\s*(?=[^=\s])")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹⁺⁻]+")
_MIXED = re.compile(r"(?<![\w./^)])(\d+)\s+(\d+)\s*/\s*([1-9]\d*)(?![\d.])")
_BRACKETS = ("()", "[]", "{}", "(]", "[)")
_MAX_LENGTH = 400


def answer_key(answer: str) -> str:
    r"""A string that two answers share when they mean the same.

    >>> answer_key("$1,200.50"), answer_key(r"\frac{3}{4}") == answer_key("0.75"), answer_key("(B) Paris")
    ('n:2401/2', True, 'c:b')
    >>> answer_key("x + 1") == answer_key("1+x"), answer_key("2 km") == answer_key("2000 m")
    (True, True)
    """
    if len(answer) > _MAX_LENGTH:
        return f"t:{' '.join(answer.casefold().split())}"
    text = plain(answer)
    if told := re.match(r"(?i)(yes|no)[,.;:!]\s+(?!\d)", text):
        return f"t:{told[1].lower()}"
    if key := _choice_key(text) or _list_key(text):
        return key
    text = _unnamed(text)
    return _choice_key(text) or _quantity_key(text) or _expression_key(text) or _words_key(text)


def answer_keys(answers: Sequence[str]) -> list[str]:
    """Keys of answers to one question: a bare number joins the same number with a unit, where only one such unit is there.

    >>> answer_keys(["5", "5 cm", "5 cm"]), answer_keys(["5", "5 cm", "5 m"])[0]
    (['n:1/20 m', 'n:1/20 m', 'n:1/20 m'], 'n:5')
    """
    keys = [answer_key(a) for a in answers]
    written = [_quantity(_unnamed(plain(a))) for a in answers]
    joined = []
    for key, quantity in zip(keys, written, strict=True):
        if quantity and not quantity[1]:
            same = {k for k, q in zip(keys, written, strict=True) if q and q[1] and q[0] == quantity[0]}
            key = same.pop() if len(same) == 1 else key
        joined.append(key)
    return joined


def same_answer(answer: str, known: str) -> bool:
    """Whether an answer means the known one. More lenient than a key, for it is no equivalence: a list without brackets also
    means the one in brackets with the same order.

    >>> same_answer("12 apples", "12"), same_answer("12", "13"), same_answer("1, 2", "(1, 2)"), same_answer("[1, 2]", "(1, 2)")
    (True, False, True, False)
    """
    left, right = answer_keys([answer, known])
    if left == right:
        return True
    lists = [_list(plain(a)) for a in (answer, known)]
    return lists[0][1] == lists[1][1] != [] and "" in (lists[0][0], lists[1][0])


def plain(answer: str) -> str:
    r"""LaTeX and typography to plain text, as far as comparing needs it; "" for what is too long to be compared.

    >>> plain(r"$2\tfrac{1}{2} \times 10^{8}$")
    '5/2*10^(8)'
    """
    if len(answer) > _MAX_LENGTH:
        return ""
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", clean(answer) or answer)
    text = _SUPERSCRIPT.sub(lambda m: f"^{m[0]}" if len(m[0]) == 1 else f"^({m[0]})", text)
    text = unicodedata.normalize("NFKC", text).strip()
    text = re.sub(r"\d", lambda m: str(int(m[0])), text)
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}", r" \1 ", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "°", text)
    text = re.sub(r"\\[dt]?frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"(?<![\w.^)}])(\d+)\s*\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}", r"\1 \2/\3", text)
    for _ in range(4):
        text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)", text)
        text = re.sub(r"\^\s*\{([^{}]*)\}", r"^(\1)", text)
    text = re.sub(r"(?:\\sqrt|√)\s*(\d+|[a-zA-Z](?![a-zA-Z]))", r"sqrt(\1)", text)
    text = re.sub(r"\\(?:(?:left|right|displaystyle|quad)(?![a-zA-Z])|[!,;])", "", text)
    for old, new in _TYPOGRAPHY:
        text = text.replace(old, new)
    text = re.sub(r"(?<=[\d)])\s*\bx\b\s*(?=10\^)|\s*\*\s*", "*", text.strip(" $"))
    text = _MIXED.sub(lambda m: str(Fraction(int(m[1])) + Fraction(int(m[2]), int(m[3]))), text)
    while (inner := re.fullmatch(r"\(\s*\(([^()]*\)\s*/\s*\([^()]*)\)\s*\)", text)) is not None:
        text = f"({inner[1]})"
    return re.sub(r"\s+", " ", text).strip(" ;:").rstrip(" .;:")


_TYPOGRAPHY = (
    ("{,}", ","), ("٬", ","), ("٫", "."), ("،", ","), ("、", ","), ("\\cdot", "*"), ("\\times", "*"), ("\\div", "/"),
    ("×", "*"), ("·", "*"), ("÷", "/"), ("⁄", "/"), ("−", "-"), ("–", "-"), ("’", "'"), ("\\%", "%"), ("\\$", "$"),
    ("\\pi", " pi "), ("π", " pi "), ("\\{", "{"), ("\\}", "}"), ("\\infty", "infinity"), ("∞", "infinity"),
    ("\\leqslant", "≤"), ("\\leq", "≤"), ("\\le", "≤"), ("<=", "≤"), ("\\geqslant", "≥"), ("\\geq", "≥"), ("\\ge", "≥"),
    (">=", "≥"), ("√", "sqrt"), ("~", " "), ("\\", " "),
)  # fmt: skip


def _unnamed(text: str) -> str:
    """The answer without "x =" before it."""
    return _NAME.sub("", text, count=1) if _NAME.match(text) else text


def _words_key(text: str) -> str:
    text = re.sub(r"\s*([<>=≤≥+*/^]|(?<=\d):(?=\d)|(?<=\d)\s:\s(?=\d))\s*", lambda m: m[1].strip(), text.casefold())
    words = [re.sub(r"(?<=\w\w)!+$", "", w.strip(".,;:?\"'“”‘`…。")) for w in text.split()]
    kept = [w for w in words if w and w not in ("the", "a", "an")] or words
    if len(kept) == 1 and kept[0] in _WORDS:
        return f"n:{_WORDS.index(kept[0])}"
    return f"t:{' '.join(kept) or text}"


def _choice_key(text: str) -> str | None:
    match = re.fullmatch(
        r"\(([A-Ja-j])\)(?:\s+.*)?|([A-J]|[a-j](?=$|[).]))(?:[).:](?:\s+.*)?)?|(?:option|choice)\s+([A-Ja-j])\b.*", text
    )
    return f"c:{(match[1] or match[2] or match[3]).lower()}" if match else None


def _quantity(text: str) -> tuple[Fraction, str] | None:
    """A number and its unit ("" where there is none that is known), or `None` where the text is something else."""
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}/\d{4}", text):
        return None
    text = re.sub(r"^\(\(?(-?[\d.]+)\)?/\(?([\d.]+)\)?\)", r"\1/\2", text)
    match = _QUANTITY.fullmatch(text)
    if match is None or len(match[2]) > 60 or (match[4] and not Fraction(match[4])):
        return None
    value = Fraction(match[2].replace(",", "")) * Fraction(10) ** int(match[3] or 0) * _TIMES.get((match[5] or "").lower(), 1)
    value = value / Fraction(match[4] or 1) * (-1 if match[1] == "-" else 1)
    unit = (match[6] or "").strip().rstrip(".")
    if not unit:
        return value, ""
    known = unit in _SYMBOLS if len(unit) == 1 else unit.lower() in _UNITS
    attached = unit[0].isascii() and unit[0].isalpha() and text[match.start(6) - 1] != " "
    if attached and (not known or (len(unit) == 1 and unit not in _ATTACHED)):
        return None
    if not known and re.match(r"[a-z](?![a-z])(?!(?<=[mghs])(?:\^2)?(?:/|$))", unit):
        return None
    return value, unit if known else ""


def _quantity_key(text: str) -> str | None:
    quantity = _quantity(text)
    if quantity is None:
        return None
    base, factor = _UNITS.get(quantity[1].lower(), ("", Fraction(1)))
    return f"n:{quantity[0] * factor} {base}".strip()


def _list_key(text: str) -> str | None:
    """Lists in round or square brackets have an order; sets, and lists without brackets, have none."""
    brackets, keys = _list(text)
    if not keys:
        return None
    return f"l{brackets}:{','.join(keys)}" if brackets not in ("", "{}") else f"l:{','.join(sorted(keys))}"


def _list(text: str) -> tuple[str, list[str]]:
    """The brackets around a list ("" for none) and the keys of its parts in order; no keys where it is no list.

    >>> _list("(1, 2)"), _list("x = 3 or x = 1"), _list("y = 3, x = 1"), _list("1,200")
    (('()', ['n:1', 'n:2']), ('', ['n:3', 'n:1']), ('', ['y=n:3', 'x=n:1']), ('', []))
    """
    if _quantity(_unnamed(text)) is not None:
        return "", []
    brackets, parts = "", _parts(text)
    if len(parts) == 1 and (unnamed := _unnamed(text))[:1] + unnamed[-1:] in _BRACKETS:
        brackets, parts = unnamed[0] + unnamed[-1], _parts(unnamed[1:-1])
    if not 2 <= len(parts) <= 64:
        return "", []
    names = {m[1] if (m := _NAME.match(p)) else "" for p in parts}
    if len(names - {""}) < 2:
        return brackets, [answer_key(p) for p in parts]
    return brackets, [(f"{m[1]}=" if (m := _NAME.match(p)) else "") + answer_key(p) for p in parts]


def _parts(text: str) -> list[str]:
    """`text` cut at commas, semicolons, "and", "or" that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for token in re.finditer(r"[(\[{]|[)\]}]|[,;]|\b(?:and|or)\b", text):
        if token[0] in "([{":
            depth += 1
        elif token[0] in ")]}":
            depth -= 1
        elif not depth:
            parts.append(text[start : token.start()])
            start = token.end()
    return [p.strip() for p in (*parts, text[start:]) if p.strip()]


_OPERATORS: Mapping[type, Callable[[Number, Number], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sqrt": math.sqrt, "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "ln": math.log, "log": math.log,
    "abs": abs,
}  # fmt: skip
_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
_POINTS = (0.731, 1.377, 2.193)
_IMPLICIT_PRODUCT = re.compile(
    r"(?<=[\d)])\s*(?!e[-+]?\d)(?=[a-zA-Z(])|(?<=\))\s*(?=\d)|(?<=[a-zA-Z])\s+(?=[a-zA-Z])|(?<![a-zA-Z][a-zA-Z])(?<=[a-zA-Z])\s*(?=\()"
)
_NO_EXPRESSION = re.compile(r"[^a-zA-Z0-9\s.+*/()-]")


def evaluate(expression: str, variables: Mapping[str, Number] | None = None) -> Number:
    """The value of an arithmetic expression, exact where it can be. Raises `ValueError` for anything else.

    >>> evaluate("(1 + 2) * 3 / 4"), evaluate("2x + 1", {"x": Fraction(3)})
    (Fraction(9, 4), Fraction(7, 1))
    """
    text = expression.strip().replace("^", "**").replace("{", "(").replace("}", ")")
    text = _IMPLICIT_PRODUCT.sub("*", text)
    if not text or len(text) > _MAX_LENGTH or _NO_EXPRESSION.search(text):
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
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
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
    if small and isinstance(base, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(int(exponent)) <= 4096:
            return base ** int(exponent)
    value: float | complex = float(base) ** float(exponent)
    if isinstance(value, complex):
        raise ValueError("not real")
    return value


def _expression_key(text: str) -> str | None:
    if not re.search(r"\d|[-+*/^()=]|\b[a-z]\b", text) or len(text) > 200 or "=" in text:
        return None
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}/\d{4}", text):
        return None
    names = sorted(set(re.findall(r"(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z])", text)) - set(_CONSTANTS))
    try:
        if not names:
            return f"n:{_rounded(evaluate(text))}"
        spread = [{name: Fraction(str(round(point * (1 + i / 7), 6))) for i, name in enumerate(names)} for point in _POINTS]
        values = [_rounded(float(evaluate(text, point))) for point in spread]
    except (ValueError, OverflowError):
        return None
    return f"e:{''.join(names)}:" + ",".join(f"{float(v):.9g}" for v in values)


def _rounded(value: Number) -> Fraction:
    """Exact numbers as they are, others to nine digits, so that sqrt(0.25) is 1/2 and sin(pi) is 0."""
    if isinstance(value, Fraction):
        return value
    return Fraction(0) if abs(value) < 1e-12 else Fraction(f"{value:.9g}")
