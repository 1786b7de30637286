"""The nightly job: every asset, one business day or a range of them in one run."""

from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

if TYPE_CHECKING:  # Dagster does not export the type of what its own define_asset_job returns
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

AssetJob: TypeAlias = "UnresolvedAssetJobDefinition"
NIGHTLY = "nightly_refresh"


def nightly_job() -> AssetJob:
    """All rooms in order; also what a backfill of any range runs."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        description="Pull, validate, merge, measure, draw and publish the last business day.",
        tags={"dagster/max_runtime": "7200"},
    )
