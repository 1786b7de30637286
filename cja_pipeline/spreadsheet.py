"""Tables as files: Parquet as they are, CSV in a form that a spreadsheet cannot take for formulas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# what a spreadsheet takes for a formula when a cell begins with it, behind spaces too
_FORMULA = re.compile(r"^\s*[=+\-@\t\r]|^[\t\r\n]")
# and what becomes such a cell where the spreadsheet's language separates by semicolons, quotes or not
_INSIDE = re.compile(r"([;\t\r\n]\s*)(?=[=+\-@])")


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A table as Parquet, compressed with Zstandard."""
    import io

    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def csv_bytes(frame: pd.DataFrame, but: re.Pattern[str] | None = None) -> bytes:
    """A table as CSV (RFC 4180) without formulas; numbers, dates and booleans are left alone, and so are
    texts that match `but` as a whole."""

    def safe_text(value: object) -> object:
        return value if but and isinstance(value, str) and but.fullmatch(value) else neutral(value)

    safe = frame.rename(columns=neutral)
    for place, column in enumerate(frame.columns):
        if holds_text(frame[column]):
            safe.isetitem(place, frame[column].map(safe_text, na_action="ignore"))
    return bytes(safe.to_csv(index=False, lineterminator="\r\n", date_format="%Y-%m-%d %H:%M:%S").encode())


def holds_text(column: pd.Series) -> bool:
    """Whether a column can hold text."""
    import pandas as pd

    return pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)


def neutral(value: object) -> object:
    """A text that no spreadsheet runs: ``=1+1`` becomes ``'=1+1``; anything but text is left alone."""
    if not isinstance(value, str):
        return value
    return _INSIDE.sub(r"\1'", f"'{value}" if _FORMULA.match(value) else value)
