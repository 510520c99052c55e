"""Numbers with units: is "45 km/h" the same as "12.5 m/s"?

Place: the verifier `quantity` of science tasks, and `read_number` for every reader of a plain number. A unit is a factor and
the powers of seven base dimensions, so compatible units convert by arithmetic, and a wrong dimension is wrong. Factors:
CODATA 2018, SI brochure.

Not judged: sums of units ("1 h 30 min") and uncertainties; a reference without a unit is a pure number, so a unit with a
dimension is then wrong. Temperatures convert with their offset only where `meta["unit"]` asks for a temperature; elsewhere
they must agree in scale.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from sixfold.core import Problem, Verdict
from sixfold.verify.extract import read_answer, split_thinking
from sixfold.verify.plain import plain

Dimensions: TypeAlias = tuple[int, ...]
"""Powers of metre, kilogram, second, ampere, kelvin, mole, candela."""

_NUMBER = re.compile(r"([-+−]?)((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE]([-+]?\d{1,3}))?(?:\s?/\s?(\d{1,30}))?")


def read_number(text: str) -> Fraction | None:
    """The value of a plain number: decimal, thousands with commas, 1e5, a fraction.

    >>> read_number("-1,200.5"), read_number("3/4"), read_number("12 apples"), read_number("1,2")
    (Fraction(-2401, 2), Fraction(3, 4), None, None)
    """
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= 80 else None
    if match is None or (match[4] and not int(match[4])):
        return None
    value = Fraction(match[2].replace(",", "")) * Fraction(10) ** int(match[3] or 0) / int(match[4] or 1)
    return -value if match[1] in ("-", "−") else value


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` times the base units of `dimensions`; `zero` is the kelvin temperature of its zero, for scales of
    temperature."""

    factor: float
    dimensions: Dimensions
    zero: float | None = None


_BASE = "m kg s A K mol cd".split()
_DIMENSIONLESS: Dimensions = (0,) * 7
_SYMBOLS = {
    # with SI prefixes
    "m": "1 m", "g": "1e-3 kg", "s": "1 s", "A": "1 A", "K": "1 K", "mol": "1 mol", "cd": "1 cd", "rad": "1",
    "N": "1 kg m s-2", "J": "1 kg m2 s-2", "W": "1 kg m2 s-3", "Pa": "1 kg m-1 s-2", "Hz": "1 s-1", "C": "1 A s",
    "V": "1 kg m2 s-3 A-1", "Ω": "1 kg m2 s-3 A-2", "S": "1 kg-1 m-2 s3 A2", "F": "1 kg-1 m-2 s4 A2", "Wb": "1 kg m2 s-2 A-1",
    "T": "1 kg s-2 A-1", "H": "1 kg m2 s-2 A-2", "Bq": "1 s-1", "Gy": "1 m2 s-2", "Sv": "1 m2 s-2", "lm": "1 cd",
    "L": "1e-3 m3",
    "l": "1e-3 m3", "eV": "1.602176634e-19 kg m2 s-2", "cal": "4.184 kg m2 s-2", "bar": "1e5 kg m-1 s-2", "M": "1e3 mol m-3",
    "Wh": "3600 kg m2 s-2", "Ah": "3600 A s", "pc": "3.0856775814913673e16 m", "t": "1e3 kg", "Da": "1.66053906660e-27 kg",
}  # fmt: skip
_OTHERS = {
    # without prefixes
    "min": "60 s", "h": "3600 s", "hr": "3600 s", "hrs": "3600 s", "d": "86400 s", "sec": "1 s", "secs": "1 s",
    "mins": "60 s",
    "yr": "31557600 s", "yrs": "31557600 s", "ft": "0.3048 m", "in": "0.0254 m", "yd": "0.9144 m", "mi": "1609.344 m",
    "Å": "1e-10 m", "AU": "1.495978707e11 m", "ly": "9.4607304725808e15 m", "lb": "0.45359237 kg", "lbs": "0.45359237 kg",
    "oz": "0.028349523125 kg", "lbf": "4.4482216152605 kg m s-2", "u": "1.66053906660e-27 kg", "amu": "1.66053906660e-27 kg",
    "atm": "101325 kg m-1 s-2", "torr": "133.32236842105263 kg m-1 s-2", "Torr": "133.32236842105263 kg m-1 s-2",
    "mmHg": "133.322387415 kg m-1 s-2", "psi": "6894.757293168 kg m-1 s-2", "hp": "745.69987158227 kg m2 s-3",
    "mph": "0.44704 m s-1", "kmh": "0.2777777777777778 m s-1", "kph": "0.2777777777777778 m s-1", "mps": "1 m s-1",
    "rpm": "0.016666666666666666 s-1", "cc": "1e-6 m3", "gal": "3.785411784e-3 m3", "deg": "0.017453292519943295",
    "°": "0.017453292519943295", "%": "0.01", "ppm": "1e-6", "rev": "6.283185307179586", "ha": "1e4 m2",
    "dyn": "1e-5 kg m s-2",
    "erg": "1e-7 kg m2 s-2", "Cal": "4184 kg m2 s-2", "°C": "1 K", "°F": "0.5555555555555556 K",
}  # fmt: skip
_WORDS = {
    "meter": "m", "metre": "m", "gram": "g", "gramme": "g", "second": "s", "ampere": "A", "amp": "A", "kelvin": "K",
    "mole": "mol",
    "candela": "cd", "radian": "rad", "newton": "N", "joule": "J", "watt": "W", "pascal": "Pa", "hertz": "Hz", "coulomb": "C",
    "volt": "V", "ohm": "Ω", "omega": "Ω", "siemens": "S", "farad": "F", "weber": "Wb", "tesla": "T", "henry": "H",
    "becquerel": "Bq",
    "gray": "Gy", "sievert": "Sv", "lumen": "lm", "liter": "L", "litre": "L", "electronvolt": "eV", "calorie": "cal",
    "molar": "M",
    "parsec": "pc", "tonne": "t", "dalton": "Da", "minute": "min", "hour": "h", "day": "d", "year": "yr", "foot": "ft",
    "feet": "ft",
    "inch": "in", "inche": "in", "yard": "yd", "mile": "mi", "angstrom": "Å", "lightyear": "ly", "pound": "lb", "ounce": "oz",
    "atmosphere": "atm", "horsepower": "hp", "gallon": "gal", "degree": "°", "percent": "%", "revolution": "rev",
    "hectare": "ha",
    "dyne": "dyn", "celsius": "°C", "fahrenheit": "°F", "degc": "°C", "degf": "°F", "kg": "kg", "km": "km", "hz": "Hz",
    "khz": "kHz",
    "kj": "kJ", "kw": "kW", "kwh": "kWh", "kpa": "kPa", "cm": "cm", "mm": "mm", "ml": "mL",
}  # fmt: skip
_PREFIXES = {
    "Y": 1e24, "Z": 1e21, "E": 1e18, "P": 1e15, "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "h": 1e2, "da": 1e1, "d": 1e-1,
    "c": 1e-2,
    "m": 1e-3, "μ": 1e-6, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18,
}  # fmt: skip
_PREFIX_WORDS = {
    "tera": "T", "giga": "G", "mega": "M", "kilo": "k", "hecto": "h", "deca": "da", "deci": "d", "centi": "c", "milli": "m",
    "micro": "μ",
    "nano": "n", "pico": "p", "femto": "f",
}  # fmt: skip
_ZEROS = {"°C": 273.15, "°F": 459.67 * 5 / 9, "K": 0.0}
_POWERS = re.compile(r"(?i)\b(square|sq\.?|cubic|cu\.?)\s+([a-z]+)|([a-zμΩ]+)\s+(squared|cubed)\b")
_TOKEN = re.compile(r"\s*(?:([a-zA-ZμΩÅ°%]+)|(\^|\*\*)?\s?\(?([-+]?\d{1,2})\)?(?![\d.])|([*/·⋅().]))")
_SPELLINGS = (
    (r"(?i)\bdegrees?\s+(celsius|fahrenheit)\b", r"\1"), (r"(?i)\b(?:deg|°)\s*([CF])\b", r"°\1"),
    (r"(?i)\blight[\s-]years?\b", "ly"),
    (r"(?i)\belectron[\s-]volts?\b", "eV"), (r"(?i)\bper\b", "/"), (r"\b[mM]u\s+(?=[a-zA-Z])", "μ"), (r"µ", "μ"),
    (r"\u2126", "Ω"),
    (r"μ\s+(?=[a-zA-ZΩ])", "μ"), (r"\bmm\s*Hg\b", "mmHg"), (r"°\s+(?=[CFK]\b)", "°"), (r"°K\b", "K"),
)  # fmt: skip


def _defined(text: str) -> Unit:
    factor, *powers = text.split()
    dimensions = [0] * 7
    for power in powers:
        match = re.fullmatch(r"([a-zA-Z]+)(-?\d+)?", power)
        if match:
            dimensions[_BASE.index(match[1])] = int(match[2] or 1)
    return Unit(float(factor), tuple(dimensions))


_PREFIXED: Mapping[str, Unit] = {name: _defined(text) for name, text in _SYMBOLS.items()}
_PLAIN: Mapping[str, Unit] = {name: _defined(text) for name, text in _OTHERS.items()}


def _named(name: str) -> Unit | None:
    """One unit by symbol or word, with its prefix."""
    if unit := _PLAIN.get(name) or _PREFIXED.get(name):
        return Unit(unit.factor, unit.dimensions, _ZEROS.get(name))
    for size in (2, 1):
        if (prefix := _PREFIXES.get(name[:size])) and (unit := _PREFIXED.get(name[size:])):
            return Unit(prefix * unit.factor, unit.dimensions)
    word = name.casefold()
    for spelled in (word, word.removesuffix("s")):
        if (symbol := _WORDS.get(spelled)) and symbol != name:
            return _named(symbol)
        for prefix_word, prefix_symbol in _PREFIX_WORDS.items():
            if spelled.startswith(prefix_word) and (symbol := _WORDS.get(spelled[len(prefix_word) :])) in _PREFIXED:
                return _named(prefix_symbol + str(symbol))
    return None


def read_unit(text: str, *, loose: bool = False) -> Unit | None:
    """A unit, simple or compound. `loose` reads everything after the first "/" as divided by, as many write J/mol·K.

    >>> read_unit("km/h").factor, read_unit("kg*m/s^2") == read_unit("N"), read_unit("m s^-2").dimensions[:3], read_unit("or 6")
    (0.2777777777777778, True, (1, 0, -2), None)
    """
    for pattern, replacement in _SPELLINGS:
        text = re.sub(pattern, replacement, text)
    text = _POWERS.sub(lambda m: f"{m[2] or m[3]}^{2 if (m[1] or m[4]).lower().startswith('sq') else 3}", text).strip(" *·")
    if not text or len(text) > 80 or text.count("(") != text.count(")"):
        return None
    if (unit := _named(text)) is not None:
        return unit
    return _compound(text, loose)


def _compound(text: str, loose: bool) -> Unit | None:
    factor, dimensions, at = 1.0, [0] * 7, 0
    sign, signs, below = 1, [1], False  # sign of the next unit; of each open bracket; whether loose reading is below the line
    last: Unit | None = None
    last_sign, open_end = 1, True
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        name, power, mark = token[1], token[3], token[4]
        if name:
            unit = _named(name)
            if unit is None:
                return None
            last, last_sign = unit, sign * signs[-1]
            factor *= unit.factor**last_sign
            dimensions = [d + u * last_sign for d, u in zip(dimensions, unit.dimensions, strict=True)]
            sign, open_end = -1 if below and loose else 1, False
        elif power is not None:
            if name == "" or (last is None and not (power == "1" and at < len(text))):
                return None
            if last is not None:  # the unit stands once already
                more = (int(power) - 1) * last_sign
                if abs(int(power)) > 12:
                    return None
                factor *= last.factor**more
                dimensions = [d + u * more for d, u in zip(dimensions, last.dimensions, strict=True)]
            last = None
        else:
            if mark == "/":
                sign, below = -1, True
            elif mark == "(":
                signs.append(signs[-1] * sign)
                sign = 1
            elif mark == ")":
                if len(signs) == 1:
                    return None
                signs.pop()
                sign = 1
            last, open_end = None, mark != ")"
    if not math.isfinite(factor) or factor <= 0 or open_end or len(signs) > 1:
        return None
    return Unit(factor, tuple(dimensions))


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and the unit as it was written ("" where there is none)."""

    value: float
    unit: str


_WRITTEN = re.compile(
    r"(?i)(?:[≈~]|about|approximately|approx\.?|roughly)?\s*([-+−]?)\s*"
    r"(?:((?:\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.\d{0,40})?|\.\d{1,40})(?:\s?e([-+]?\d{1,3})(?![\d.])|\s?\*\s?10\s?(?:\^|\*\*)\s?\(?\s?([-+−]?\d{1,3})\s?\)?)?"
    r"(?:\s?/\s?(\d{1,40})(?![\d.]))?|10\s?(?:\^|\*\*)\s?\(?([-+−]?\d{1,3})\)?)(?![\d.,]*\d)\s*(.*)"
)
_ASIDE = re.compile(
    r"(?i)\s*\(?(?:approximately|approx\.?|downwards?|upwards?|to the (?:left|right)|(?:due )?(?:north|south|east|west))\)?$"
)

_SUBSTANCE = re.compile(
    r"\s+(?:of\s+(?:the\s+)?[A-Za-z]\w*(?:\s(?!or\b|and\b|to\b)[A-Za-z]\w*)?|(?:[A-Z][a-z]?\d{0,2}|[()]){1,12})$"
)
_CALCULATED = re.compile(r"[*/+]\s?\(?\d|(?:^|\s)-\s?\d")
_NO_UNITS = frozenset("a as at d in u".split())
"""Words of a sentence that would be read as units."""


def read_quantity(text: str) -> Quantity | None:
    r"""The one quantity that `text` is; `None` where it is anything else or more.

    >>> read_quantity(r"$1.2 \times 10^{3}\ \text{m/s}$"), read_quantity("5 or 6 m")
    (Quantity(value=1200.0, unit='m/s'), Quantity(value=5.0, unit='or 6 m'))
    """
    if len(text) > 400:
        return None
    text = re.sub(r"\^\s?\{([^{}]*)\}", r"^(\1)", re.sub(r"\\[,;:! ]|\$", " ", text))
    text = re.sub(r"\(\(?(-?[\d.]+)\)?/\(?([\d.]+)\)?\)", r"\1/\2", plain(text))
    match = _WRITTEN.fullmatch(_ASIDE.sub("", text).strip())
    if match is None:
        return None
    power = match[6] if match[6] is not None else match[3] or match[4] or "0"
    value = Fraction((match[2] or "1").replace(",", "")) * Fraction(10) ** int(power.replace("−", "-"))
    if match[5]:
        if not int(match[5]):
            return None
        value /= int(match[5])
    try:
        number = float(-value if match[1] in ("-", "−") else value)
    except OverflowError:
        return None
    return Quantity(number, match[7].strip(" ."))


def judge_quantity(problem: Problem, text: str) -> Verdict:
    """`meta`: `unit` (optional), `tolerance` (relative, 0.01), `unit_required` (false). 1 or 0.

    >>> problem = Problem("p", "How fast?", answer="12.5 m/s")
    >>> [judge_quantity(problem, f"Answer: {a}").score for a in ("45 km/h", "12.5", "12.5 m", "12.5 or 13 m/s")]
    [1.0, 1.0, 0.0, 0.0]
    """
    known = read_quantity(problem.answer) if problem.answer else None
    unit = problem.meta.get("unit")
    tolerance = problem.meta.get("tolerance", 0.01)
    if known is None or not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf:
        return Verdict(None, "the problem has no number to compare with, or no tolerance that is one")
    if unit and known.unit and not (_same_unit(str(unit), known.unit)):
        known = _converted(known, str(unit), offsets=True)
        if known is None:
            return Verdict(None, "the reference cannot be converted to the unit that is asked")
    wanted = Quantity(known.value, str(unit or known.unit))
    if wanted.unit and read_unit(wanted.unit) is None and not re.fullmatch(r"[^\W\d_]+(?: [^\W\d_]+)?", wanted.unit):
        return Verdict(None, f"the unit {wanted.unit[:40]!r} is not known")
    found = read_answer(text, accept=_reads)
    if found.answer is None:
        return Verdict(0.0, "no answer")
    answer = _in_its_sentence(found.answer, text) if found.form == "flexible" else found.answer
    wrong = _wrong(answer, wanted, float(tolerance), problem)
    return Verdict(0.0 if wrong else 1.0, wrong or f"{answer[:60]} is {problem.answer}", answer, found.form)


def _in_its_sentence(answer: str, text: str) -> str:
    """A bare number that was found in a sentence, with the unit that follows it there."""
    visible = split_thinking(text).text[-20_000:]
    at = visible.rfind(answer)
    if at < 0 or not re.fullmatch(r"\$?[-−+]?[\d.,]+", answer):
        return answer
    words = plain(re.split(r"\n|\.(?:\s|$)", visible[at + len(answer) :][:80], maxsplit=1)[0]).split()
    for count in range(min(4, len(words)), 0, -1):
        unit = " ".join(words[:count]).strip(" .,;*$()")
        if unit not in _NO_UNITS and read_unit(unit) is not None:
            return f"{answer} {unit}"
    return answer


def _sides(answer: str) -> list[str]:
    """The sides of "v = 5 m/s", and what stands in brackets after it as in "5 m/s (18 km/h)", which comes first."""
    if len(answer) > 400:
        return [""]
    again = re.fullmatch(r"(.*[^\W\d_].*?)\s*\((?:or|i\.e\.,?|about|[=≈])?\s*([-−]?\d[^()]*)\)", answer.strip())
    said, before = (again[1], [again[2]]) if again else (answer.strip(), [])
    return before + re.split(r"[=≈]|\\approx\b", said.lstrip("≈").removeprefix("\\approx"))[-8:]


def _reads(answer: str) -> bool:
    return read_quantity(_sides(answer)[-1]) is not None


def _wrong(answer: str, wanted: Quantity, tolerance: float, problem: Problem) -> str:
    """What is wrong with an answer; "" where nothing is. In a chain of equals every quantity has to be right."""
    parts = _sides(answer)
    read = [read_quantity(p) for p in parts]
    if read[-1] is None:
        return f"{answer[:40]!r} is not one number with a unit"
    for quantity in read:
        if quantity is None or (quantity is not read[-1] and _CALCULATED.search(quantity.unit)):
            continue
        if not quantity.unit and wanted.unit and problem.meta.get("unit_required"):
            return "the unit is missing"
        held = quantity if not quantity.unit or _same_unit(quantity.unit, wanted.unit) else None
        if held is None:
            held = _converted(quantity, wanted.unit, offsets=bool(problem.meta.get("unit")))
        if held is None:
            return f"{quantity.unit[:40]!r} is not a unit of {wanted.unit or 'a pure number'}"
        if not abs(held.value - wanted.value) <= (tolerance + 1e-9) * abs(wanted.value):
            return f"{answer[:40]} is not {problem.answer} within {100 * tolerance:g} %"
    return ""


def _same_unit(one: str, two: str) -> bool:
    """The same words, plural or not: units that nothing is known of, such as apples, can be compared no other way."""
    return one == two or (len(one) > 3 and one.casefold().removesuffix("s") == two.casefold().removesuffix("s"))


def _converted(quantity: Quantity, unit: str, *, offsets: bool) -> Quantity | None:
    """The quantity in another unit; `None` where the dimensions differ. `offsets`: temperatures as points of their scales."""
    to = read_unit(unit) if unit else Unit(1.0, _DIMENSIONLESS)
    if to is None:
        return None
    written = quantity.unit
    if to.zero is not None and written in ("C", "F"):
        written = f"°{written}"
    if read_unit(written) is None:
        written = _SUBSTANCE.sub("", written)
    for loose in (False, True):
        given = read_unit(written, loose=loose)
        if given is None or given.dimensions != to.dimensions:
            continue
        if given.zero is not None and to.zero is not None and given.zero != to.zero:
            if not offsets:
                return None
            return Quantity((quantity.value * given.factor + given.zero - to.zero) / to.factor, unit)
        return Quantity(quantity.value * given.factor / to.factor, unit)
    return None
