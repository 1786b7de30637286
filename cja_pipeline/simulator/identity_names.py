"""Names, addresses and numbers of many made-up people, column by column."""

from __future__ import annotations

import numpy as np

from .columns import rng_for
from .names import CITIES, FIRST, LAST, NICKNAMES, STREETS, landline_number, mobile_number

PROVIDERS = [
    "gmail.com",
    "gmx.de",
    "web.de",
    "outlook.com",
    "t-online.de",
    "icloud.com",
    "posteo.de",
    "freenet.de",
]
_PROVIDER_SHARES = [0.36, 0.18, 0.15, 0.10, 0.08, 0.07, 0.03, 0.03]
JUNK_EMAILS = [
    "test@test.com",
    "noreply@shop.example",
    "info@example.com",
    "asdf@asdf.de",
    "kasse1@partner-nord.example",
]
JUNK_EMAILS += ["kasse2@partner-nord.example", "kein.email@filiale-sued.example", "n/a"]
JUNK_PHONES = ["0000000000", "+49123456", "unknown", "+49 40 5550100", "030 1234567", "999999999"]
JUNK_LOGINS = ["undefined", "null", "guest", "0", "web-gast-7", "kassenlogin"]
DEFAULT_DATES = ["1900-01-01", "1970-01-01", "1985-05-05"]
_FOLD = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ı": "i", "ć": "c", "'": "", " ": ""})


def pool(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Texts of a kind (first, last, street) and how likely each is: a few are common, most are rare."""
    if kind == "first":
        texts = sorted({name for names in FIRST.values() for name in names})
    elif kind == "street":
        lasts = [name for name in LAST["de"] if " " not in name][:400]
        texts = STREETS["de"] + [f"{name}straße" for name in lasts] + [f"{name}weg" for name in lasts]
    else:
        base = [name for name in LAST["de"] + LAST["en"] if " " not in name]
        heads = [
            "Ober",
            "Unter",
            "Hinter",
            "Nieder",
            "Alt",
            "Neu",
            "Hohen",
            "Lange",
            "Buch",
            "Eber",
            "Hagen",
            "Loh",
        ]
        texts = base + [head + name.lower() for head in heads for name in base]
    order = rng_for(seed, f"pool {kind}").permutation(len(texts))
    # Zipf-like: the most common surname in a thousand people, most in one of many
    weight = 1.0 / (np.arange(len(texts)) + {"first": 12, "last": 40, "street": 30}[kind])
    return np.array(texts, dtype=object)[order], weight / weight.sum()


def draw(rng: np.random.Generator, shares: np.ndarray, size: int) -> np.ndarray:
    return np.searchsorted(np.cumsum(shares), rng.random(size)).clip(max=len(shares) - 1)


def addresses(first: np.ndarray, last: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One private address per person, distinct."""
    n = len(first)
    style = rng.integers(0, 6, n).tolist()
    provider = draw(rng, np.array(_PROVIDER_SHARES), n).tolist()
    number = rng.integers(10, 9999, n).tolist()
    found, taken = [], set()
    folded = {name: name.lower().translate(_FOLD) for name in {*first.tolist(), *last.tolist()}}
    for f, s, kind, where, k in zip(first.tolist(), last.tolist(), style, provider, number, strict=True):
        f, s = folded[f], folded[s]
        local = (f"{f}.{s}", f"{f}.{s}{k % 100}", f"{f[0]}.{s}", f"{s}{k}", f"{f}{k}", f"{f}_{s}{k % 10}")[
            kind
        ]
        mail = f"{local}@{PROVIDERS[where]}"
        while mail in taken:
            k += 7
            mail = f"{local}{k}@{PROVIDERS[where]}"
        taken.add(mail)
        found.append(mail)
    return np.array(found, dtype=object)


def job_address(first: str, last: str, company: int) -> str:
    f, s = first.lower().translate(_FOLD), last.lower().translate(_FOLD)
    return f"{f[0]}.{s}@firma-{company}.example"


def styled(mail: str, kind: int) -> str:
    """The same mailbox, written in another way."""
    local, domain = mail.split("@")
    if kind == 0:
        return mail.upper()
    if kind == 1:
        return f" {mail}"
    if domain == "gmail.com":
        return f"{local}+shop@{domain}" if kind == 2 else f"{local.replace('.', '')}@googlemail.com"
    return mail.capitalize()


def slip(text: str, draw: int) -> str:
    """One letter lost, doubled, replaced or swapped with its neighbour."""
    if len(text) < 3:
        return text
    at = 1 + draw % (len(text) - 2)
    kind = draw // 31 % 4
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    return text[:at] + (text[at] if kind == 2 else "eaionrst"[draw // 7 % 8]) + text[at + (kind == 3) :]


def short_form(name: str) -> str:
    return NICKNAMES.get(name, name)


def mobile(person: int) -> str:
    return mobile_number("DE", person)


def landline(household: int) -> str:
    return landline_number("DE", household)


def phone_style(number: str, kind: int) -> str:
    """An international German number as people write it."""
    national = number.removeprefix("+49")
    return (
        number,
        f"0{national}",
        f"0049{national}",
        f"+49 {national[:3]} {national[3:]}",
        f"0{national[:3]}/{national[3:]}",
    )[kind]


def towns() -> tuple[np.ndarray, list[str]]:
    cities = CITIES["DE"]
    return np.array([name for name, _ in cities], dtype=object), [start for _, start in cities]
