"""When two answers mean the same, and that asking never fails and never takes long."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.answers import answer_key, answer_keys, same_answer
from sixfold.verify.arithmetic import makes_target
from sixfold.verify.evaluate import evaluate

DATA = Path(os.environ.get("SIXFOLD_DATA") or Path(__file__).parents[3] / "shared" / "data")

SAME = r"""
12 | 12.0 | 12. | +12 | 012 | 12 apples | $12 | 12 dollars | １２ | ١٢ | x = 12 | \boxed{12} | **12** | `12` | (12) | 12 個
1,200.50 | $1,200.50 | 1200.5 | 2401/2 | 1{,}200.50 | ١٬٢٠٠٫٥
-3 | −3 | –3 | -3.0 | (-3) | $-3$ | -$3 | y=-3
1/2 | 0.5 | .5 | \frac{1}{2} | \dfrac12 | ½ | \frac{2}{4} | sqrt(0.25) | $\tfrac{1}{2}$
7/2 | 3 1/2 | 3½ | 3\frac{1}{2} | 3.5
-7/2 | -3 1/2 | -3\frac12
50% | 50 | 50 percent | 50\%
3e8 | 3 \times 10^8 | 3 x 10^8 | 3×10⁸ | 300,000,000 | 300 million | 0.3 billion | 3*10^{8}
0.001 | 10^{-3} | 10⁻³ | 1e-3 | 1/1000
1024 | 2^10 | 2^{10} | 2**10 | 2^{3} \cdot 128
5 km | 5000 m | 5000 meters | 5\text{ km} | 5,000 m | 5 \mathrm{km} | 500000 cm
2 hours | 120 min | 7200 s
2 L | 2000 ml | 2000 mL
9.8 m/s^2 | 9.8 m/s² | 9.8 \mathrm{m/s^2}
12 V | 12V | 12 volts
30° | 30^\circ | 30^{\circ} | 30 degrees
2\sqrt{3} | 2*sqrt(3) | 2√3 | \sqrt{12} | \sqrt{4 \cdot 3}
\frac{\sqrt{3}}{2} | sqrt(3)/2 | \sqrt3/2
2\pi | 2π | 2*pi | \frac{4\pi}{2}
\pi r^2 | π r^2 | r^{2} \pi
x+1 | 1 + x | x + 1 | f(x) = x+1 | (2x+2)/2
(x-1)(x+1) | x^2-1 | x^{2} - 1 | x² - 1
n(n-1) | n^2 - n | n (n-1)
\frac{x^{2}}{2} | x^2/2 | 0.5x^2
e^x | exp(x) | e^{x}
(n-2) 2^{n} + 1 | (n-2)*2^n+1
A | (A) | a | (A) Paris | A. Paris, France | option A | A) 12, 13 | **A** | \text{A}
{1, 2, 10} | {10, 2, 1} | \{2, 1, 10\} | 1, 2, 10 | 10, 1 and 2 | x = 1, x = 2, x = 10 | 2 or 10 or 1
(1, 2) | (1,2) | \left(1, 2\right) | (x, y) = (1, 2) | ( 2/2 , 2.0 )
[1, 2] | [1,2]
x = 1, y = 2 | y = 2, x = 1
{(1,2),(3,4)} | {(3,4),(1,2)} | (1,2),(3,4)
yes | Yes. | YES | Yes, it is. | \text{yes}
five | 5
The Eiffel Tower | Eiffel tower. | the eiffel tower
x > 5 | x>5
x \leq 5 | x ≤ 5 | x <= 5 | x \leqslant 5
\infty | infinity | ∞
10:30 | 10:30. | $10:30$
2020-12-25 | 2020-12-25.
東京 | 「東京」 | 東京。
"""  # one class a line

DIFFERENT = r"""
12 | 13 | 1.2 | -12 | 120 | 1/2 | 12:00 | 1,2 | one two | 2x | 12^2 | ""
10:30 | 1030 | 10.30 | 10:31 | 10:30 pm
1:2 | 12 | 1/2
2.5 million | 2.5 | 25000000
3×10⁸ | 3108 | 324 | 3
2½ | 21/2 | 1
3\frac{1}{2} | 3/2
2020-12-25 | 1983 | 2020-12-24 | 2020
12/25/2020 | 25/12/2020 | 12/50500
5 m | 5 s | 5 cm | 6 m
5 x | 5 | 5 y | 5 x^2
2m | 2 | 2n | 2 m n
2 and a half | 2
(0, 1) | [0, 1] | (0, 1] | (1, 0)
{(1,2),(3,4)} | {(1,4),(3,2)}
x = 1, y = 2 | x = 2, y = 1
x > 5 | x < 5 | x >= 5
n! | n
\frac{k!}{3k} | k/3
version 1.5 | version 15
A | B | A train
sin(x) | cos(x)
x^2 | x^3 | 2x | x2
1e300 | 1e301 | infinity
123456789012345678901 | 123456789012345678902
yes | no | not yes
No. 5 | no
"""  # no two of a line mean the same


def _rows(table: str) -> list[list[str]]:
    return [[a.strip() for a in line.split(" | ")] for line in table.strip().splitlines()]


@pytest.mark.parametrize("answers", _rows(SAME), ids=lambda a: a[0])
def test_same(answers: list[str]) -> None:
    assert {a: answer_key(a) for a in answers} == dict.fromkeys(answers, answer_key(answers[0]))


@pytest.mark.parametrize("answers", _rows(DIFFERENT), ids=lambda a: a[0])
def test_different(answers: list[str]) -> None:
    assert [(a, b) for i, a in enumerate(answers) for b in answers[i + 1 :] if same_answer(a, b)] == []


def test_a_bare_number_joins_the_one_unit_that_is_there() -> None:
    assert same_answer("5", "5 cm")
    assert not same_answer("50", "5 cm")
    five, fifty_mm, five_cm = answer_keys(["5", "50 mm", "5 cm"])
    assert five == five_cm == fifty_mm
    assert len(set(answer_keys(["5", "5 cm", "5 m"]))) == 3


def test_a_list_without_brackets_means_the_known_one_in_the_same_order() -> None:
    assert same_answer("1, 2", "(1, 2)")
    assert same_answer("[1, 2]", "1, 2")
    assert not same_answer("2, 1", "(1, 2)")


def test_long_answers_differ_where_only_their_ends_do() -> None:
    assert not same_answer("word " * 200 + "yes", "word " * 200 + "no")
    assert same_answer("word " * 200, "Word  " * 200)


PIECES = st.lists(
    st.sampled_from(
        r"1 2 10 0 . , / * ** ^ - + ( ) { } [ ] \frac{ \sqrt{ } x y e pi sin( $ % = < ½ ² ٤ km and A yes : ; # _ \text{".split()
    ),
    max_size=14,
).map("".join)
ANY = PIECES | st.text(max_size=40)


@given(ANY, ANY)
def test_same_is_reflexive_and_symmetric_and_never_raises(a: str, b: str) -> None:
    assert same_answer(a, a)
    assert same_answer(a, b) == same_answer(b, a)
    assert (answer_key(a) == answer_key(b)) <= same_answer(a, b)


PLAIN = st.text(st.sampled_from("12x.,/+-()%$: kmA"), min_size=1, max_size=10).map(lambda a: f"7{a}x")


@given(PLAIN, st.sampled_from([" {} ", "\n{}\t", "{}.", "**{}**", "\\boxed{{{}}}", '"{}"', "**{}.** "]))
def test_a_key_is_stable_under_what_is_written_around_it(answer: str, around: str) -> None:
    assert answer_key(around.format(answer)) == answer_key(answer)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**6))
def test_numbers_are_exact(value: int, below: int) -> None:
    assert answer_key(str(value)) == answer_key(f"{value:,}") == answer_key(f"${value}$") == f"n:{value}"
    assert answer_key(f"\\frac{{{value}}}{{{below}}}") == answer_key(f"{value}/{below}") == f"n:{Fraction(value, below)}"
    assert not same_answer(str(value), str(value + 1))


@pytest.mark.parametrize(
    "answer",
    ["9**9**9", "9^9^9^9", "1e999999", "1e999", "1/0", "0^{-1}", "2^{1998}", "1" * 399, "1" * 10**6, "(" * 10**4 + ")" * 10**4,
     "(" * 190 + "1" + ")" * 190, "-" * 300 + "1", "((((1e-300)^64)^64)^64)^64", "(1e300)^(1e300)", "exp(exp(99))", "sqrt(-1)",
     "(-2)^0.5", "1,(" * 90 + ")" * 90, "{" * 200 + "}" * 200, "\\frac{" * 60 + "1" + "}" * 60, "\x00", "\ud800", "1_000"],
    ids=lambda a: a[:12].encode("ascii", "backslashreplace").decode(),
)  # fmt: skip
def test_bounded_whatever_was_written(answer: str) -> None:
    assert same_answer(answer, answer)
    assert len(answer_key(answer)) <= max(4096, len(answer) + 2)


@pytest.mark.parametrize(
    ("expression", "value"),
    [("1 + 2 * 3", 7), ("2(3)", 6), ("(1)(2)(3)4", 24), ("-(2)^2", -4), ("2^-1", Fraction(1, 2)), ("{6}/4", Fraction(3, 2)),
     ("1.5 + .5", 2), ("2x", 6), ("x(x+1)", 12)],
)  # fmt: skip
def test_evaluate(expression: str, value: Fraction) -> None:
    assert evaluate(expression, {"x": Fraction(3)}) == value


@pytest.mark.parametrize(
    "expression",
    ["", "1 +", "y", "__import__('os')", "(1).a", "[1][0]", "1 if 1 else 2", "lambda: 1", "1 # 2", "1\n2", "True", "'1'", "1_0",
     "1 // 2", "5 % 2", "1 < 2", "abs(1, 2)", "sqrt(-1)", "9**9**9**9", "x:=5", "1, 2", "3 4", "print(1)"],
)  # fmt: skip
def test_evaluate_refuses_everything_else(expression: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        evaluate(expression)


@given(PIECES | st.text(st.sampled_from("0123456789+-*/().^ exx"), max_size=30))
def test_evaluate_gives_a_number_or_a_value_error(expression: str) -> None:
    with suppress(ValueError):
        assert isinstance(evaluate(expression, {"x": 2.5}), Fraction | float)


def _golds(name: str) -> list[dict[str, object]]:
    path = DATA / name / "test.jsonl"
    if not path.is_file():
        pytest.skip(f"{name} is not there; SIXFOLD_DATA names the folder that has it")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("name", "compared"), [("gsm8k", 1.0), ("olympiadbench", 0.95), ("omni_math", 0.92), ("theoremqa", 0.8)]
)
def test_real_answers_are_the_same_as_themselves_and_mostly_understood(name: str, compared: float) -> None:
    golds = [str(row["answer"]) for row in _golds(name)]
    assert [g for g in golds if not same_answer(g, f"**{g}**.") or not same_answer(f" {g} ", g)] == []
    assert sum(not answer_key(g).startswith("t:") for g in golds) >= compared * len(golds)


@pytest.mark.parametrize("name", ["countdown", "game24"])
def test_real_expressions_make_their_target(name: str) -> None:
    rows = _golds(name)
    problems = [Problem(str(r["id"]), str(r["problem"]), meta=r["meta"]) for r in rows]  # type: ignore[arg-type]
    assert [r["id"] for p, r in zip(problems, rows, strict=True) if makes_target(p, f"Answer: {r['answer']}").score != 1] == []
    wrong = [makes_target(p, f"Answer: {r['answer']} + 1").score for p, r in zip(problems, rows, strict=True)]
    assert set(wrong) == {0.0}
