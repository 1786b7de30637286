"""Statistics against published results, against brute force, and by coverage in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cja_pipeline.kpis import stats

SIX_MP = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
SIX_MP_SEEN = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_newcombe_1998(successes: int, n: int, low: float, high: float) -> None:
    assert stats.wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (1, 30, 0.0059, 0.1667),
        (20, 1000, 0.01298, 0.03069),
        (100, 5000, 0.01647, 0.02427),
    ],
)
def test_wilson_golden_values(successes: int, n: int, low: float, high: float) -> None:
    assert stats.wilson(successes, n) == pytest.approx((low, high), abs=6e-5)


def test_wilson_of_nothing_is_unknown() -> None:
    low, high = stats.wilson(np.array([0, 5]), np.array([0, 5]))
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert (round(float(low[1]), 4), float(high[1])) == (0.5655, 1.0)


@pytest.mark.parametrize(
    ("a", "na", "b", "nb", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
    ],
)
def test_difference_equals_newcombe_1998(a: int, na: int, b: int, nb: int, low: float, high: float) -> None:
    found = stats.newcombe_difference(a, na, b, nb)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_nps_golden_values() -> None:
    assert stats.nps(60, 15, 100)[:3] == pytest.approx((45, 30.5, 59.5), abs=0.05)
    assert stats.nps(50, 20, 100).high - 30 == pytest.approx(15.3, abs=0.05)
    assert stats.nps(500, 200, 1000).high - 30 == pytest.approx(4.8, abs=0.05)
    assert np.isnan(stats.nps(0, 0, 0).value)


def test_kaplan_meier_equals_freireich() -> None:
    curve = stats.kaplan_meier(SIX_MP, SIX_MP_SEEN)
    assert curve.survival == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert curve.quantile()[0] == 23
    # standard errors printed by Kleinbaum & Klein, table 2.3
    assert curve.survival * np.sqrt(curve.greenwood) == pytest.approx(
        [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346], abs=5e-5
    )
    chi2, p = stats.log_rank(SIX_MP, SIX_MP_SEEN, PLACEBO, np.ones(21))
    assert chi2 == pytest.approx(16.79, abs=0.01)
    assert p < 0.0001


def test_survival_beyond_observation_is_unknown_and_unreached_is_infinite() -> None:
    curve = stats.kaplan_meier([1, 2, 9], [True, False, False])
    assert np.isnan(curve.at(10)[0])
    assert curve.quantile(0.5)[0] == np.inf
    assert np.isnan(stats.kaplan_meier([], []).quantile()[0])
    everybody = stats.kaplan_meier([1, 2], [1, 1])
    assert everybody.at(50) == (0.0, 0.0, everybody.high[0])
    assert everybody.restricted_mean(10) == pytest.approx(1.5)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_kaplan_meier_equals_brute_force(rows: list[tuple[int, bool]]) -> None:
    curve = stats.kaplan_meier([t for t, _ in rows], [e for _, e in rows])
    share = 1.0
    for position, time in enumerate(sorted({t for t, e in rows if e})):
        risk = sum(t >= time for t, _ in rows)
        share *= 1 - sum(t == time and e for t, e in rows) / risk
        assert curve.survival[position] == pytest.approx(share)
        assert curve.at_risk[position] == risk


def test_benjamini_hochberg_example_of_1995() -> None:
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    q = stats.benjamini_hochberg([*p, np.nan])
    assert int((q <= 0.05).sum()) == 4
    assert np.isnan(q[-1])
    assert q[:4] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625])


def test_poisson_limits_equal_garwood() -> None:
    low, high = stats.poisson(np.array([0, 1, 10, 100]))
    assert low == pytest.approx([0, 0.025, 4.80, 81.36], abs=6e-3)
    assert high == pytest.approx([3.69, 5.57, 18.39, 121.63], abs=6e-3)


def test_ratio_of_estimates_reduces_to_the_random_part() -> None:
    assert stats.mover_ratio(100, 100, 100, 20, 12, 31) == pytest.approx((100 / 31, 100 / 12))
    assert stats.mover_ratio(100, 80, 120, 20, 20, 20) == pytest.approx((4, 6))
    low, high = stats.mover_ratio(100, 80, 120, 5, 0, 12)
    assert low == pytest.approx(80 / 12)
    assert np.isnan(high)


def test_two_proportion_test() -> None:
    assert stats.two_proportion_p(56, 70, 48, 80) == pytest.approx(0.0080, abs=2e-4)
    assert stats.two_proportion_p(0, 10, 0, 10) == 1.0
    assert stats.two_proportion_p(10, 100, 30, 100, one_sided=True) < 0.001


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 4)), min_size=3, max_size=60
    ).filter(lambda rows: len({row[0] for row in rows}) > 1)
)
def test_moments_equal_rows(rows: list[tuple[int, int, int]]) -> None:
    cluster, num, den = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = stats.clustered_ratio(num, den, cluster)
    sums = {c: (num[cluster == c].sum(), den[cluster == c].sum()) for c in set(cluster)}
    ratio = num.sum() / den.sum()
    residual = sum((n - ratio * d) ** 2 for n, d in sums.values())
    count = len(sums)
    assert found.value == pytest.approx(ratio)
    assert found.se == pytest.approx(np.sqrt(count / (count - 1) * residual) / den.sum(), abs=1e-9)


def _visits(random: np.random.Generator, customers: int, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Orders and sessions per customer: heavy visitors buy more often, so sessions are not independent."""
    propensity = random.beta(1.0, 1 / mean - 1, customers)
    sessions = 1 + random.poisson(1 + 12 * propensity)
    return random.binomial(sessions, propensity), sessions


@pytest.mark.parametrize(("customers", "mean", "naive_fails"), [(400, 0.2, True), (2000, 0.03, False)])
def test_clustered_intervals_cover_and_naive_ones_do_not(
    customers: int, mean: float, naive_fails: bool
) -> None:
    random = np.random.Generator(np.random.Philox(11))
    orders, sessions = _visits(random, 2_000_000, mean)
    truth = orders.sum() / sessions.sum()
    draws = [_visits(random, customers, mean) for _ in range(2000)]
    moments = np.array(
        [(len(n), n.sum(), d.sum(), (n * n).sum(), (d * d).sum(), (n * d).sum()) for n, d in draws],
        dtype=float,
    ).T
    delta = stats.ratio_from_moments(*moments)
    score = stats.effective_wilson(delta.value, delta.se, moments[0], moments[2])
    naive = stats.wilson(moments[1], moments[2])
    for low, high in [(delta.low, delta.high), score]:
        assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.97
    if naive_fails:
        assert np.mean((naive.low <= truth) & (truth <= naive.high)) < 0.9


def test_revenue_quantile_and_survival_intervals_cover() -> None:
    random = np.random.Generator(np.random.Philox(5))
    hits = {"revenue": 0, "median": 0, "survival": 0, "aov": 0}
    runs = 1500
    for _ in range(runs):
        buyers = random.poisson(300)
        per_buyer = 1 + random.poisson(0.4, buyers)
        customer = np.repeat(np.arange(buyers), per_buyer)
        # orders of one customer resemble each other
        taste = random.normal(0, 0.4, buyers)
        value = np.exp(4 + taste[customer] + random.normal(0, 0.5, len(customer)))
        sums = np.bincount(customer, value, minlength=buyers)
        low, high = stats.compound_poisson(sums.sum(), (sums**2).sum())
        mean = np.exp(4 + 0.5 * (0.16 + 0.25))
        hits["revenue"] += low <= 300 * 1.4 * mean <= high
        aov = stats.clustered_ratio(value, np.ones(len(value)), customer)
        hits["aov"] += aov.low <= mean <= aov.high
        middle = stats.quantile(value, 0.5, customer)
        hits["median"] += middle.low <= np.exp(4) <= middle.high
        time, end = random.exponential(20, 150), random.uniform(5, 60, 150)
        _, s_low, s_high = stats.kaplan_meier(np.minimum(time, end), time <= end).at(15)
        hits["survival"] += s_low <= np.exp(-15 / 20) <= s_high
    for name, count in hits.items():
        assert 0.93 <= count / runs <= 0.97, name


def test_bootstrap_agrees_with_delta_and_repeats() -> None:
    random = np.random.Generator(np.random.Philox(3))
    orders, sessions = _visits(random, 800, 0.2)

    def ratio(weights: np.ndarray) -> float:
        return float((weights * orders).sum() / (weights * sessions).sum())

    interval = stats.bootstrap(ratio, 800, draws=400)
    delta = stats.clustered_ratio(orders, sessions)
    assert interval.low == pytest.approx(delta.low, abs=0.006)
    assert interval.high == pytest.approx(delta.high, abs=0.006)
    assert stats.bootstrap(ratio, 800, draws=50) == stats.bootstrap(ratio, 800, draws=50)
