"""Numbers, money, dates and durations as text: no process locale, no clock, the same bytes everywhere.

The language decides the decimal mark, the grouping mark, month names and the words for thousand and million;
all of them come from the labels file. Spaces inside a figure are narrow and do not break.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

THIN = "\u202f"  # narrow no-break space: between a figure and the per-cent sign
TIED = "\u00a0"  # no-break space: between a figure and a word or a currency sign
MINUS = "\u2212"
DASH = "\u2013"
NOTHING = "\u2013"  # what a missing figure looks like

SYMBOLS = {
    "EUR": "€",
    "USD": "$",
    "GBP": "£",
    "JPY": "¥",
    "CNY": "CN¥",
    "INR": "₹",
    "KRW": "₩",
    "PLN": "zł",
    "CZK": "Kč",
    "BRL": "R$",
    "CAD": "CA$",
    "AUD": "A$",
    "TRY": "₺",
    "UAH": "₴",
}
ZERO_DECIMAL = {"JPY", "KRW", "CLP", "ISK", "VND"}
THREE_DECIMAL = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
MONTH = 365.25 / 12 * 86_400  # seconds
LARGE = 1e15  # beyond this a figure is written with a power of ten


@dataclass(frozen=True)
class Formats:
    """The conventions of one language, and every formatting function the page uses.

    A missing figure (None, NaN, infinite) is always an en dash, never zero.
    """

    decimal: str = "."
    group: str = ","
    thousand: str = "k"
    million: str = "M"
    billion: str = "bn"
    currency_first: bool = True
    day_first_dot: bool = False
    to: str = "to"
    minutes: str = "min"
    seconds: str = "s"
    hour: tuple[str, str] = ("hour", "hours")
    day: tuple[str, str] = ("day", "days")
    month_word: tuple[str, str] = ("month", "months")
    points: str = "pt"
    months: tuple[str, ...] = field(default=())
    months_short: tuple[str, ...] = field(default=())

    # --- plain numbers -----------------------------------------------------------------------------
    def number(self, value: float | None, digits: int = 0, *, signed: bool = False) -> str:
        """``1234.5 -> "1,234.5"`` with exactly `digits` decimals, rounded half up."""
        if not usable(value):
            return NOTHING
        assert value is not None  # noqa: S101 - narrows the type; usable() said so
        if abs(value) >= LARGE:
            exponent = math.floor(math.log10(abs(value)))
            return f"{self.number(value / 10**exponent, 1, signed=signed)}{TIED}× 10^{exponent}"
        quantum = Decimal(1).scaleb(-digits)
        rounded = Decimal(repr(float(value))).quantize(quantum, rounding=ROUND_HALF_UP)
        sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
        whole, _, fraction = f"{abs(rounded):f}".partition(".")
        grouped = f"{int(whole):,}".replace(",", self.group)
        return sign + grouped + (self.decimal + fraction if fraction else "")

    def short(self, value: float | None, *, signed: bool = False, exact_below: float = 100_000) -> str:
        """A count in few characters: exact below `exact_below`, then ``412 k``, ``1.2 M``, ``3.4 bn``."""
        if not usable(value):
            return NOTHING
        assert value is not None  # noqa: S101
        size = abs(value)
        if size < exact_below:
            return self.number(value, signed=signed)
        for limit, divisor, word in (
            (999_500, 1e3, self.thousand),
            (999_500_000, 1e6, self.million),
            (math.inf, 1e9, self.billion),
        ):
            if size < limit:
                amount = round(value / divisor, 1)
                digits = 1 if abs(amount) < 10 and amount % 1 else 0
                return f"{self.number(value / divisor, digits, signed=signed)}{TIED}{word}"
        return NOTHING

    def percent(self, share: float | None, digits: int | None = None, *, sign: bool = True) -> str:
        """``0.0294 -> "2.94 %"``; without `digits`, two below ten per cent and one above."""
        if not usable(share):
            return NOTHING
        assert share is not None  # noqa: S101
        value = share * 100
        if digits is None:
            digits = 2 if abs(value) < 9.995 else 1
        smallest = 10.0**-digits
        unit = f"{THIN}%" if sign else ""
        if 0 < value < smallest / 2:
            return f"<{THIN}{self.number(smallest, digits)}{unit}"
        return self.number(value, digits) + unit

    def change(self, share: float | None) -> str:
        """A relative change: ``0.061 -> "+6.1 %"``."""
        if not usable(share):
            return NOTHING
        assert share is not None  # noqa: S101
        return f"{self.number(share * 100, 1, signed=True)}{THIN}%"

    def change_in_points(self, difference: float | None) -> str:
        """A difference of two shares: ``-0.0011 -> "−0.11 pt"``."""
        if not usable(difference):
            return NOTHING
        assert difference is not None  # noqa: S101
        digits = 2 if abs(difference) < 0.00995 else 1
        return f"{self.number(difference * 100, digits, signed=True)}{TIED}{self.points}"

    # --- money -------------------------------------------------------------------------------------
    def money(
        self,
        value: float | None,
        currency: str | None,
        *,
        rough: bool = False,
        signed: bool = False,
    ) -> str:
        """``84000, "EUR" -> "€ 84 k"``; below 100 with the decimals of the currency.

        `rough` is for estimates: thousands from 1,000 on, no decimals from ten on.
        """
        if not usable(value):
            return NOTHING
        assert value is not None  # noqa: S101
        size = abs(value)
        exact_below = 999.5 if rough else 9_995
        if size >= exact_below:
            figure = self.short(size, exact_below=exact_below)
        else:
            coins = size < (9.995 if rough else 99.995)
            figure = self.number(size, decimals(currency) if coins else 0)
        sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
        return sign + self.with_currency(figure, currency)

    def with_currency(self, figure: str, currency: str | None) -> str:
        """The figure and the currency's sign in the order of the language."""
        if not currency or not (len(currency) == 3 and currency.isascii() and currency.isupper()):
            return figure  # not an ISO code: better no unit than a wrong or a hostile one
        symbol = SYMBOLS.get(currency, currency)
        return f"{symbol}{TIED}{figure}" if self.currency_first else f"{figure}{TIED}{symbol}"

    # --- time --------------------------------------------------------------------------------------
    def duration(self, seconds: float | None) -> str:
        """``1140 -> "19 min"``, ``103680 -> "1.2 days"``."""
        if not usable(seconds):
            return NOTHING
        assert seconds is not None  # noqa: S101
        for limit, divisor, words in (
            (90, 1, (self.seconds, self.seconds)),
            (5_400, 60, (self.minutes, self.minutes)),
            (86_400, 3_600, self.hour),
            (120 * 86_400, 86_400, self.day),
            (math.inf, MONTH, self.month_word),
        ):
            if abs(seconds) < limit:
                amount = seconds / divisor
                digits = 1 if divisor >= 3_600 and amount < 9.95 and round(amount, 1) % 1 else 0
                figure = self.number(amount, digits)
                return f"{figure}{TIED}{words[0] if figure == '1' else words[1]}"
        return NOTHING

    def date(self, day: dt.date | None, *, short: bool = False, year: bool = True) -> str:
        """``24 October 2026``; short ``24 Oct 2026``."""
        if day is None:
            return NOTHING
        month = (self.months_short if short else self.months)[day.month - 1]
        dot = "." if self.day_first_dot else ""
        return f"{day.day}{dot} {month}" + (f" {day.year}" if year else "")

    def dates(self, start: dt.date | None, end: dt.date | None, *, short: bool = False) -> str:
        """``24 October – 20 November 2026``, ``25 – 27 October 2026``: what is the same is written once."""
        if start is None or end is None:
            return NOTHING
        if start == end:
            return self.date(end, short=short)
        first = self.date(start, short=short, year=start.year != end.year)
        if (start.year, start.month) == (end.year, end.month):
            first = f"{start.day}{'.' if self.day_first_dot else ''}"
        return f"{first} {DASH} {self.date(end, short=short)}"

    def moment(self, at: dt.datetime | None) -> str:
        """``21 Nov 2026, 02:41`` in whatever zone the value is."""
        return NOTHING if at is None else f"{self.date(at.date(), short=True)}, {at:%H:%M}"

    def month(self, text: str, *, year: bool = True) -> str:
        """``"2026-05" -> "May 2026"`` (short month names); other text is returned as it is."""
        try:
            day = dt.date.fromisoformat(f"{text[:7]}-01")
        except ValueError:
            return text
        return self.months_short[day.month - 1] + (f" {day.year}" if year else "")

    def between(self, low: str, high: str) -> str:
        """``"2.79 %", "3.09 %" -> "2.79 to 3.09 %"``: what both ends share is written once."""
        for gap in (THIN, TIED):
            figure, _, unit = low.rpartition(gap)
            if figure and unit and not unit[-1].isdigit() and high.endswith(gap + unit):
                low = figure
        for gap in (THIN, TIED):
            unit, _, figure = high.partition(gap)
            if figure and unit and not unit[-1].isdigit() and low.startswith(unit + gap):
                high = figure
        return f"{low} {self.to} {high}"


def decimals(currency: str | None) -> int:
    """How many decimals a currency's smallest coin needs."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def usable(value: float | None) -> bool:
    """Whether a figure can be written: not None, not NaN, not infinite."""
    return value is not None and math.isfinite(value)


def from_labels(words: Mapping[str, object]) -> Formats:
    """Formats from the ``formats`` block of a labels file."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in words.items()}
    return Formats(**values)  # type: ignore[arg-type]
