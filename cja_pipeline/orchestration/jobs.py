"""The jobs: every asset, one business day or a range of them in one run; and all rooms after the sources."""

from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

if TYPE_CHECKING:  # Dagster does not export the type of what its own define_asset_job returns
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

AssetJob: TypeAlias = "UnresolvedAssetJobDefinition"
NIGHTLY = "nightly_refresh"
REBUILD = "rebuild_from_landings"


def nightly_job() -> AssetJob:
    """All rooms in order; also what a backfill of any range runs."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        description="Pull, validate, merge, measure, draw and publish the last business day.",
        tags={"dagster/max_runtime": "7200"},
    )


def rebuild_job() -> AssetJob:
    """Every room but the sources: makes all tables again from what was landed; no vendor is asked."""
    return dg.define_asset_job(
        REBUILD,
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups("1_sources"),
        description="Make every table again from what was landed. `cja rebuild` runs it.",
    )
