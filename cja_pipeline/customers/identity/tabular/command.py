"""`cja resolve`: one customer out of any table of people; needs no night and no simulated shop."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cja_pipeline.customers.identity.tabular.file import Resolved


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--truth", help="Column that names the person behind each row: prints how well rows were joined."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of rows with customer_id (.csv or .parquet).",
)
@click.option(
    "--map",
    "mapping",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML file: which column holds which field.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def resolve(table: Path, truth: str | None, output: Path | None, mapping: Path | None, as_json: bool) -> None:
    """Give every row of a table of people a customer_id: rows of one person get the same.

    TABLE is a CSV or Parquet file. Columns are recognised by their headers (names, birth date, e-mail, phone,
    address, ids, source); what is not recognised is named in a YAML file with lines like `last_name: Kunde`.

    Example: cja resolve people.csv --truth person -o clusters.csv
    """
    from cja_pipeline.config import ConfigError
    from cja_pipeline.console import print_json
    from cja_pipeline.customers.identity.tabular.file import read_mapping, resolve_file

    started = time.perf_counter()

    def tell(text: str) -> None:
        click.echo(f"{time.perf_counter() - started:6.1f} s  {text}", err=True)

    try:
        columns = read_mapping(mapping) if mapping else None
        found = resolve_file(table, truth=truth, output=output, columns=columns, tell=tell)
    except (ValueError, ConfigError, OSError) as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    tell("done")
    if as_json:
        print_json(figures(found, output))
    else:
        _print(found, output)


def figures(found: Resolved, output: Path | None) -> dict[str, object]:
    """What is told about a resolved table, for machines."""
    sizes = found.table["customer_id"].value_counts()
    return {
        "rows": len(found.table),
        "customers": found.customers,
        "rows_alone": int((sizes == 1).sum()),
        "largest": int(sizes.max()) if len(sizes) else 0,
        "columns": found.columns,
        "notes": found.notes,
        "output": str(output) if output else None,
        "quality": None if found.quality is None else found.quality.as_dict(),
    }


def _print(found: Resolved, output: Path | None) -> None:
    from rich.console import Console

    from cja_pipeline.console import print_table

    console = Console()
    print_table(console, ["field", "column"], [[k, " + ".join(v)] for k, v in found.columns.items()])
    for note in found.notes:
        click.secho(f"note: {note}", fg="yellow")
    told = figures(found, output)
    click.echo(
        f"{told['rows']:,} rows are {told['customers']:,} customers; {told['rows_alone']:,} rows are alone, "
        f"the largest customer has {told['largest']:,} rows."
    )
    if found.quality is not None:
        q = found.quality
        rows = [
            ["precision", f"{q.precision:.4f}", "of pairs put together, share that are one person"],
            ["recall", f"{q.recall:.4f}", "of pairs that are one person, share put together"],
            ["F1", f"{q.f1:.4f}", "harmonic mean of the two"],
            [
                "B-cubed F1",
                f"{q.bcubed_f1:.4f}",
                f"per row: precision {q.bcubed_precision:.4f}, recall {q.bcubed_recall:.4f}",
            ],
            ["over-merged", f"{q.over_merged:.4f}", "share of rows in a group of two or more people"],
            ["split", f"{q.split:.4f}", "share of rows whose person is in two or more groups"],
            ["largest group", f"{q.largest:,}", f"rows; {q.groups:,} groups for {q.people:,} people"],
        ]
        print_table(console, [f"{q.records:,} rows with a truth", "", ""], rows)
    if output is not None:
        click.echo(f"Written to {output}")
