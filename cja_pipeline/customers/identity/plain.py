"""The rules for ids and addresses as SQL, for values that need no more than these: printable ASCII.

Nearly all are, and a query reads them in a fraction of the time that Python takes. All others are read by the
Normaliser, whose answers these are.
"""

from __future__ import annotations

from collections.abc import Iterable

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.normalise import LONGEST_ID
from cja_pipeline.sql import literal

_LOCAL = "[a-z0-9.!#$%&'*+/=?^_`{|}~-]+"


def is_plain_id(value: str) -> str:
    """Condition: `plain_id` may read this (a SQL expression)."""
    return f"regexp_full_match({value}, '[!-~]+')"


def plain_id(value: str, rules: Identity) -> str:
    """`Normaliser.identifier` of a plain value."""
    junk = listed(junk.casefold() for junk in rules.junk_ids)
    unusable = f"length({value}) > {LONGEST_ID} OR trim({value}, '0-') = '' OR lower({value}) IN ({junk})"
    return f"CASE WHEN {unusable} THEN NULL ELSE {value} END"


def is_plain_mail(value: str) -> str:
    """Condition: `plain_domain` and `plain_mails` may read this."""
    return f"regexp_full_match({value}, '[!-?A-~]+@[!-?A-~]+')"


def plain_domain(value: str) -> str:
    """What a plain address says behind the @."""
    return f"split_part(lower({value}), '@', 2)"


def plain_mails(select: str, rules: Identity) -> str:
    """`Normaliser.email` of plain addresses.

    Args:
        select: a SELECT of value (a plain address) and domain (``Normaliser.domain`` of what it says).

    Returns:
        A SELECT of value, email (null: nobody's), spelled (as vendors hash it).
    """
    said, mail = rules.email, "concat(kept, '@', domain)"
    return (
        f"SELECT value, CASE WHEN domain IS NOT NULL AND regexp_full_match(local, {literal(_LOCAL)})"
        f" AND kept <> '' AND bare NOT IN ({listed(role.casefold() for role in said.role_names)})"
        f" AND {mail} NOT IN ({listed(junk.casefold() for junk in said.junk_values)}) THEN {mail}"
        " END AS email, spelled"
        f" FROM (SELECT *, CASE WHEN domain IN ({listed(said.ignore_dots)}) THEN replace(folded, '.', '')"
        " ELSE folded END AS kept"
        f" FROM (SELECT *, CASE WHEN domain IN ({listed(said.ignore_plus)}) THEN bare ELSE local"
        " END AS folded"
        " FROM (SELECT *, split_part(local, '+', 1) AS bare"
        " FROM (SELECT *, split_part(CASE WHEN starts_with(spelled, 'mailto:') THEN substr(spelled, 8)"
        " ELSE spelled END, '@', 1) AS local"
        f" FROM (SELECT value, domain, lower(value) AS spelled FROM ({select}))))))"
    )


def listed(values: Iterable[str]) -> str:
    """Literals for IN; never empty: a blank is no plain value."""
    return ", ".join(literal(value) for value in (" ", *values))
