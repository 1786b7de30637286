"""The nightly job: every asset, one business day or a range of them in one run."""

import dagster as dg

from cja_pipeline.orchestration.partitions import daily

NIGHTLY = "nightly_refresh"


def nightly_job() -> dg.UnresolvedAssetJobDefinition:
    """All rooms in order; also what a backfill of any range runs."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        partitions_def=daily(),
        description="Pull, validate, merge, measure, draw and publish the last business day.",
        tags={"dagster/max_runtime": "7200"},
    )
