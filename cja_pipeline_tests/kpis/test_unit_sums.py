"""Moments over units against plain pandas on random rows, for every period and slice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.kpis.unit_rows import read_rows
from cja_pipeline.kpis.unit_sums import Moment, Total, evaluate, product, sum_units
from cja_pipeline.warehouse import Warehouse

DAYS = 12
# days 0 and 1 belong to no kept week; the last "week" is a running one
PERIODS = {"day": np.arange(DAYS), "week": np.maximum((np.arange(DAYS) - 2) // 4, -1)}
WANTED = {"day": ["device"], "week": ["device", "country"]}
SUM, OTHER = Total("sum", 0), Total("sum", 1)
BOTH, WHERE, ANY = Total("both", 0, 1), Total("where", 0, 1), Total("any", 1)
MOMENTS = [
    Moment(SUM),
    Moment(SUM, SUM),
    Moment(SUM, OTHER),
    Moment(Total("some", 0)),
    Moment(ANY),
    Moment(BOTH),
    Moment(WHERE, WHERE),
    Moment(WHERE, ANY),
]
ROWS = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.integers(0, DAYS - 1),
        st.sampled_from(["mobile", "desktop"]),
        st.sampled_from(["DE", "AT", "CH"]),
        st.integers(-1, 2),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=60,
)


def by_hand(rows: pd.DataFrame, grain: str, dimension: str) -> dict[tuple[str, int], list[float]]:
    period = PERIODS[grain][rows["day"]]
    value = rows[dimension] if dimension != "all" else "all"
    rows = rows.assign(period=period, value=value)[period >= 0]
    units = rows.groupby(["value", "period", "unit"])[["a", "b"]].sum().reset_index()
    a, b = units["a"], units["b"]
    where = a.where(b > 0, 0)
    terms = [a, a * a, a * b, a != 0, b > 0, (a > 0) & (b > 0), where * where, where * (b > 0)]
    found = (
        pd.concat([t.astype(float) for t in terms], axis=1).groupby([units["value"], units["period"]]).sum()
    )
    return {key: list(sums) for key, sums in zip(found.index, found.to_numpy(), strict=True)}


@pytest.fixture(scope="module")
def memory() -> Iterator[Warehouse]:
    with Warehouse(":memory:") as wh:
        yield wh


@settings(max_examples=50, deadline=None, derandomize=True)
@given(ROWS)
def test_moments_equal_pandas(memory, rows):
    frame = pd.DataFrame(rows, columns=["unit", "day", "device", "country", "a", "b"])
    memory.connection.register("log", frame)
    query = "select hash(unit) as unit, cast(day as integer) as day, device, country, a, b from log"
    read = read_rows(memory, query, ["device", "country"])
    found = sum_units(read.added_up(), MOMENTS, PERIODS, WANTED)
    for grain, names in WANTED.items():
        count = PERIODS[grain].max() + 1
        for name in ["all", *names]:
            cells = found[grain][name]
            label = read.labels.get(name, np.array(["all"]))
            keys = [(label[place // count], place % count) for place in cells.place.tolist()]
            expected = by_hand(frame, grain, name)
            assert set(keys) == set(expected)
            for key, sums in zip(keys, cells.sums, strict=True):
                assert sums == pytest.approx(expected[key])


def test_a_product_in_short_is_the_product():
    measures = [
        np.array(each, dtype=float)
        for each in zip(*itertools.product([-1, 0, 0.5, 2], repeat=2), strict=True)
    ]
    totals = [SUM, OTHER, BOTH, WHERE, ANY, Total("any", 0), Total("some", 0), Total("where", 0, 0)]
    for left, right in itertools.product(totals, repeat=2):
        each = [*evaluate([Moment(left), Moment(right), product(left, right)], measures)]
        np.testing.assert_array_equal(each[0] * each[1], each[2])
    assert product(BOTH, ANY) == Moment(BOTH)


def test_many_batches_are_one_table(warehouse, monkeypatch):
    """Combinations of values keep their number from batch to batch."""
    monkeypatch.setattr("cja_pipeline.kpis.unit_rows.BATCH", 2048)
    warehouse.execute(
        "create table log as select i % 997 as unit, i % 12 as day, 'd' || (i % 5) as device, "
        "'c' || (i // 3000) as country, i % 3 as a from range(20000) r(i)"
    )
    query = "select hash(unit), cast(day as integer), device, country, a from log"
    read = read_rows(warehouse, query, ["device", "country"])
    pairs = [read.labels[name][read.codes[name][read.slice]] for name in ("device", "country")]
    got = pd.DataFrame({"day": read.day, "device": pairs[0], "country": pairs[1], "a": read.measures[0]})
    expected = warehouse.df("select day, device, country, a from log")
    counts = [f.value_counts().sort_index() for f in (got, expected)]
    assert counts[0].to_dict() == counts[1].to_dict()
    assert len(read.codes["device"]) == len(
        set(itertools.product(*map(set, pairs))) & set(zip(*pairs, strict=True))
    )


def test_no_rows_give_no_cells(warehouse):
    query = "select hash(1) as unit, 1 as day, 'x' as device, 1 as a where false"
    read = read_rows(warehouse, query, ["device"])
    found = sum_units(read.added_up(), MOMENTS, PERIODS, {"week": ["device"]})
    assert found["week"]["all"].place.tolist() == []
    assert read.days(pd.Timestamp("2026-01-01").date()) == []
