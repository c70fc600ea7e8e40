from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.leaderboard import ranking, stats
from harness.leaderboard.comparison import (
    LOST,
    Questions,
    Sample,
    Uncertainty,
    compare,
    compare_checkpoints,
    components,
    mean_of_tasks,
    sample,
)
from harness.leaderboard.data import Noise
from harness.leaderboard.gain_parts import Readable, parts_of_gain, split
from harness.leaderboard.multiple_testing import holm
from harness.leaderboard.planning import questions_needed, seeds_needed, smallest_difference

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


def matrix(rng, seeds: int, n: int, accuracy: float = 0.45, sd: float = 0.0) -> np.ndarray:
    """Return right or wrong answers, shape (seeds, n), that correlate by question."""
    difficulty = rng.random(n)
    shift = rng.normal(0, sd, (seeds, 1))
    return rng.random((seeds, n)) < np.clip(0.6 * difficulty + 0.4 * accuracy + shift, 0, 1)


@pytest.mark.parametrize("seeds", [(3, 3), (8, 2), (20, 20)])
def test_the_p_value_and_the_interval_of_a_comparison_agree(seeds):
    rng = np.random.default_rng(14)
    questions = Questions.of(300)
    rows = [sample(matrix(rng, size, 300, sd=0.02), questions) for size in seeds]
    found = compare(*rows)
    assert 0 < found.p < 1
    half = found.uncertainty.half_width(found.p)
    assert half == pytest.approx(abs(found.difference), rel=1e-6)
    assert found.high - found.low == pytest.approx(2 * found.uncertainty.half_width(0.05))


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


def reading(right: int, readable: int, n: int, seeds: int = 1) -> Readable:
    """Return answers of which so many are right, and so many can be read."""
    place = np.arange(n)
    shape = (seeds, n)
    return Readable(
        np.broadcast_to(place < right, shape).astype(float),
        np.broadcast_to(place < readable, shape).astype(float),
    )


def shapley(before: tuple[int, int, int], after: tuple[int, int, int]) -> tuple[Fraction, Fraction]:
    """Return the format and the correctness part in whole fractions, from counts."""
    (c0, m0, n0), (c1, m1, n1) = before, after
    r0, r1 = Fraction(m0, n0), Fraction(m1, n1)
    q0 = Fraction(c0, m0) if m0 else Fraction(c1, m1) if m1 else Fraction(0)
    q1 = Fraction(c1, m1) if m1 else q0
    return (r1 - r0) * (q0 + q1) / 2, (q1 - q0) * (r0 + r1) / 2


@given(
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
def test_the_parts_of_a_gain_are_shapleys_and_sum_to_it(before, after):
    n = 41

    def counts(parts: tuple[int, int]) -> tuple[int, int, int]:
        return parts[0], sum(parts), n

    form, correctness = split(reading(*counts(before)), reading(*counts(after)), Questions.of(n))
    expected = shapley(counts(before), counts(after))
    found = float(form.values[0, 0]), float(correctness.values[0, 0])
    assert found == pytest.approx([float(part) for part in expected], abs=1e-12)
    assert sum(found) == pytest.approx((after[0] - before[0]) / n, abs=1e-12)
    for part in (form, correctness):
        assert part.influence.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("before", "after", "format_part", "correctness"),
    [
        ((40, 80), (50, 100), 0.1, 0.0),  # all readable, half of them right as before
        ((40, 80), (60, 80), 0.0, 0.2),  # as many readable, more of them right
        ((0, 0), (60, 80), 0.6, 0.0),  # nothing known of the correctness before: all is format
        ((0, 0), (0, 0), 0.0, 0.0),
    ],
)
def test_parts_of_a_gain_on_constructed_cases(before, after, format_part, correctness):
    tasks = [(reading(*before, 100), reading(*after, 100, seeds=3), Questions.of(100))]
    found = parts_of_gain(tasks, "trainers", first_trained=False)
    assert [one.difference for one in found] == pytest.approx([format_part, correctness])
    swapped = [(tasks[0][1], tasks[0][0], tasks[0][2])]
    back = parts_of_gain(swapped, "trainers", first_trained=True, second_trained=False)
    assert [one.difference for one in back] == pytest.approx([-format_part, -correctness])


def test_the_error_of_a_part_is_that_of_leaving_out_questions():
    # The jackknife knows nothing of the derivatives that the closed form uses.
    rng = np.random.default_rng(21)
    n = 400
    sides = []
    for accuracy, read in ((0.4, 0.8), (0.5, 0.95)):
        readable = rng.random((1, n)) < read
        right = readable & (matrix(rng, 1, n, accuracy))
        sides.append(Readable(right.astype(float), readable.astype(float)))
    found = parts_of_gain([(*sides, Questions.of(n))], "checkpoints", first_trained=False)
    for place, part in enumerate(found):
        left_out = []
        for question in range(n):
            counts = [
                (*(int(np.delete(each[0], question).sum()) for each in side), n - 1)
                for side in sides
            ]
            left_out.append(float(shapley(*counts)[place]))
        expected = math.sqrt((n - 1) ** 2 / n * np.var(left_out, ddof=1))
        assert part.uncertainty.standard_error == pytest.approx(expected, rel=0.02)


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


def test_rows_that_agree_on_every_question_are_not_known_to_be_the_same():
    right = np.tile(np.arange(50) < 20, (3, 1))
    found = compare(sample(right, Questions.of(50)), sample(right, Questions.of(50)))
    assert found.difference == 0
    assert found.p == 1
    assert found.low < 0 < found.high


def test_the_closed_form_is_the_sum_of_the_variance_components():
    # Written out with the sums of squares of a two-way table, apart from the code's influences.
    rng = np.random.default_rng(10)
    n, sizes = 500, (4, 6)
    tables = [matrix(rng, seeds, n, sd=0.05) for seeds in sizes]
    found = compare(*(sample(table, Questions.of(n)) for table in tables))
    difference = tables[1].mean(axis=0) - tables[0].mean(axis=0)
    expected = difference.var(ddof=1) / n
    for seeds, table in zip(sizes, tables, strict=True):
        rest = table - table.mean(axis=0) - table.mean(axis=1)[:, None] + table.mean()
        residual = (rest**2).sum() / ((seeds - 1) * (n - 1))
        expected += max(0, table.mean(axis=1).var(ddof=1) - residual / n) / seeds
    assert found.uncertainty.variance == pytest.approx(expected, rel=1e-12)
    assert found.test == "t over questions and seeds"


def test_the_variance_components_are_those_of_an_analysis_of_variance():
    import pandas as pd
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    rng = np.random.default_rng(15)
    n, seeds = 40, 5
    table = matrix(rng, seeds, n, sd=0.1)
    long = pd.DataFrame(
        {
            "right": table.ravel().astype(float),
            "seed": np.repeat(np.arange(seeds), n),
            "question": np.tile(np.arange(n), seeds),
        }
    )
    squares = anova_lm(smf.ols("right ~ C(seed) + C(question)", long).fit())["mean_sq"]
    found = components(sample(table, Questions.of(n)))
    assert found.answers**2 == pytest.approx(squares["Residual"] / n)
    question = (squares["C(question)"] - squares["Residual"]) / seeds / n
    assert found.questions**2 == pytest.approx(question)
    seed = max(0, (squares["C(seed)"] - squares["Residual"]) / n)
    assert found.seeds**2 == pytest.approx(seed)


def test_the_estimated_variance_is_about_right_on_average():
    rng = np.random.default_rng(16)
    n, seeds, estimates, differences = 200, 3, [], []
    for _ in range(1500):
        difficulty = rng.random(n)
        rows = []
        for _ in range(2):
            shift = rng.normal(0, 0.04, (seeds, 1))
            table = rng.random((seeds, n)) < np.clip(0.2 + 0.5 * difficulty + shift, 0, 1)
            rows.append(sample(table, Questions.of(n)))
        found = compare(*rows)
        estimates.append(found.uncertainty.variance)
        differences.append(found.difference)
    # Never less than nothing is a little more than right on average: it errs on the safe side.
    assert 0.95 < np.mean(estimates) / np.var(differences) < 1.2


def test_with_one_side_to_vary_squared_half_widths_are_added():
    known = Uncertainty(0.4, 200, ((0.5, 0.1, 3),))
    assert known.variance == pytest.approx(0.9)
    for alpha in (0.3, 0.05, 1e-4, 1e-12):
        quantiles = (-stats.t_quantile(alpha / 2, free) for free in (200, 2))
        parts = [t**2 * part for t, part in zip(quantiles, (0.4, 0.5), strict=True)]
        assert known.half_width(alpha) == pytest.approx(math.sqrt(sum(parts)))
        assert known.p_value(known.half_width(alpha)) == pytest.approx(alpha)
    assert known.p_value(0) == pytest.approx(1)
    assert Uncertainty(0.4, 200, ((0.0, 0.1, 3),)).half_width(0.05) < known.half_width(0.05) / 2


def test_two_sides_have_fewer_degrees_than_if_their_ratio_were_known():
    alike = Uncertainty(0.0, 200, ((1.0, 0.0, 3), (1.0, 0.0, 3)))
    assert alike.df == pytest.approx(4 - LOST)
    one = Uncertainty(1e-12, 200, ((1.0, 0.0, 3), (1e-9, 0.0, 3)))
    assert one.df == pytest.approx(2)
    assert Uncertainty(1.0, math.inf).df == math.inf


def test_seeds_that_agree_by_chance_do_not_make_the_seeds_known():
    # No excess over flips: the flips' own share still has the degrees of its seeds.
    agreeing = Uncertainty(0.4, 1e6, ((0.0, 0.15, 3), (0.0, 0.15, 3)))
    assert agreeing.df == pytest.approx(0.4**2 / (0.1**2 / 1e6 + 0.3**2 / 2.5), rel=1e-3)


def test_grouped_questions_are_chosen_together():
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(60), 10)
    table = (rng.random(60) < 0.5)[groups][None, :]
    alone = sample(table, Questions.of(600))
    together = sample(table, Questions.of(600, tuple(groups)))
    assert together.question_variance == pytest.approx(10 * alone.question_variance, rel=0.02)


def test_groups_of_different_sizes_give_the_cluster_robust_variance():
    import statsmodels.api as sm

    rng = np.random.default_rng(17)
    sizes = rng.integers(1, 9, 80)
    groups = np.repeat(np.arange(80), sizes)
    values = (rng.random(80)[groups] < rng.random(groups.size)).astype(float)
    fit = sm.OLS(values, np.ones_like(values)).fit(
        cov_type="cluster",
        cov_kwds={"groups": groups, "use_correction": False},
    )
    found = sample(values[None], Questions.of(values.size, tuple(groups)))
    assert found.question_variance == pytest.approx(fit.bse[0] ** 2 * 80 / 79)


def test_several_answers_to_a_question_are_one_value_of_it():
    rng = np.random.default_rng(18)
    table = rng.random((3, 50, 8)) < 0.4
    first, second = sample(table, Questions.of(50)), sample(table.mean(axis=2), Questions.of(50))
    assert first.mean == pytest.approx(second.mean)
    assert first.question_variance == pytest.approx(second.question_variance)
    assert first.answer_variance == pytest.approx(second.answer_variance)


def test_pairs_of_seeds_are_compared_by_their_differences():
    rng = np.random.default_rng(19)
    n, shift = 300, rng.normal(0, 0.1, (5, 1))
    difficulty = rng.random(n)
    rows = [
        sample(rng.random((5, n)) < np.clip(0.2 + 0.5 * difficulty + shift, 0, 1), Questions.of(n))
        for _ in range(2)
    ]
    paired, apart = compare(*rows, paired=True), compare(*rows)
    assert paired.test == "t over questions and paired seeds"
    assert paired.difference == apart.difference
    assert paired.uncertainty.variance < apart.uncertainty.variance / 3
    one = rows[1].minus(rows[0])
    assert one.values == pytest.approx(rows[1].values - rows[0].values)


def test_fewer_seeds_than_three_support_no_claim_on_trainers():
    rng = np.random.default_rng(12)
    questions = Questions.of(200)
    rows = {seeds: sample(rng.random((seeds, 200)) < 0.5, questions) for seeds in (1, 2, 3)}
    assert compare(rows[3], rows[3]).claim == "trainers"
    assert compare(rows[3], rows[2]).claim == "checkpoints"
    assert compare(rows[1], rows[3]).claim == "checkpoints"
    assert compare(rows[1], rows[3], first_trained=False).claim == "trainers"
    assert compare(rows[3], rows[3], claim="checkpoints").test == "t over questions"


def test_a_mean_of_tasks_weighs_them_alike_and_has_its_seeds_once():
    rng = np.random.default_rng(13)
    first = sample(matrix(rng, 3, 100, sd=0.1), Questions.of(100))
    second = sample(matrix(rng, 3, 900, sd=0.1), Questions.of(900))
    both = mean_of_tasks([first, second])
    assert both.mean == pytest.approx((first.mean + second.mean) / 2)
    expected = (first.question_variance + second.question_variance) / 4
    assert both.question_variance == pytest.approx(expected)
    assert both.values == pytest.approx((first.values + second.values) / 2)
    assert both.answer_variance == pytest.approx(
        (first.answer_variance + second.answer_variance) / 4
    )


def test_what_is_shown_within_a_margin_is_two_one_sided_tests():
    from scipy import stats as scipy_stats

    rng = np.random.default_rng(20)
    first, second = (matrix(rng, 1, 800)[0] for _ in range(2))
    questions = Questions.of(800)
    found = compare(*(sample(one[None], questions) for one in (first, second)))
    apart = second.astype(float) - first
    for margin in (0.02, 0.05, 0.1):
        below = scipy_stats.ttest_1samp(apart, margin, alternative="less").pvalue
        above = scipy_stats.ttest_1samp(apart, -margin, alternative="greater").pvalue
        assert found.p_within(margin) == pytest.approx(max(below, above), rel=1e-6)
        assert found.p_below(margin) == pytest.approx(below, rel=1e-6)


NOISE = Noise(questions=0.06, seeds=0.01**2, answers=0.1)


def test_more_seeds_questions_and_fewer_comparisons_find_smaller_differences():
    sizes = [smallest_difference(NOISE, 1319, seeds, 15) for seeds in (3, 5, 10, 30)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] < smallest_difference(NOISE, 300, 5, 15)
    assert sizes[1] < smallest_difference(NOISE, 1319, 5, 66)
    assert smallest_difference(NOISE, 1319, 5, 15, sides=1) < sizes[1]
    # of many seeds and questions little is left but the normal formula
    known = (2 * (NOISE.seeds + NOISE.answers / 1319) / 200 + NOISE.questions / 1319) ** 0.5
    assert smallest_difference(NOISE, 1319, 200, 1) == pytest.approx(2.8016 * known, rel=0.02)


def test_the_plan_that_is_needed_finds_what_it_was_made_for():
    seeds = seeds_needed(NOISE, 1319, 15, 0.04)
    assert smallest_difference(NOISE, 1319, seeds, 15) <= 0.04
    assert smallest_difference(NOISE, 1319, seeds - 1, 15) > 0.04
    questions = questions_needed(NOISE, 5, 15, 0.04)
    assert smallest_difference(NOISE, questions, 5, 15) <= 0.04
    assert questions_needed(NOISE, 5, 15, 0.001) is None  # the seeds alone move more
    assert seeds_needed(NOISE, 30, 15, 0.001) is None


def test_a_difference_of_no_known_size_is_refused_for_too_few_seeds():
    with pytest.raises(ValueError, match="2 seeds"):
        smallest_difference(NOISE, 1319, 2, 15)
    assert Sample(np.array([0.5]), (np.zeros((1, 4)),)).seed_variance == 0
