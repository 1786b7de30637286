"""What every asset of the pipeline has in common, so that a room's ``assets.py`` says only what is its own.

An asset's body receives the run and the open warehouse, writes its declared tables and returns what is
worth telling. Opening, checking, counting, timing and reporting happen here, once.
"""

import inspect
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.machine import Cost, Meter
from cja_pipeline.orchestration.metadata import definition_metadata, plain
from cja_pipeline.orchestration.partitions import daily
from cja_pipeline.orchestration.resources import Store
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.validated.suites import suite_checks
from cja_pipeline.warehouse import Warehouse

progress = logging.getLogger("cja_pipeline.progress")


@dataclass
class Report:
    """What a body tells: metadata, results of its own checks, and rows if it writes no table."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[dg.AssetCheckResult] = ()
    rows: int | None = None


Body = Callable[[dg.AssetExecutionContext, Warehouse], Report]


def room_asset(
    group: str,
    *,
    tables: Sequence[str] = (),
    deps: Sequence[str] = (),
    kinds: set[str],
    owner: str,
    by_day: bool = False,
    own_checks: Mapping[str, str] | None = None,
    fresh: dg.FreshnessPolicy | None = None,
    show_columns: bool = True,
) -> Callable[[Body], dg.AssetsDefinition]:
    """Make an asset: named after its body, described by its docstring, checked by the suites of its tables.

    The suites run inside the step, so a failed blocking check stops everything downstream. `own_checks`
    names further blocking checks (name -> description) whose results the body returns in its report.
    `show_columns=False` is for assets whose page should open with a picture, not with a table of columns.
    """

    def decorate(body: Body) -> dg.AssetsDefinition:
        name = body.__name__
        specs = [spec for table in tables for spec in _suite_specs(name, table)]
        specs += [
            dg.AssetCheckSpec(name=check, asset=name, description=text, blocking=True)
            for check, text in (own_checks or {}).items()
        ]

        def step(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
            meter = Meter()
            with store.open() as warehouse:
                report = body(context, warehouse)
                rows = {table: warehouse.count(table) for table in tables}
                work = meter.read()
                crashpoint("step:written")
                results = [*_run_suites(warehouse, name, tables, context.run.run_id), *report.checks]
                keep_own(warehouse, name, context.run.run_id, own_checks or {}, report.checks)
                if any(_stops(result) for result in results):
                    _draw_quality(warehouse)  # nothing downstream will
            crashpoint("step:checked")
            done = sum(rows.values()) if tables else report.rows
            _log(group, name, work, meter.read(), done, results)
            counts = {f"rows_{TABLES[table].name}": rows[table] for table in tables[1:]}
            main = rows[tables[0]] if tables else report.rows
            return dg.MaterializeResult(
                metadata=plain({"dagster/row_count": main, **counts, **report.metadata}),
                check_results=results,
            )

        with warnings.catch_warnings():
            # single-run backfills are beta in Dagster and what a range of days needs
            warnings.simplefilter("ignore", dg.BetaWarning)
            asset = dg.asset(
                name=name,
                group_name=group,
                description=inspect.getdoc(body),
                deps=list(deps),
                kinds=kinds,
                owners=[owner],
                metadata=definition_metadata(list(tables), show_columns=show_columns),
                partitions_def=daily() if by_day else None,
                backfill_policy=dg.BackfillPolicy.single_run() if by_day else None,
                freshness_policy=fresh,
                check_specs=specs,
            )
            return asset(step)

    return decorate


def _log(
    group: str, name: str, work: Cost, cost: Cost, rows: int | None, results: Sequence[dg.AssetCheckResult]
) -> None:
    """One progress record per finished step, for whoever watches (the command line, the benchmark).

    `work` is the cost until the tables were written, `cost` that of the step with its checks."""
    failed = [result for result in results if not result.passed]
    record = {
        "group": group,
        "step": name,
        "rows": rows or 0,
        "cost": cost,
        "work": work,
        "checks": len(results),
        "warnings": [r.check_name for r in failed if r.severity == dg.AssetCheckSeverity.WARN],
        "errors": [r.check_name for r in failed if r.severity == dg.AssetCheckSeverity.ERROR],
    }
    progress.info(name, extra={"record": record})


def _stops(result: dg.AssetCheckResult) -> bool:
    return not result.passed and result.severity == dg.AssetCheckSeverity.ERROR


def keep_own(
    warehouse: Warehouse,
    asset: str,
    run_id: str,
    texts: Mapping[str, str],
    results: Sequence[dg.AssetCheckResult],
) -> None:
    """Keep the results of an asset's own checks beside those of the suites, under the asset's name."""
    if not results:
        return
    from cja_pipeline.validated.outcomes import own_outcome, store

    told = [
        own_outcome(run_id, asset, str(one.check_name), texts[str(one.check_name)], one.passed, one.metadata)
        for one in results
    ]
    store(warehouse, asset, run_id, told)


def _draw_quality(warehouse: Warehouse) -> None:
    """The quality page of a night that is about to stop."""
    from cja_pipeline.quality.report import write_quality_page

    write_quality_page(warehouse, get_settings())


def _check_name(asset: str, table: str, check_id: str) -> str:
    """The check's own name on the asset of its table; on other assets with the table before it."""
    short = TABLES[table].name
    return check_id if short == asset else f"{short}__{check_id}"


def _suite_specs(asset: str, table: str) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            name=_check_name(asset, table, check["check_id"]),
            asset=asset,
            description=f"{check['description']} When red: {check['advice']}",
            blocking=check["severity"] == "critical",
        )
        for check in suite_checks(table)
    ]


def _run_suites(
    warehouse: Warehouse, asset: str, tables: Sequence[str], run_id: str
) -> list[dg.AssetCheckResult]:
    """Validate tables against their suites with Great Expectations; one Dagster result per expectation."""
    if not any(suite_checks(table) for table in tables):
        return []
    from cja_pipeline.validated.runner import check

    return [
        dg.AssetCheckResult(
            check_name=_check_name(asset, table, outcome.check_id),
            passed=bool(outcome.passed),
            severity=dg.AssetCheckSeverity.ERROR
            if outcome.severity == "critical"
            else dg.AssetCheckSeverity.WARN,
            metadata=plain(
                {
                    "expected": outcome.expected,
                    "observed": outcome.observed,
                    "share_failed_percent": 100 * (outcome.share_failed or 0.0),
                    "rows_failed": outcome.rows_failed,
                    "rows_checked": outcome.rows_checked,
                    "what_to_do": outcome.advice,
                    "error": outcome.error,
                }
            ),
        )
        for table in tables
        for outcome in check(warehouse, table, run_id)
    ]
