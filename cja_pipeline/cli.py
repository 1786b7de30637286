"""`cja`: the command line."""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """Customer-journey analytics from the command line."""
