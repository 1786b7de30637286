"""Room 1: fetch what the vendors know and land it as received.

`pull` lands one source; `registry.load_sources` reads the configured ones; `manifest` and `landing` describe
what is on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cja_pipeline.sources.reports import PullReport


def pull(*arguments: Any, **options: Any) -> list[PullReport]:
    """Land one source; arguments and errors as in `dispatch.pull`. The HTTP library is loaded only then."""
    from cja_pipeline.sources.dispatch import pull as run

    return run(*arguments, **options)
