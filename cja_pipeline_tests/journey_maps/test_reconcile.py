"""A page whose figures do not add up is not drawn; small groups cannot be computed from the rest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.journey_maps.page.render import render
from cja_pipeline.journey_maps.reconcile import SumError, reconcile, require_sums
from cja_pipeline.journey_maps.report import build_report
from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections import volumes
from cja_pipeline.journey_maps.sections.volumes import add_stage
from cja_pipeline.journey_maps.suppress import SUPPRESS, shown_parts, size_status
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.journey_maps.example import example
from cja_pipeline_tests.journey_maps.small_shop import SmallShop


def changed(section: str, item: str, column: str, value: float, stage: str = "") -> pd.DataFrame:
    frame = example()
    where = (frame["section"] == section) & (frame["item"] == item)
    if stage:
        where &= frame["stage"] == stage
    assert where.any()
    frame.loc[where, column] = value
    return frame


def test_the_example_adds_up() -> None:
    assert reconcile(example()) == []


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (changed("volume", "leave", "value", 1.0, "awareness"), "go on, stay or leave"),
        (changed("volume", "reached", "value", 18_371.0, "consideration"), "next stage"),
        (changed("touchpoint", "Direct", "share", 0.5, "awareness"), "shares of touchpoints"),
        (changed("path", "node/1/search", "value", 9.0), "flow into it"),
        (changed("attribution", "Email", "value", 5.0), "credit by channel"),
        (changed("attribution", "total", "target", 500_000.0), "net revenue of the same orders"),
        (changed("friction", "Checkout on phones", "low", 200_000.0), "upside down"),
        (changed("friction", "Checkout on phones", "share", 1.2), "a share of"),
    ],
)
def test_each_sum_is_checked(frame: pd.DataFrame, words: str) -> None:
    faults = reconcile(frame)
    assert any(words in fault for fault in faults)
    with pytest.raises(SumError, match="does not add up"):
        require_sums(frame)
    with pytest.raises(SumError):
        render(frame)


# every figure that has to agree with another one, wherever it stands
TIED = {
    "volume": ("value", "share"),
    "touchpoint": ("value", "share"),
    "path": ("value", "share", "n"),
    "attribution": ("value",),
    "opportunity": ("value",),
    "value": ("share",),
    "health": ("value",),
}


FREE = {("quarantine", "value"), ("reached", "share")}  # with nothing to agree with


def test_no_single_figure_can_be_changed_unseen() -> None:
    frame = example()
    changed_figures = 0
    for place, row in frame.iterrows():
        for column in TIED.get(str(row["section"]), ()):
            alone = row["section"] == "opportunity" and not str(row["status"]).endswith("first")
            if alone or pd.isna(row[column]) or (row["item"], column) in FREE:
                continue
            wrong = frame.copy()
            more = 0.01 if column == "share" else 3
            wrong.loc[place, column] = row[column] + more if column == "n" else row[column] * 1.1 + more
            assert reconcile(wrong), (row["section"], row["stage"], row["item"], column)
            changed_figures += 1
    assert changed_figures > 100


def test_a_headline_has_the_price_of_its_loss() -> None:
    with pytest.raises(SumError, match="in one place"):
        require_sums(changed("header", "headline", "value", 85_000.0))


def test_a_sum_that_fails_stops_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def one_too_many(rows: Rows, stage: str, counts: dict[str, int], **options: bool) -> None:
        add_stage(rows, stage, counts | {"leave": counts["leave"] + 1}, **options)

    monkeypatch.setattr(volumes, "add_stage", one_too_many)
    with Warehouse(":memory:") as warehouse:
        SmallShop().write(warehouse)
        with pytest.raises(SumError, match="go on, stay or leave"):
            build_report(warehouse, tmp_path)
        assert not warehouse.exists("journey_maps.journey_map")
    assert list(tmp_path.iterdir()) == []  # the last good page stays what it was


def test_other_groups_are_checked_each_for_itself() -> None:
    frame = pd.concat([example("all"), example("mobile")])
    assert reconcile(frame) == []
    frame.loc[(frame["segment"] == "mobile") & (frame["item"] == "leave"), "value"] = 0.0
    assert all(fault.startswith("mobile:") for fault in reconcile(frame))
    assert "</html>" in render(frame, "all")


def test_sizes() -> None:
    assert [size_status(n) for n in (None, 0, 1, 19, 20, 99, 100)] == [
        "suppressed",
        "suppressed",
        "suppressed",
        "suppressed",
        "small",
        "small",
        "",
    ]


@given(st.lists(st.integers(0, 400), min_size=3, max_size=3))
def test_no_hidden_part_follows_from_the_others(counts: list[int]) -> None:
    parts = dict(zip(("go_on", "open", "leave"), counts, strict=True))
    shown = shown_parts(parts)
    hidden = [name for name, (count, _) in shown.items() if count is None]
    assert hidden == [name for name, count in parts.items() if 0 < count < SUPPRESS]
    exact = [name for name, (_, status) in shown.items() if status == ""]
    if len(hidden) == 1:
        # what is shown exactly is not everything else, so the whole does not give the hidden part away
        others = [name for name in parts if name not in hidden and parts[name]]
        assert not others or len(exact) < len(parts) - 1 or not set(others) <= set(exact)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)), min_size=5, max_size=5))
def test_volumes_of_any_size_add_up(ends: list[tuple[int, int]]) -> None:
    rows = Rows()
    beyond = 0
    counts = []
    for still, left in reversed(ends):
        counts.append({"go_on": beyond, "open": still, "leave": left, "reached": beyond + still + left})
        beyond += still + left
    for stage, count in zip(STAGES, reversed(counts), strict=True):
        add_stage(rows, stage, count)
    assert reconcile(rows.frame()) == []
    assert "</html>" in render(rows.frame())
