"""Named places where a process may die: every boundary between two states of the disk.

In production a crash point does nothing. With ``CJA_CRASH_AT=<name>:<n>`` in the environment the process
kills itself there, the n-th time it comes by, as a power cut or the kernel would: no handler runs, nothing is
flushed. The tests die at every point in turn and hold what the next run makes of it against an undisturbed
one.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "CJA_CRASH_AT"

POINTS = {
    "night:claimed": "the attempt is written in the warehouse, nothing else is done",
    "landing:written": "a folder is complete under its temporary name",
    "landing:between_renames": "the earlier folder is renamed away, the new one not yet in place",
    "landing:renamed": "the new folder is in place, the earlier one not yet removed",
    "load:staged": "the landed files are read, no row of the warehouse has changed",
    "load:rows_written": "the day's rows are replaced inside the transaction, its books are not",
    "load:before_commit": "rows, quarantine and ledger are written, not committed",
    "load:committed": "the day is committed, the report of it is lost",
    "identity:before_commit": "all identity tables are written, not committed",
    "identity:committed": "the identity tables are committed",
    "table:before_commit": "a table of a later room is replaced, not committed",
    "table:committed": "the replaced table is committed",
    "step:written": "an asset's tables are written, its checks have not run",
    "step:checked": "an asset's checks are kept, Dagster has not heard of it",
    "report:temporary": "a page is complete under its temporary name",
    "report:renamed": "a page is in place, the others of the night are not",
    "report:archived": "the day's folder is written, `latest` still shows the night before",
    "publish:begun": "a publication is announced, the serving database is untouched",
    "publish:before_commit": "everything is written in the serving database, not committed",
    "publish:committed": "readers see the new night, the warehouse does not remember what it published",
    "publish:remembered": "the warehouse remembers, the announcement is still there",
}

_passed: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """Die here if the environment says so; `name` is one of `POINTS`."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    point, _, nth = wanted.rpartition(":")
    if point == name:
        _passed[name] += 1
        if _passed[name] == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)
