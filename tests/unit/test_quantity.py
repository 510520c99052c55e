"""Quantities: spellings that mean the same, units that convert, and what must not score."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.quantity import judge_quantity, read_number, read_quantity, read_unit


def score(answer: str, reference: str, **meta: object) -> float | None:
    return judge_quantity(Problem("p", "?", answer=reference, meta=meta), f"Answer: {answer}").score


SAME = [
    ("12.5 m/s", "45 km/h"), ("12.5 m/s", "12.5"), ("12.5 m/s", "12.5 m s^-1"), ("12.5 m/s", "12.5 m s⁻¹"),
    ("12.5 m/s", r"$12.5\ \mathrm{m/s}$"), ("12.5 m/s", r"12.5 \, \text{m} \cdot \text{s}^{-1}"), ("12.5 m/s",
    "v = 12.5 m/s"),
    ("12.5 m/s", "12.5 meters per second"), ("12.5 m/s", "1.25 × 10^1 m/s"), ("12.5 m/s", "1.25e1 metres/second"),
    ("12.5 m/s", r"\frac{25}{2} m/s"), ("12.5 m/s", "approximately 12.5 m/s"), ("12.5 m/s", "12.5m/s"), ("12.5 m/s",
    "25/2 m/s"),
    ("9.8 m/s^2", "9.8 m/s²"), ("9.8 m/s^2", "9.8 m s-2"), ("9.8 m/s^2", "9.8 N/kg"), ("9.8 m/s^2",
    "9.8 meters per second squared"),
    ("9.8 m/s^2", "9.8 m/s/s"), ("9.8 m/s^2", "9.8 m/(s*s)"), ("20 N", "20 kg*m/s^2"), ("20 N", "20 kg·m/s²"), ("20 N",
    "0.02 kN"),
    ("20 N", r"20\,\mathrm{kg\,m\,s^{-2}}"), ("3 kWh", "10.8 MJ"), ("3 kJ", "3000 J"), ("3 kJ", "3,000 joules"), ("2 atm",
    "202.65 kPa"),
    ("5 Ω", "5 ohms"), ("5 Ω", r"5\ \Omega"), ("5 kΩ", "5000 Ω"), ("4.7 μF", "4.7 µF"), ("4.7 μF", "4.7 uF"), ("4.7 μF",
    r"4.7 \mu F"),
    ("4.7 μF", "4.7e-6 F"), ("8.314 J/(mol K)", "8.314 J/mol·K"), ("8.314 J/(mol K)", "8.314 J mol^-1 K^-1"),
    ("8.314 J/(mol K)", "8.314 J/mol/K"), ("2 L", "2000 mL"), ("2 L", "2 dm^3"), ("2 L", "0.002 cubic meters"), ("2 M",
    "2 mol/L"),
    ("0.5 mol", "500 mmol"), ("180°", "3.14159 rad"), ("30 degrees", r"30^\circ"), ("60 Hz", "60 1/s"), ("2 h",
    "120 minutes"),
    ("1.6e-19 J", "1 eV"), ("25 °C", "25 degrees Celsius"), ("25 °C", "25 C"), ("50 %", "50%"), ("50 %", "1/2 m/m"),
    ("20 N", r"\approx 20 \text{ N}"), ("12 apples", "12 apple"),
    ("12 apples", "12"), ("5", "5.0"), ("-3 V", "−3 V"), ("1 mile", "1.609 km"), ("500 nm", "5 * 10^-7 m"), ("3 A", "3 amps"),
    ("3 C", "3 A*s"), ("100 cm^2", "0.01 m^2"), ("100 cm^2", "100 square centimeters"), ("1 g/cm^3", "1000 kg/m^3"), ("5 m",
    "5 m = 500 cm"),
    ("760 mmHg", "1 atm"), ("12 V", "12 J/C"), ("50 Ω", "50 V/A"), ("3 T", "3 Wb/m^2"), ("5 m", "5 m to the right"),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "answer"), SAME)
def test_the_same_quantity(reference: str, answer: str) -> None:
    assert score(answer, reference) == 1.0


OTHER = [
    ("12.5 m/s", "12.5 m"), ("12.5 m/s", "12.5 km/h"), ("12.5 m/s", "12.5 m/s^2"), ("12.5 m/s", "13 m/s"), ("12.5 m/s",
    "12.5 or 13 m/s"),
    ("12.5 m/s", "12.5, 13, 14 m/s"), ("12.5 m/s", "not 12.5 m/s"), ("12.5 m/s", "12.5 apples"), ("12.5 m/s", "-12.5 m/s"),
    ("12.5 m/s", "between 12 and 13 m/s"), ("12.5 m/s", "12.5 m/s or 45 m/s"), ("12.5 m/s", "13 m/s = 12.5 m/s"), ("5",
    "5 m"),
    ("12.5 m/s", "12.5 ± 100 m/s"), ("5 MW", "5 mW"), ("5 m", "5 M"), ("5 s", "5 S"), ("5 kg", "5 g"), ("50 %", "0.5 m"),
    ("2 L", "2 m^3"), ("12 apples", "12 pears"), ("0 m", "1e-3 m"), ("5 m", "1e999 m"), ("5 m", "nan m"), ("5 m", "inf"),
    ("5 m", "5 m^99"), ("5 m", "5 m/"), ("5 m", "5 (m"), ("25 °C", "298.15 K"), ("5 m", "5 m 6 m"), ("5 m", "5 m and 6 m"),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "answer"), OTHER)
def test_another_quantity(reference: str, answer: str) -> None:
    assert score(answer, reference) == 0.0


def test_temperatures_convert_with_their_offset_where_the_unit_is_asked() -> None:
    assert score("298.15 K", "25", unit="°C") == 1.0
    assert score("77 °F", "25", unit="°C") == 1.0
    assert score("25 C", "298.15", unit="K") == 1.0
    assert score("25 K", "25", unit="°C") == 0.0


def test_tolerance_is_relative_to_the_converted_reference() -> None:
    assert score("1009 cm", "10 m") == 1.0
    assert score("1011 cm", "10 m") == 0.0
    assert score("1011 cm", "10 m", tolerance=0.02) == 1.0
    assert score("10.001 m", "10 m", tolerance=0) == 0.0


def test_a_missing_unit_can_be_required() -> None:
    assert score("10", "10 m", unit_required=True) == 0.0
    assert score("10 m", "10 m", unit_required=True) == 1.0
    assert score("10", "10", unit="m") == 1.0
    assert score("10 s", "10", unit="m") == 0.0


def test_a_problem_that_cannot_be_judged_is_unscored() -> None:
    for problem in (
        Problem("p", "?"), Problem("p", "?", answer="fast"), Problem("p", "?", answer="5 m", meta={"tolerance": "much"}),
        Problem("p", "?", answer="5 m", meta={"unit": "s"}), Problem("p", "?", answer="5", meta={"unit": "^^"}),
    ):  # fmt: skip
        verdict = judge_quantity(problem, "Answer: 5 m")
        assert verdict.score is None
        assert verdict.reason


UNITS = ["m", "kg", "s", "m/s", "N", "kJ", "J/(mol K)", "km/h", "mm^2", "mol/L", "V", "kΩ", "%", "°"]


@given(st.floats(1e-9, 1e9), st.sampled_from(UNITS), st.sampled_from(["{:.6g} {}", "{:.6e} {}", "$ {:.6g} $ {}"]))
def test_reflexive(value: float, unit: str, form: str) -> None:
    reference = f"{value:.6g} {unit}"
    assert score(reference, reference) == 1.0
    assert score(form.format(value, unit), reference) == 1.0


@given(
    st.floats(0.01, 1e4), st.sampled_from([("m", "cm"), ("h", "s"), ("km/h", "m/s"), ("J", "eV"), ("atm", "Pa"), ("mi", "km")])
)
def test_symmetric(value: float, pair: tuple[str, str]) -> None:
    one, two = (read_unit(u) for u in pair)
    assert one is not None
    assert two is not None
    there = f"{value * one.factor / two.factor!r} {pair[1]}"
    assert score(there, f"{value!r} {pair[0]}", tolerance=1e-6) == score(f"{value!r} {pair[0]}", there, tolerance=1e-6) == 1.0


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    read_quantity(text)
    read_unit(text)
    read_number(text)
    assert score(text, "5 m") in (0.0, 1.0)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("kN", 1e3), ("min", 60), ("cd", 1), ("Pa", 1), ("mol", 1), ("ft", 0.3048), ("mg", 1e-6), ("dam", 10), ("nm", 1e-9),
    ("kilometers", 1e3)],
)  # fmt: skip
def test_names_that_could_be_read_twice(unit: str, factor: float) -> None:
    read = read_unit(unit)
    assert read is not None
    assert math.isclose(read.factor, factor)


@pytest.mark.parametrize(
    ("reference", "text", "right"),
    [
        ("12.5 m/s", "The speed is 12.5 m/s.", 1.0),
        ("12.5 m/s", "The speed is 12.5 km/h.", 0.0),
        ("12.5 m/s", "Answer: The final speed of the car is 12.5 km/h.", 0.0),
        ("12.5 m/s", r"So v = $12.5\text{ km/h}$.", 0.0),
        ("12.5 m/s", "So v = 12.5 in total.", 1.0),
        ("12.5 m/s", "So v = 45 km/h after that.", 1.0),
        ("30 min", "So t is 30 h.", 0.0),
    ],
)
def test_the_unit_of_a_number_in_a_sentence_counts(reference: str, text: str, right: float) -> None:
    assert judge_quantity(Problem("p", "?", answer=reference), text).score == right


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("36 g of water", "36 g", 1.0), ("2 moles of H2O", "2 mol", 1.0), ("36 grams NaCl", "36 g", 1.0),
        ("36 kg of water", "36 g", 0.0), ("36 g of water or 40 g", "36 g", 0.0),
        ("12.5 m/s (45 km/h)", "12.5 m/s", 1.0), ("45 km/h (or 12.5 m/s)", "12.5 m/s", 1.0),
        ("12.5 m/s (13.5 m/s)", "12.5 m/s", 0.0), ("13.5 m/s (12.5 m/s)", "12.5 m/s", 0.0),
        ("V = 2 A * 6 Ω = 12 V", "12 V", 1.0), ("V = IR = 2 * 6 = 12 V", "12 V", 1.0), ("V = 5 V = 12 V", "12 V", 0.0),
        ("100 sq cm", "100 cm^2", 1.0),
    ],
)  # fmt: skip
def test_substances_second_units_and_calculations(answer: str, reference: str, right: float) -> None:
    assert score(answer, reference) == right
