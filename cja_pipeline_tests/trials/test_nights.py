"""What a night costs as history grows: the comparison of the runs."""

from __future__ import annotations

import pytest

from cja_pipeline.trials.nights import WHOLE, _compared


def step(room: str, name: str, cpu: float, peak: float) -> dict[str, object]:
    return {"room": room, "step": name, "cpu": cpu, "peak": peak}


def test_runs_are_compared_step_by_step_and_as_a_whole() -> None:
    rows = _compared(
        {
            "30": [step("1_sources", "crm", 1.0, 10), step("4_kpis", "funnel", 2.0, 30)],
            "365": [step("1_sources", "crm", 1.0, 20), step("4_kpis", "funnel", 5.0, 40)],
            "rebuild": [step("4_kpis", "funnel", 20.0, 50)],
        },
        "30",
        "365",
    )
    found = {(row["room"], row["step"]): row for row in rows}
    assert list(found) == [
        ("1_sources", "crm"), ("4_kpis", "funnel"), ("1_sources", ""), ("4_kpis", ""), (WHOLE, ""),
    ]  # fmt: skip
    night = found[WHOLE, ""]
    assert (night["cpu_30"], night["cpu_365"], night["cpu_rebuild"]) == (3.0, 6.0, 20.0)
    assert night["peak_365"] == 40
    assert night["growth"] == pytest.approx(2.0)
    assert night["of_rebuild"] == pytest.approx(0.3)
    assert found["1_sources", "crm"]["of_rebuild"] is None  # a rebuild asks no vendor
