"""Estimates against their slow twins and against what simulation says of them."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.evals.stats import (
    Interval,
    bootstrap,
    finding,
    holm,
    macro_bootstrap,
    macro_interval,
    macro_paired,
    majority_at_k,
    mean,
    paired,
    pass_at_k,
    pass_rates,
    shown_interval,
    sign_flip_p,
    wilson,
)

MARKS = st.lists(st.sampled_from([True, False]), min_size=1, max_size=8)


@given(MARKS, st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(marks: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(marks)))
    subsets = list(itertools.combinations(marks, k))
    assert pass_at_k(len(marks), sum(marks), k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_is_exact_for_many_samples_and_refuses_nonsense() -> None:
    assert pass_at_k(200, 1, 100) == 0.5
    assert pass_at_k(10_000, 0, 5_000) == 0.0
    for n, right, k in ((4, 5, 1), (4, 1, 5), (4, 1, 0), (4, -1, 1)):
        with pytest.raises(ValueError, match="pass@"):
            pass_at_k(n, right, k)


def test_pass_at_k_leaves_unjudged_samples_out_and_counts_questions_with_too_few() -> None:
    marks = [[True, None, False], [None, None, True], [None, None, None], [False, False, False]]
    assert pass_rates(marks) == [0.5, 1.0, None, 0.0]
    assert pass_rates(marks, 2) == [1.0, None, None, 0.0]
    assert mean(pass_rates(marks, 2)) == (0.5, 2, 2)


def votes_of(subset: tuple[tuple[str | None, bool], ...]) -> float:
    """The slow twin: every answer with the most votes is as likely, and so is every sample that gave it."""
    counts = Counter(key for key, _ in subset if key is not None)
    if not counts:
        return 0.0
    most = max(counts.values())
    shares = [[right for key, right in subset if key == winner] for winner, count in counts.items() if count == most]
    return sum(sum(s) / len(s) for s in shares) / len(shares)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.booleans()), min_size=1, max_size=7), st.data())
def test_majority_at_k_is_the_mean_over_all_subsets(samples: list[tuple[str | None, bool]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(samples)))
    subsets = list(itertools.combinations(samples, k))
    expected = sum(map(votes_of, subsets)) / len(subsets)
    assert majority_at_k([s[0] for s in samples], [s[1] for s in samples], k) == pytest.approx(expected)


def test_majority_does_not_look_at_what_is_right() -> None:
    keys, marks = ["a", "a", "b", "b", "c"], [True, True, False, False, False]
    assert majority_at_k(keys, marks, 5) == 0.5
    assert majority_at_k([None, None, "a"], [False, False, True], 3) == 1.0
    assert majority_at_k([None, None], [False, False], 2) == 0.0
    assert majority_at_k(["a", "b"], [True, None], 2) is None
    assert majority_at_k(["a", "b", "b"], [True, None, None], 1) == 1.0


def test_majority_of_one_is_pass_at_1_and_many_samples_are_quick() -> None:
    random.seed(1)
    keys = [str(random.randrange(40)) for _ in range(64)]
    marks = [key == "3" for key in keys]
    assert majority_at_k(keys, marks, 1) == pytest.approx(sum(marks) / 64)
    assert 0 <= (majority_at_k(keys, marks, 32) or 0) <= 1


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # Brown, Cai and DasGupta 2001 and the formula by hand: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (1, 10, 0.01788, 0.40415), (5, 10, 0.23659, 0.76341),
     (50, 100, 0.40383, 0.59617), (0, 0, 0.0, 1.0)],
)  # fmt: skip
def test_wilson_against_a_table(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=6e-6)


@given(st.integers(1, 400), st.data())
def test_the_ends_of_wilson_are_where_the_score_test_turns(n: int, data: st.DataObject) -> None:
    """Its definition: at an end p0 the observed share is 1.96 standard errors of p0 away."""
    right = data.draw(st.integers(0, n))
    for end in wilson(right, n):
        if 0 < end < 1:
            assert abs(right / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, rel=1e-6)


def test_intervals_cover_as_often_as_they_say() -> None:
    """200 simulated evaluations of 60 questions, each with its own difficulty and 4 samples."""
    generator, covered, narrow = random.Random(5), 0, 0
    for trial in range(200):
        values = []
        for _ in range(60):
            chance = generator.betavariate(0.6, 0.9)
            values.append(sum(generator.random() < chance for _ in range(4)) / 4)
        low, high = bootstrap(values, seed=trial, resamples=800)
        covered += low <= 0.4 <= high
        share = sum(values) / len(values)
        narrow += (high - low) < 2 * 1.96 * math.sqrt(share * (1 - share) / 240)
    assert 180 <= covered <= 200
    assert narrow == 0, "samples of one question were taken as independent"


def test_a_bootstrap_is_seeded_and_holds_the_mean() -> None:
    values = [i / 37 for i in range(38)]
    assert bootstrap(values, 3) == bootstrap(values, 3) != bootstrap(values, 4)
    low, high = bootstrap(values)
    assert low < 0.5 < high
    assert bootstrap([0.5]) == (0.5, 0.5)
    assert bootstrap([]) == (0.0, 1.0)


def test_what_is_shown_beside_a_mean_is_never_certain_from_few_questions() -> None:
    assert shown_interval([0.0] * 5) == wilson(0, 5)
    assert shown_interval([1.0, 0.0, 1.0]) == wilson(2, 3)
    assert shown_interval([0.5, 0.5]) == wilson(1, 2)
    assert shown_interval([0.5, 0.25, 1.0]) == bootstrap([0.5, 0.25, 1.0])
    assert shown_interval([]) == (0.0, 1.0)


def test_macro_counts_tasks_not_questions_and_resamples_within_them() -> None:
    generator = random.Random(2)
    large, small = [float(generator.random() < 0.9) for _ in range(900)], [float(i < 3) for i in range(10)]
    low, high = macro_bootstrap([large, small])
    centre = (sum(large) / 900 + 0.3) / 2
    assert low < centre < high
    error = math.sqrt(0.9 * 0.1 / 900 + 0.3 * 0.7 / 10) / 2
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.12)
    assert macro_bootstrap([]) == (0.0, 1.0)


def test_a_macro_interval_covers_where_many_tasks_are_all_wrong() -> None:
    """150 simulated evaluations of 6 tasks of 30 questions, most of them nearly hopeless, as for a small model."""
    generator, chances = random.Random(9), [0.01, 0.02, 0.02, 0.03, 0.05, 0.4]
    covered = 0
    for trial in range(150):
        low, high = macro_interval([[float(generator.random() < chance) for _ in range(30)] for chance in chances], trial)
        covered += low <= sum(chances) / 6 <= high
    assert covered >= 138


def test_a_macro_interval_of_nothing_but_wrong_answers_is_not_certain() -> None:
    low, high = macro_interval([[0.0] * 10, [0.0] * 10])
    assert low == 0.0
    assert 0.05 < high < 0.25
    assert macro_interval([]) == (0.0, 1.0)
    one = [1.0, 0.0, 0.0, 1.0, 0.0]
    assert macro_interval([one]) == pytest.approx(shown_interval(one))
    spread = [[0.0, 1.0] * 40, [1.0, 0.0, 0.0] * 40]
    assert macro_interval(spread) == pytest.approx(macro_bootstrap(spread), abs=0.01)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=30))
def test_the_sign_flip_test_of_binary_marks_is_mcnemars_exact_test(differences: list[float]) -> None:
    wins, losses = differences.count(1.0), differences.count(-1.0)
    n, few = wins + losses, min(wins, losses)
    expected = min(1.0, 2 * sum(math.comb(n, i) for i in range(few + 1)) / 2**n)
    assert sign_flip_p(differences) == pytest.approx(expected)


@given(st.lists(st.sampled_from([i / 8 for i in range(-8, 9)] + [1 / 3, -2 / 3]), min_size=1, max_size=9))
def test_the_sign_flip_test_of_means_is_the_share_of_sign_patterns(differences: list[float]) -> None:
    observed = abs(sum(differences))
    sums = [sum(s * d for s, d in zip(signs, differences)) for signs in itertools.product((1, -1), repeat=len(differences))]  # noqa: B905
    assert sign_flip_p(differences) == pytest.approx(sum(abs(s) >= observed - 1e-9 for s in sums) / len(sums))


def test_drawn_signs_agree_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(0)
    differences = [generator.choice([-0.5, 0.0, 0.25, 0.5, 0.75]) for _ in range(60)]
    exact = sign_flip_p(differences)
    monkeypatch.setattr("sixfold.evals.stats._EXACT_STEPS", 0)
    assert sign_flip_p(differences) == pytest.approx(exact, abs=0.01)
    assert sign_flip_p([0.0, 0.0]) == 1.0


def test_noise_is_called_noise_as_often_as_it_should() -> None:
    """Two runs of the same model on the same questions: a finding in about 1 of 20 cases at most."""
    generator, found = random.Random(7), 0
    for trial in range(200):
        chances = [generator.random() for _ in range(50)]
        marks = [[float(generator.random() < c) for c in chances] for _ in range(2)]
        result = paired([b - a for a, b in zip(*marks, strict=True)], seed=trial)
        found += finding(result.interval, result.p) != "noise"
    assert found <= 16


def test_a_real_difference_is_found_and_its_sign_is_right() -> None:
    generator = random.Random(8)
    chances = [generator.random() for _ in range(300)]
    before = [float(generator.random() < c) for c in chances]
    after = [float(generator.random() < min(1, c + 0.2)) for c in chances]
    up = paired([b - a for a, b in zip(before, after, strict=True)])
    down = paired([a - b for a, b in zip(before, after, strict=True)])
    assert finding(up.interval, up.p) == "better"
    assert finding(down.interval, down.p) == "worse"
    assert up.difference == pytest.approx(-down.difference)
    assert up.p == down.p


def test_a_handful_of_questions_is_no_finding() -> None:
    one = paired([1.0])
    assert one.interval == (1.0, 1.0)
    assert finding(one.interval, one.p) == "noise"


def test_macro_differences_weigh_tasks_alike() -> None:
    result = macro_paired([[1.0] * 100, [0.0] * 2])
    assert result.difference == 0.5
    assert result.questions == 102
    assert 0 < result.p < 0.01
    assert result.interval == Interval(0.5, 0.5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= a <= 1 for p, a in zip(ps, adjusted, strict=True))
    assert all(adjusted[i] <= adjusted[j] for i in range(len(ps)) for j in range(len(ps)) if ps[i] <= ps[j])
