"""What people wrote, made safe to show: cleaned, without personal details, short.

Redaction prefers to hide too much. A quote that still looks like it names somebody after redaction is not
shown at all, because a page is copied and mailed to people who never agreed to read it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

QUOTE_LIMIT = 140
MASK = "[…]"

# characters that change how other text is read: bidirectional overrides and isolates, zero-width, tags
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_SPACES = re.compile(r"[ \t\r\n\f\v\u0085\u2028\u2029]+")
_MARKS = re.compile(
    r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{2})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+"
)

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"]{1,64}\s?(?:@|\(at\)|\[at\]|＠)\s?[^\s@<>()\[\],;:\"]{1,190}", re.I)
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.I)
_HANDLE = re.compile(r"\S*[@＠]\S*")  # whatever is left with an at sign
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{2,4}){3,8}\b")
# anything with five digits or more once its separators are taken out: phones, orders, cards, postcodes
_DIGITS = re.compile(r"(?<![\w])[+#(]?\d(?:[\s\-./()\u202f\u00a0]*\d){4,}")
_CODE = re.compile(
    r"\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*\d[A-Za-z0-9_-]*\b"
)
_GREETING = re.compile(
    r"\b(?P<word>(?i:hi|hello|dear|hallo|liebe[rs]?|sehr geehrte[rs]?|thanks|thank you|danke|regards|cheers|"
    r"gr(?:ü|ue)(?:ß|ss)e|gru(?:ß|ss)|mfg|best|yours|sincerely|my name is|i am|i'm|ich hei(?:ß|ss)e|"
    r"mein name ist|ich bin|this is|hier ist|mr|mrs|ms|dr|herr|frau|señor|señora|monsieur|madame))"
    r"(?P<gap>[.,:]?\s+)(?P<name>[A-ZÀ-ÖØ-Þ][\w'’\-]+(?:\s+[A-ZÀ-ÖØ-Þ][\w'’\-]+){0,2})"
)
_STREET = re.compile(
    r"\b[A-ZÀ-Þ][\w\-]*(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse| street| road| avenue| lane)"
    r"\s*\d+\s?[a-z]?\b"
)
_KEEP = re.compile(r"^(?:\d{1,4}|\d{1,3}(?:st|nd|rd|th|x|%|h|kg|cm|mm|ml|km|gb|g|l|m))$", re.I)


def clean(text: str, limit: int) -> str:
    """Text without control, invisible and direction-changing characters, normalised, cut to `limit`."""
    if len(text) > limit * 4:  # nothing beyond this can survive; do not normalise megabytes
        text = text[: limit * 4]
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFC", text)
    text = _INVISIBLE.sub("", _SPACES.sub(" ", text))
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cs", "Co", "Cn"))
    text = _MARKS.sub(r"\1", text).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def redact(text: str, names: Iterable[str] = ()) -> str:
    """Text with e-mail addresses, links, handles, numbers of five digits and more, codes, streets and names
    replaced by ``[…]``. `names` are known names (any case) to hide wherever they stand as a word."""
    text = clean(text, 2_000)
    for pattern in (_EMAIL, _LINK, _IBAN, _HANDLE, _STREET, _DIGITS):
        text = pattern.sub(MASK, text)
    text = _CODE.sub(lambda match: match.group() if _KEEP.match(match.group()) else MASK, text)
    text = _GREETING.sub(lambda match: match["word"] + match["gap"] + MASK, text)
    known = sorted({name.strip() for name in names if len(name.strip()) > 1}, key=len, reverse=True)
    if known:
        words = "|".join(re.escape(name) for name in known)
        text = re.sub(rf"(?<!\w)(?:{words})(?!\w)", MASK, text, flags=re.I)
    return re.sub(rf"(?:{re.escape(MASK)}[\s,;.]*){{2,}}", MASK + " ", text).strip()


def quote(text: str | None, names: Iterable[str] = ()) -> str:
    """A redacted quote of at most 140 characters, or an empty string where none may be shown.

    Shown are only quotes with at least three words left and no more than one redaction.
    """
    if not text:
        return ""
    hidden = redact(text, names)
    words = [word for word in re.findall(r"\w+", hidden) if not word.isdigit()]
    if len(words) < 3 or hidden.count(MASK) > 1:
        return ""
    if len(hidden) > QUOTE_LIMIT:
        hidden = hidden[: QUOTE_LIMIT - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
    return hidden
