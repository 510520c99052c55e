r"""Reading LaTeX and plain mathematics as a tree, and its value at given points.

Place: `answers.py` asks it for what its own arithmetic cannot read (binomials, roots, logarithms, complex numbers), the worker
turns the same tree into sympy (`math_symbolic.py`). A tree is nested tuples `(operation, operand, ...)`. Nothing of the text is
ever evaluated by Python; every step is bounded (`_MOST_BITS`), so `9**9**9` is an error and no computation. Angles in degrees
count as such inside trigonometric functions only; `log` is natural; `i` is the imaginary unit.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

Value = Fraction | float | complex
Tree = tuple[object, ...]

_TOKEN = re.compile(
    r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|\\?(" + "|".join(
        "arcsinh arccosh arctanh arcsin arccos arctan asin acos atan sinh cosh tanh sin cos tan cot sec csc ln log lg exp sqrt "
        "dfrac tfrac frac dbinom tbinom binom choose lfloor rfloor lceil rceil lvert rvert cdot times infinity pi".split()
    ) + r")(?![a-z])|\\?([a-zA-Z]+)|(\*\*|[-+*/^_!(){}\[\]|°⌊⌋⌈⌉√]))"
)  # fmt: skip
_SIGNS = {
    "lfloor": "⌊",
    "rfloor": "⌋",
    "lceil": "⌈",
    "rceil": "⌉",
    "lvert": "|",
    "rvert": "|",
    "cdot": "*",
    "times": "*",
    "**": "^",
    "√": "sqrt",
}
_CLOSING = {"(": ")", "[": "]", "{": "}", "⌊": "⌋", "⌈": "⌉", "|": "|"}
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh asin acos atan ln log lg exp".split()
)
_TRIGONOMETRIC = frozenset("sin cos tan cot sec csc".split())
_NO_PRODUCT = frozenset(
    "a an and are as at be by do for has he if in is it its me mod my no not of off on or per so the to up us was we all any "
    "odd one two six ten".split()
)
"""Short words that are no product of letters. One letter is a variable in any case ("a")."""
_GREEK = frozenset("alpha beta gamma delta epsilon theta lambda mu nu rho sigma tau phi psi omega".split())
_MOST_BITS = 40_000
_DEEPEST = 60


def read_tree(text: str) -> Tree:
    r"""The tree of an expression; `ValueError` where it is none.

    >>> read_tree(r"\frac{n}{2}+1")
    ('+', ('/', ('name', 'n'), ('number', Fraction(2, 1))), ('number', Fraction(1, 1)))
    """
    reader = _Reader(_tokens(text))
    tree = reader.sum(0)
    if reader.at < len(reader.tokens):
        raise ValueError("no expression")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kinds are `number`, `name`, `word` (a function or command) and `sign`."""
    tokens: list[tuple[str, str]] = []
    text, at = text.strip(), 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError("no expression")
        number, word, letters, sign = match.groups()
        if number:
            if tokens and tokens[-1][0] in ("number", "name") and text[match.start(1) - 1] != " " and tokens[-1][1] != "pi":
                raise ValueError("a number right after a name")
            tokens.append(("number", number))
        elif letters and letters not in _GREEK:
            if len(letters) > 3 or (len(letters) > 1 and letters.lower() in _NO_PRODUCT):
                raise ValueError(f"the word {letters}")
            tokens += [("name", letter) for letter in letters]
        elif letters:
            tokens.append(("name", letters))
        else:
            name = _SIGNS.get(word or sign, word or sign)
            tokens.append(("name", "pi") if name == "pi" else ("word" if name.isalpha() else "sign", name))
        at = match.end()
    if not tokens or len(tokens) > 400:
        raise ValueError("no expression")
    return tokens


class _Reader:
    """Recursive descent; `depth` bounds the recursion."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.bars = 0
        self.degrees = False

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, sign: str) -> bool:
        if self.peek()[1] == sign and self.peek()[0] in ("sign", "word"):
            self.at += 1
            return True
        return False

    def sum(self, depth: int) -> Tree:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        tree = self.product(depth)
        while self.peek() in (("sign", "+"), ("sign", "-")):
            sign = self.peek()[1]
            self.at += 1
            tree = (sign, tree, self.product(depth))
        return tree

    def product(self, depth: int, *, argument: bool = False) -> Tree:
        """Of a function's `argument` without brackets only what stands directly together ("sin 2x cos x" is a product)."""
        tree = self.signed(depth)
        while True:
            kind, name = self.peek()
            if name in ("*", "/") and kind == "sign" and not argument:
                self.at += 1
                tree = (name, tree, self.signed(depth))
            elif kind == "word" and name == "choose" and not argument:
                self.at += 1
                tree = ("binom", tree, self.signed(depth))
            elif (
                kind in ("name", "number")
                or (kind == "sign" and name in "({[⌊⌈|" and not (name == "|" and self.bars))
                or (kind == "word" and (not argument or name not in _FUNCTIONS))
            ):
                if kind == "number" and self.tokens[self.at - 1][0] == "number":
                    raise ValueError("two numbers side by side")
                tree = ("*", tree, self.power(depth))
            else:
                return tree

    def signed(self, depth: int) -> Tree:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        if self.take("-"):
            return ("neg", self.signed(depth + 1))
        if self.take("+"):
            return self.signed(depth + 1)
        return self.power(depth)

    def power(self, depth: int) -> Tree:
        tree = self.atom(depth + 1)
        while True:
            if self.take("!"):
                if tree[0] == "!":
                    raise ValueError("a double factorial")
                tree = ("!", tree)
            elif self.take("°"):
                tree = ("*", tree, ("/", ("name", "pi"), ("number", Fraction(180)))) if self.degrees else tree
            elif self.take("^"):
                return ("^", tree, self.signed(depth + 1))
            else:
                return tree

    def atom(self, depth: int) -> Tree:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        kind, name = self.peek()
        self.at += 1
        if kind == "number":
            return ("number", Fraction(name))
        if kind == "name":
            if self.peek() == ("sign", "_"):
                self.at += 1
                name += "_" + self.subscript()
            return ("name", name)
        if kind == "sign" and name in _CLOSING:
            return self.bracketed(name, depth)
        if name in ("frac", "dfrac", "tfrac"):
            return ("/", self.group(depth), self.group(depth))
        if name in ("binom", "dbinom", "tbinom"):
            return ("binom", self.group(depth), self.group(depth))
        if name == "sqrt":
            degree = self.bracketed("[", depth) if self.take("[") else None
            inner = self.group(depth)
            return ("sqrt", inner) if degree is None else ("root", inner, degree)
        if name in _FUNCTIONS:
            return self.function(name, depth)
        raise ValueError("no expression")

    def bracketed(self, opening: str, depth: int) -> Tree:
        outer, self.bars = self.bars, int(opening == "|")
        tree = self.sum(depth + 1)
        self.bars = outer
        if not self.take(_CLOSING[opening]):
            raise ValueError("an open bracket")
        return ({"⌊": "floor", "⌈": "ceil", "|": "abs"}[opening], tree) if opening in "⌊⌈|" else tree

    def group(self, depth: int) -> Tree:
        return self.atom(depth + 1)

    def subscript(self) -> str:
        if not self.take("{") and not self.take("("):
            self.at += 1
            return self.tokens[self.at - 1][1] if self.at <= len(self.tokens) else ""
        begun = self.at
        while self.peek()[1] not in ("}", ")", ""):
            self.at += 1
        self.at += 1
        return "".join(name for _, name in self.tokens[begun : self.at - 1])

    def function(self, name: str, depth: int) -> Tree:
        base = exponent = None
        if name == "log" and self.peek() == ("sign", "_"):
            self.at += 1
            base = self.group(depth)
        if self.take("^"):
            exponent = self.signed(depth + 1)
        outer, self.degrees = self.degrees, name in _TRIGONOMETRIC or self.degrees
        inner = self.group(depth) if self.peek()[1] in ("(", "{") else self.product(depth + 1, argument=True)
        self.degrees = outer
        if exponent in (("neg", ("number", Fraction(1))), ("number", Fraction(-1))) and name in ("sin", "cos", "tan"):
            return (f"arc{name}", inner)
        tree: Tree = (f"arc{name[1:]}", inner) if name in ("asin", "acos", "atan") else ("ln" if name == "log" else name, inner)
        if base is not None:
            tree = ("/", tree, ("ln", base))
        return tree if exponent is None else ("^", tree, exponent)


def names_in(tree: Tree) -> set[str]:
    """The variables of a tree.

    >>> sorted(names_in(read_tree("2ab + e^{i\\\\pi}")))
    ['a', 'b']
    """
    if tree[0] == "name":
        return set() if tree[1] in ("pi", "e", "i") else {str(tree[1])}
    return set().union(*(names_in(t) for t in tree[1:] if isinstance(t, tuple)))


def operations_in(tree: Tree) -> set[str]:
    return {str(tree[0])}.union(*(operations_in(t) for t in tree[1:] if isinstance(t, tuple)))


def value_of(tree: Tree, variables: Mapping[str, Value] | None = None) -> Value:
    r"""The value of a tree, exact where it is rational. `ValueError` where it has none, or one too large.

    >>> value_of(read_tree(r"\binom{5}{2} + \sqrt[3]{8}")), value_of(read_tree("(1+i)(1-i)"))
    (Fraction(12, 1), Fraction(2, 1))
    """
    try:
        return _real(_value(tree, variables or {}))
    except (ArithmeticError, TypeError) as error:
        raise ValueError(f"no value: {error}") from error


def _real(value: Value) -> Value:
    if isinstance(value, complex):
        if not cmath.isfinite(value):
            raise ValueError("not finite")
        if abs(value.imag) <= 1e-12 * max(1.0, abs(value.real)):
            real = value.real
            return Fraction(int(real)) if real.is_integer() and abs(real) < 2**50 else real
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _value(tree: Tree, variables: Mapping[str, Value]) -> Value:
    operation = str(tree[0])
    if operation == "number":
        assert isinstance(tree[1], Fraction)
        return tree[1]
    if operation == "name":
        name = str(tree[1])
        return variables[name] if name in variables else _CONSTANTS[name]
    operands = [_value(t, variables) for t in tree[1:] if isinstance(t, tuple)]
    value = _OPERATIONS[operation](*operands)
    if isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise ValueError("too large")
    return value


def _both(
    exact: Callable[[Fraction, Fraction], Fraction], other: Callable[[complex, complex], complex]
) -> Callable[..., Value]:
    def apply(left: Value, right: Value) -> Value:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return exact(left, right)
        return _real(other(_number(left), _number(right)))

    return apply


def _number(value: Value) -> complex:
    return value if isinstance(value, complex) else complex(float(value))


def _power(base: Value, exponent: Value) -> Value:
    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and whole:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if base in (0, 1) and exponent > 0:
            return base
        if bits * abs(exponent) <= _MOST_BITS:
            return Fraction(base ** int(exponent))
        raise ValueError("too large")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and base > 0 and exponent.denominator <= 1024:
        if abs(exponent.numerator) <= 64:
            return _root(base**exponent.numerator, Fraction(exponent.denominator))
        return math.pow(float(base), float(exponent))
    return _real(_number(base) ** _number(exponent))


def _root(inner: Value, degree: Value) -> Value:
    """Real for odd degrees of negative numbers, as `\\sqrt[3]{-8}` is meant; exact where it is rational."""
    if not isinstance(degree, Fraction) or degree.denominator != 1 or not 1 <= degree <= 4096:
        raise ValueError("no degree of a root")
    whole = int(degree)
    if isinstance(inner, Fraction):
        negative = inner < 0
        if not negative or whole % 2:
            parts = [_whole_root(abs(n), whole) for n in (inner.numerator, inner.denominator)]
            if parts[0] is not None and parts[1]:
                return Fraction(parts[0], parts[1]) * (-1 if negative else 1)
            return math.pow(float(abs(inner)), 1 / whole) * (-1 if negative else 1)
    return _real(_number(inner) ** (1 / whole))


def _whole_root(number: int, degree: int) -> int | None:
    if number.bit_length() > 4096:
        return None
    guess = math.isqrt(number) if degree == 2 else round(float(number) ** (1 / degree)) if number.bit_length() < 1000 else 0
    return guess if guess ** min(degree, 1024) == number and degree <= 1024 else None


def _factorial(value: Value) -> Value:
    if isinstance(value, Fraction) and value.denominator == 1:
        if not 0 <= value <= 3000:
            raise ValueError("no factorial")
        return Fraction(math.factorial(int(value)))
    if isinstance(value, complex):
        raise ValueError("no factorial")
    return math.gamma(float(value) + 1)


def _binomial(above: Value, below: Value) -> Value:
    if isinstance(below, Fraction) and below.denominator == 1 and 0 <= below <= 2500 and not isinstance(above, complex):
        if isinstance(above, Fraction) and above.denominator == 1 and 0 <= above <= 5000:
            return Fraction(math.comb(int(above), int(below)))
        if below <= 64:
            product: Value = Fraction(1)
            for k in range(int(below)):
                product = _OPERATIONS["*"](product, _OPERATIONS["/"](_OPERATIONS["-"](above, Fraction(k)), Fraction(k + 1)))
            return product
    if (
        isinstance(above, Fraction)
        and isinstance(below, Fraction)
        and above.denominator == below.denominator == 1
        and 0 <= above <= 5000
    ):
        return Fraction(math.comb(int(above), int(below))) if below >= 0 else Fraction(0)
    if isinstance(above, complex) or isinstance(below, complex):
        raise ValueError("no binomial")
    gammas = [math.gamma(float(v) + 1) for v in (float(above), float(below), float(above) - float(below))]
    return float(gammas[0] / (gammas[1] * gammas[2]))


def _function(of_complex: Callable[[complex], complex]) -> Callable[..., Value]:
    return lambda value: _real(of_complex(_number(value)))


def _step(rounded: Callable[[Fraction | float], int]) -> Callable[..., Value]:
    def apply(value: Value) -> Value:
        if isinstance(value, complex):
            raise ValueError("not real")
        near = value if isinstance(value, Fraction) else round(value, 9)
        return Fraction(rounded(near))

    return apply


_CONSTANTS: Mapping[str, Value] = {"pi": math.pi, "e": math.e, "i": 1j}
_OPERATIONS: Mapping[str, Callable[..., Value]] = {
    "+": _both(lambda a, b: a + b, lambda a, b: a + b),
    "-": _both(lambda a, b: a - b, lambda a, b: a - b),
    "*": _both(lambda a, b: a * b, lambda a, b: a * b),
    "/": _both(lambda a, b: a / b, lambda a, b: a / b),
    "neg": lambda a: -a,
    "^": _power,
    "sqrt": lambda a: _root(a, Fraction(2)),
    "root": _root,
    "!": _factorial,
    "binom": _binomial,
    "abs": abs,
    "floor": _step(math.floor),
    "ceil": _step(math.ceil),
    "sin": _function(cmath.sin), "cos": _function(cmath.cos), "tan": _function(cmath.tan),
    "cot": _function(lambda z: 1 / cmath.tan(z)), "sec": _function(lambda z: 1 / cmath.cos(z)),
    "csc": _function(lambda z: 1 / cmath.sin(z)),
    "sinh": _function(cmath.sinh), "cosh": _function(cmath.cosh), "tanh": _function(cmath.tanh),
    "arcsin": _function(cmath.asin), "arccos": _function(cmath.acos), "arctan": _function(cmath.atan),
    "arcsinh": _function(cmath.asinh), "arccosh": _function(cmath.acosh), "arctanh": _function(cmath.atanh),
    "ln": _function(cmath.log), "lg": _function(cmath.log10), "exp": _function(cmath.exp),
}  # fmt: skip
