"""Birth dates as people write them: which order a column uses is read from the column itself.

03/04/1985 is March or April, and only its neighbours tell: 25/04/1985 puts the day first, 04/25/1985 the
month. The order that more unambiguous dates of a column speak for (per source: two systems may differ) reads
the ambiguous ones; a date that fits one order only is read in that order wherever it stands.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Literal

from cja_pipeline.customers.identity.normalise import fold, text

if TYPE_CHECKING:
    import pandas as pd

Order = Literal["ymd", "dmy", "mdy", "ydm"]
ORDERS: tuple[Order, ...] = ("ymd", "dmy", "mdy", "ydm")  # in doubt the first that fits most dates
EARLIEST, LATEST = 1890, 2035
TWO_DIGIT_PIVOT = 30  # 31 is 1931, 30 is 2030: nobody is born in the future, but tables of children exist
_MONTHS = (
    "jan januar january janvier enero gennaio",
    "feb februar february fevrier febrero febbraio",
    "mar marz maerz march mars marzo mrz",
    "apr april avril abril aprile",
    "may mai mayo maggio",
    "jun juni june juin junio giugno",
    "jul juli july juillet julio luglio",
    "aug august aout agosto",
    "sep sept september septembre septiembre settembre",
    "oct okt october oktober octobre octubre ottobre",
    "nov november novembre noviembre",
    "dec dez december dezember decembre diciembre dicembre",
)
_MONTH = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_CLOCK = re.compile(r"[T ]\d{1,2}:\d{2}.*$")
_PARTS = re.compile(r"\d+|[a-z]+")


def read_dates(column: pd.Series, source: pd.Series | None = None) -> pd.Series:
    """ISO dates of a column in mixed formats.

    Args:
        column: dates as text (``3.4.1985``, ``04/03/85``, ``19850403``, ``3 April 1985``), dates, timestamps.
        source: system each row comes from; every system has an order of its own.

    Returns:
        ``YYYY-MM-DD``; digits in the order year, month, day where the parts make no possible date (slips of
        the pen are compared, not dropped); the year alone where nothing else is given; None where there is
        nothing that could be a date.
    """
    import pandas as pd

    if not column.notna().any():
        return pd.Series(None, index=column.index, dtype=object)
    parts = column if source is None else column.groupby(source.fillna("").astype(str), sort=False)
    if source is None:
        return _read(column)
    return pd.concat([_read(part) for _, part in parts]).reindex(column.index)


def _read(column: pd.Series) -> pd.Series:
    import pandas as pd

    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    parts = [_split(value) for value in distinct.tolist()]
    times = pd.Series(codes).value_counts()
    order = _order([(part, int(times[code])) for code, part in enumerate(parts) if part is not None])
    dates = pd.Series([*(part and _join(part, order) for part in parts), None], dtype=object).to_numpy()
    return pd.Series(dates[codes], index=column.index, dtype=object)


def _split(value: object) -> tuple[str, ...] | None:
    """Year, month and day in whatever order, as digits; a known year and a named month are marked."""
    if isinstance(value, dt.date) and value == value:
        return ("iso", value.strftime("%Y-%m-%d"))
    raw = text(value)
    if raw is None:
        return None
    plain = _CLOCK.sub("", raw.strip())
    plain = plain.removesuffix(".0")
    found = _PARTS.findall(fold(plain)) if not plain.isdigit() else [plain]
    named = [part for part in found if part in _MONTH]
    digits = tuple(part for part in found if part.isdigit())
    if named and len(digits) == 2:
        year, day = (digits[0], digits[1]) if len(digits[0]) == 4 else (digits[1], digits[0])
        return ("iso", _iso(year, str(_MONTH[named[0]]), day) or "")
    if len(digits) == 1 and len(digits[0]) in (7, 8, 9, 6, 4):
        return digits
    return digits if len(digits) == 3 else None


def _cut(parts: tuple[str, ...], order: Order) -> tuple[str, str, str] | None:
    """The parts as year, month, day in one order; None where the order does not apply."""
    if len(parts) == 1:
        packed = parts[0]
        if len(packed) == 8:
            widths = [4 if letter == "y" else 2 for letter in order]
        elif len(packed) == 6:
            widths = [2, 2, 2]
        else:
            return None
        ends = [sum(widths[: place + 1]) for place in range(3)]
        parts = tuple(packed[end - width : end] for end, width in zip(ends, widths, strict=True))
    by = dict(zip(order, parts, strict=True))
    return by["y"], by["m"], by["d"]


def _iso(year: str, month: str, day: str) -> str | None:
    if len(year) not in (2, 4) or len(month) > 2 or len(day) > 2:
        return None
    number = int(year)
    if len(year) == 2:
        number += 1900 if number > TWO_DIGIT_PIVOT else 2000
    try:
        found = dt.date(number, int(month), int(day))
    except ValueError:
        return None
    return found.isoformat() if EARLIEST <= number <= LATEST else None


def _order(values: list[tuple[tuple[str, ...], int]]) -> Order:
    """The order that fits most of the column's dates that do not fit every order."""
    counts = dict.fromkeys(ORDERS, 0)
    for parts, times in values:
        if parts[0] == "iso" or (len(parts[0]) in (4, 7, 9) and len(parts) == 1):
            continue
        for order in ORDERS:
            cut = _cut(parts, order)
            if cut is not None and _iso(*cut) is not None:
                # a year of four digits where the order says so tells more than two digits that could be one
                counts[order] += times * (2 if len(cut[0]) == 4 else 1)
    return max(ORDERS, key=lambda order: (counts[order], -ORDERS.index(order)))


def _join(parts: tuple[str, ...], order: Order) -> str | None:
    if parts[0] == "iso":
        return parts[1] or None
    if len(parts) == 1 and len(parts[0]) == 4:
        return parts[0] if EARLIEST <= int(parts[0]) <= LATEST else None
    for candidate in (order, *(other for other in ORDERS if other != order)):
        cut = _cut(parts, candidate)
        found = None if cut is None else _iso(*cut)
        if found is not None:
            return found
    cut = _cut(parts, order)
    digits = "".join(part.zfill(2) for part in cut) if cut else "".join(parts)
    return digits if 6 <= len(digits) <= 9 else None
