from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from harness.leaderboard.bootstrap import (
    Questions,
    compare,
    compare_checkpoints,
    mean_of_tasks,
    sample,
)
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.leaderboard import ranking, stats
from harness.leaderboard.multiple_testing import holm

RANDOM_TABLES = 1000


def tables(count: int = RANDOM_TABLES) -> list[tuple[int, int]]:
    """Return k of n, with the ends 0 of n and n of n among them."""
    rng = np.random.default_rng(7)
    found = [(0, 1), (1, 1), (0, 1319), (1319, 1319)]
    while len(found) < count:
        n = int(rng.integers(1, 2000))
        found.append((int(rng.integers(0, n + 1)), n))
    return found


@pytest.mark.parametrize("df", [1, 1.7, 2, 5, 30, 1e4, math.inf])
def test_quantiles_of_student_t_are_those_of_its_distribution(df):
    from scipy import stats as scipy_stats

    distribution = scipy_stats.t(df) if df < math.inf else scipy_stats.norm()
    for p in (0.001, 0.2, 0.5, 0.975):
        expected = distribution.ppf(p)
        assert stats.t_quantile(p, df) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("seeds", [(3, 3), (8, 2), (20, 20)])
def test_the_p_value_and_the_interval_of_a_comparison_agree(seeds):
    rng = np.random.default_rng(14)
    questions = Questions.of(300)
    rows = [
        sample(rng.random((size, 300)) < share, questions, key=str(share))
        for size, share in zip(seeds, (0.45, 0.47), strict=True)
    ]
    found = compare(*rows)
    just = compare(*rows, confidence=1 - found.p)
    assert min(abs(just.low), abs(just.high)) == pytest.approx(0, abs=1e-9)


def test_wilson_equals_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    for k, n in tables():
        expected = proportion_confint(k, n, method="wilson")
        assert stats.wilson(k, n) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_equals_statsmodels():
    from statsmodels.stats.contingency_tables import mcnemar

    rng = np.random.default_rng(2)
    for fixed, broken in [(0, 0), (0, 1), (5, 5), *rng.integers(0, 300, (RANDOM_TABLES, 2))]:
        expected = mcnemar([[50, fixed], [broken, 50]], exact=True).pvalue
        assert stats.mcnemar(int(fixed), int(broken)) == pytest.approx(min(1.0, expected), rel=1e-9)


def test_holm_equals_statsmodels(monkeypatch):
    import gc

    from statsmodels.stats.multitest import multipletests

    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels collects in every call: 50 ms each
    rng = np.random.default_rng(3)
    for _ in range(RANDOM_TABLES):
        p_values = rng.random(rng.integers(1, 12)) ** 3
        expected = multipletests(p_values, method="holm")[1]
        assert holm(list(p_values)) == pytest.approx(list(expected), abs=1e-12)
    assert holm([]) == []


def test_paired_interval_is_the_normal_one_with_a_question_more_each_way():
    from scipy import stats as scipy_stats

    rng = np.random.default_rng(4)
    for _ in range(RANDOM_TABLES):
        fixed, broken = (int(number) for number in rng.integers(0, 60, 2))
        n = fixed + broken + int(rng.integers(0, 500)) + 1
        moves = np.array([1] * (fixed + 1) + [-1] * (broken + 1) + [0] * (n - fixed - broken))
        low, high = scipy_stats.norm.interval(0.95, moves.mean(), moves.std() / math.sqrt(n + 2))
        expected = (max(-1, low), min(1, high))
        assert stats.paired_interval(fixed, broken, n) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_is_the_share_of_all_draws():
    rng = np.random.default_rng(5)
    for _ in range(RANDOM_TABLES):
        n = int(rng.integers(1, 9))
        correct, k = int(rng.integers(0, n + 1)), int(rng.integers(1, n + 1))
        draws = list(itertools.combinations([True] * correct + [False] * (n - correct), k))
        expected = sum(any(draw) for draw in draws) / len(draws)
        assert stats.pass_at_k(n, correct, k) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_equals_the_survival_of_a_hypergeometric():
    from scipy.stats import hypergeom

    rng = np.random.default_rng(6)
    for _ in range(RANDOM_TABLES):
        n = int(rng.integers(1, 300))
        correct, k = int(rng.integers(0, n + 1)), int(rng.integers(1, n + 1))
        expected = hypergeom.sf(0, n, correct, k)
        assert stats.pass_at_k(n, correct, k) == pytest.approx(expected, abs=1e-9)


def test_clustered_wilson_is_the_plain_one_without_groups():
    for k, n in tables(200):
        values = np.arange(n) < k
        assert stats.clustered_wilson(values, np.arange(n)) == stats.wilson(k, n)


@pytest.mark.parametrize(
    ("shape", "groups", "method"),
    [
        ((60,), (), "wilson"),
        ((1, 60, 1), (), "wilson"),
        ((60, 4), (), "wilson, clustered by question"),
        ((3, 60, 4), (), "wilson, clustered by question"),
        ((60, 4), tuple(place // 6 for place in range(60)), "wilson, clustered by group"),
        ((60,), tuple(place // 6 for place in range(60)), "wilson, clustered by group"),
    ],
)
def test_the_interval_of_an_accuracy_is_clustered_where_answers_belong_together(
    shape, groups, method
):
    correct = np.random.default_rng(15).random(shape) < 0.4
    low, high, found = stats.accuracy_interval(correct, groups=groups)
    assert found == method
    answers = correct if correct.ndim > 1 else correct[:, None]
    cluster = np.broadcast_to(np.asarray(groups or range(60))[:, None], answers.shape)
    expected = stats.clustered_wilson(correct.ravel(), cluster.ravel())
    assert (low, high) == pytest.approx(expected)


def test_one_group_of_questions_bounds_nothing():
    low, high, method = stats.accuracy_interval([1, 1, 0], groups=(5, 5, 5))
    assert (low, high) == (0, 1)
    assert "bounds nothing" in method


def test_clustered_variance_equals_statsmodels():
    # Many large groups: the interval's width must be that of the cluster-robust standard error.
    import statsmodels.api as sm

    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(800), 5)
    values = (rng.random(800)[groups] < 0.4).astype(float)
    values = np.where(rng.random(values.size) < 0.2, rng.random(values.size) < 0.4, values)
    fit = sm.OLS(values, np.ones_like(values)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    low, high = stats.clustered_wilson(values, groups)
    assert (high - low) / 2 == pytest.approx(1.96 * fit.bse[0], rel=0.01)
    plain = stats.wilson(int(values.sum()), values.size)
    assert high - low > 1.7 * (plain.high - plain.low)


def test_answers_that_agree_within_groups_count_once():
    groups = np.repeat(np.arange(100), 10)
    low, high = stats.clustered_wilson(np.ones(1000), groups)
    assert (low, high) == pytest.approx(stats.wilson(100, 100))


@pytest.mark.parametrize("right", [0, 3, 10])
def test_the_same_answers_under_more_seeds_tell_no_less(right):
    once = np.arange(10) < right
    questions = np.tile(np.arange(10), 3)
    assert stats.clustered_wilson(np.tile(once, 3), questions) == pytest.approx(
        stats.wilson(right, 10)
    )


@given(
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)),
)
def test_the_parts_of_a_gain_sum_exactly(before, after):
    def counts(parts):
        right, wrong, unread = parts
        return right, right + wrong, right + wrong + unread + 1

    split = stats.split_gain(counts(before), counts(after))
    assert split.format + split.correctness == split.gain
    (c0, _, n0), (c1, _, n1) = counts(before), counts(after)
    assert split.gain == Fraction(c1, n1) - Fraction(c0, n0)


def test_parts_of_a_gain_on_constructed_cases():
    # 40 of 80 readable right before; all 100 readable and half right after: format alone.
    assert stats.split_gain((40, 80, 100), (50, 100, 100)) == (
        Fraction(1, 10),
        Fraction(1, 10),
        0,
    )
    # As many readable, more of them right: correctness alone.
    assert stats.split_gain((40, 80, 100), (60, 80, 100)) == (Fraction(1, 5), 0, Fraction(1, 5))
    # Nothing was readable before: nothing is known of its correctness, so all is format.
    assert stats.split_gain((0, 0, 100), (60, 80, 100)) == (Fraction(3, 5), Fraction(3, 5), 0)
    assert stats.split_gain((0, 0, 10), (0, 0, 10)) == (0, 0, 0)
    # Going back gives the same parts with the other sign.
    there = stats.split_gain((10, 50, 100), (60, 80, 90))
    back = stats.split_gain((60, 80, 90), (10, 50, 100))
    assert there == tuple(-part for part in back)


def test_minimum_detectable_difference_as_published():
    # 1,319 questions at 40 %: the values that a simulation gave for four correlations.
    for correlation, expected in ((0, 5.3), (0.3, 4.5), (0.5, 3.8), (0.7, 2.9)):
        found = stats.minimum_detectable(1319, 0.4, correlation)
        assert 100 * found == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(
    ("different", "expected"),
    [
        (set(), {"x": "a", "y": "a", "z": "a"}),
        ({"xz"}, {"x": "a", "y": "ab", "z": "b"}),
        ({"xy", "xz", "yz"}, {"x": "a", "y": "b", "z": "c"}),
        ({"xy"}, {"x": "a", "y": "b", "z": "ab"}),
    ],
)
def test_group_letters(different, expected):
    pairs = {frozenset(pair) for pair in different}
    assert ranking.letters(["x", "y", "z"], pairs) == expected


def test_letters_are_shared_by_exactly_the_pairs_not_told_apart():
    rng = np.random.default_rng(9)
    names = [f"t{i}" for i in range(12)]
    for _ in range(200):
        pairs = [frozenset(pair) for pair in itertools.combinations(names, 2)]
        different = {pair for pair in pairs if rng.random() < rng.choice([0.1, 0.5, 0.9])}
        given_letters = ranking.letters(names, different)
        for pair in pairs:
            first, second = pair
            shared = set(given_letters[first]) & set(given_letters[second])
            assert bool(shared) is (pair not in different)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: stats.wilson(1, 0),
        lambda: stats.wilson(3, 2),
        lambda: stats.mcnemar(-1, 2),
        lambda: stats.paired_interval(3, 3, 5),
        lambda: stats.pass_at_k(3, 1, 4),
        lambda: stats.pass_at_k(0, 0, 1),
        lambda: stats.accuracy_interval([]),
        lambda: stats.clustered_wilson(np.ones(5), np.zeros(5, dtype=int)),
        lambda: stats.split_gain((5, 4, 10), (1, 1, 10)),
        lambda: Questions.of(0),
        lambda: mean_of_tasks([]),
        lambda: sample(np.ones((2, 5)), Questions.of(4)),
        lambda: compare_checkpoints(np.ones(3), np.ones(4)),
    ],
)
def test_what_has_no_result_is_refused_in_one_line(refused):
    with pytest.raises(UsageError) as caught:
        refused()
    assert "\n" not in str(caught.value)


def test_single_question_and_single_seed_have_results():
    questions = Questions.of(1)
    found = compare(sample(np.zeros((3, 1)), questions), sample(np.ones((3, 1)), questions))
    assert found.difference == 1
    assert -1 <= found.low <= found.high <= 1
    assert found.p > 0.05
    assert compare_checkpoints(np.ones(1), np.zeros(1)).p == 1


def test_bootstrap_agrees_with_the_variance_components():
    rng = np.random.default_rng(10)
    n, seeds = 500, 4
    matrix = rng.random((seeds, n)) < rng.normal(0.5, 0.05, seeds)[:, None]
    matrix &= rng.random(n) < 0.8
    found = sample(matrix, Questions.of(n), key="a")
    by_question = matrix.mean(axis=0)
    over_questions = by_question.var(ddof=1) / n
    over_seeds = matrix.mean(axis=1).var(ddof=1) / seeds
    assert found.questions.var() == pytest.approx(over_questions, rel=0.08)
    assert found.both.var() == pytest.approx(over_questions + over_seeds, rel=0.12)


def test_grouped_questions_are_drawn_together():
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(60), 10)
    matrix = (rng.random(60) < 0.5)[groups][None, :]
    alone = sample(matrix, Questions.of(600))
    together = sample(matrix, Questions.of(600, tuple(groups)))
    assert together.questions.std() > 2.5 * alone.questions.std()
    assert together.groups == 60


def test_the_same_key_gives_the_same_resamples():
    first, second = Questions.of(50, key="x"), Questions.of(50, key="x")
    assert (first.weights == second.weights).all()
    assert (first.weights != Questions.of(50, key="y").weights).any()
    # The first draws are part of what published numbers rest on: they must never change.
    assert first.weights[0, :10].astype(int).tolist() == [0, 0, 1, 0, 0, 2, 2, 2, 2, 2]


def test_fewer_seeds_than_three_support_no_claim_on_trainers():
    rng = np.random.default_rng(12)
    questions = Questions.of(200)
    rows = {seeds: sample(rng.random((seeds, 200)) < 0.5, questions) for seeds in (1, 2, 3)}
    assert compare(rows[3], rows[3]).claim == "trainers"
    assert compare(rows[3], rows[2]).claim == "checkpoints"
    assert compare(rows[1], rows[3]).claim == "checkpoints"
    assert compare(rows[1], rows[3], first_trained=False).claim == "trainers"


def test_a_mean_of_tasks_weighs_them_alike():
    rng = np.random.default_rng(13)
    first = sample(rng.random((3, 100)) < 0.2, Questions.of(100, key="a"), key="row")
    second = sample(rng.random((3, 900)) < 0.8, Questions.of(900, key="b"), key="row")
    both = mean_of_tasks([first, second])
    assert both.accuracy == pytest.approx((first.accuracy + second.accuracy) / 2)
    expected = (first.questions.var() + second.questions.var()) / 4
    assert both.questions.var() == pytest.approx(expected, rel=0.1)
    assert both.n == 100
