"""What changed records say in canonical form, and keys of their identifiers, as temporary tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from cja_pipeline.customers.identity.exchange import arrow, fill, text_table
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.normalise import Normaliser, digits_of_date, fold, text
from cja_pipeline.customers.identity.plain import (
    is_plain_id,
    is_plain_mail,
    plain_domain,
    plain_id,
    plain_mails,
)
from cja_pipeline.customers.identity.plain_phones import read_plain_phones
from cja_pipeline.warehouse import Warehouse

IDS = ("crm_id", "login_id", "loyalty_id")
AT_ONCE = 200_000  # values that Python looks at in one go: bounds memory
LOOKUPS = ("names_of", "dates_of", "places_of", "ids_of", "emails_of", "phones_of")


def make_lookups(
    wh: Warehouse, normaliser: Normaliser, keyring: Keyring, default_dates: frozenset[str]
) -> None:
    """Read the temporary table `changed`; leave one per kind of value.

    Per value: names_of (value, name), places_of (value, place), dates_of (value, digits, ordered, born).
    Per record: ids_of (node and the key of each of `IDS`), emails_of (node, email, key, alias, digest: keys
    of the mailbox, of the spelling if it is another, of an address that arrived hashed), phones_of (node,
    key).
    """
    apply = partial(_apply, wh)
    apply("names_of", _distinct("first_name", "last_name"), lambda value: (normaliser.name(value),), ["name"])

    def place(value: str) -> tuple[str | None]:
        found = text(value)
        return ((fold(found) or None) if found else None,)

    apply("places_of", _distinct("address", "postcode", "city"), place, ["place"])

    def date(value: str) -> tuple[str | None, str | None, str | None]:
        born = normaliser.birth_date(value)
        digits = digits_of_date(born or value)
        is_default = born in default_dates or (born is None and digits in normaliser.placeholder_digits)
        if digits is None or is_default:
            return None, None, None
        return digits, "".join(sorted(digits)), born

    apply("dates_of", _distinct("birth_date"), date, ["digits", "ordered", "born"])
    _ids(wh, normaliser, keyring)
    _emails(wh, normaliser, keyring)
    _phones(wh, normaliser, keyring)


def _ids(wh: Warehouse, normaliser: Normaliser, keyring: Keyring) -> None:
    others = " UNION ".join(
        f"SELECT {column} AS value FROM changed WHERE NOT {is_plain_id(column)}" for column in IDS
    )
    _apply(wh, "other_ids", others, lambda value: (normaliser.identifier(value),), ["id"])
    keys, joins = "", ""
    pads: list[bytes] = []
    for column in IDS:
        given = f"c.{column}"
        plain = (
            f"CASE WHEN {is_plain_id(given)} THEN {plain_id(given, normaliser.rules)} ELSE {column}s.id END"
        )
        key, some = keyring.sql(column, f"sha256({plain})")
        keys, pads = f"{keys}, {key} AS {column}", [*pads, *some]
        joins += f" LEFT JOIN other_ids {column}s ON {column}s.value = {given}"
    known = f"coalesce({', '.join(f'c.{column}' for column in IDS)}) IS NOT NULL"
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE ids_of AS SELECT c.node{keys} FROM changed c{joins} WHERE {known}",
        pads,
    )
    wh.execute("DROP TABLE other_ids")


def _emails(wh: Warehouse, normaliser: Normaliser, keyring: Keyring) -> None:
    def mail(value: str) -> tuple[str | None, str | None]:
        return normaliser.email(value), normaliser.as_hashed_by_vendors(value)

    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE said_mails AS SELECT value, {is_plain_mail('value')} AS is_plain"
        " FROM (SELECT DISTINCT email AS value FROM changed WHERE email IS NOT NULL)"
    )
    said = f"SELECT DISTINCT {plain_domain('value')} AS said FROM said_mails WHERE is_plain"
    _apply(wh, "domains_of", said, lambda value: (normaliser.domain(value),), ["domain"])
    others = "SELECT value FROM said_mails WHERE NOT is_plain"
    _apply(wh, "other_mails", others, mail, ["email", "spelled"])
    mails = plain_mails(
        "SELECT value, domain FROM said_mails"
        f" JOIN domains_of ON said = {plain_domain('value')} WHERE is_plain",
        normaliser.rules,
    )
    key, pads = keyring.sql("email", "sha256(email)")
    alias, more = keyring.sql("email", "sha256(CASE WHEN spelled <> email THEN spelled END)")
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE mails_of AS SELECT value, email, {key} AS key, {alias} AS alias FROM"
        f" ({mails} UNION ALL SELECT value, email, spelled FROM other_mails)",
        [*pads, *more],
    )
    key, pads = keyring.sql("email", "digest")
    digests = _distinct("email_sha256")
    _apply(
        wh, "digests_of", digests, lambda value: (normaliser.email_digest(value),), ["digest"],
        f", {key} AS key", pads,
    )  # fmt: skip
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE emails_of AS SELECT c.node, m.email, m.key, m.alias, d.key AS digest"
        " FROM changed c LEFT JOIN mails_of m ON m.value = c.email"
        " LEFT JOIN digests_of d ON d.value = c.email_sha256"
        " WHERE c.email IS NOT NULL OR c.email_sha256 IS NOT NULL"
    )
    for name in ("said_mails", "domains_of", "other_mails", "mails_of", "digests_of"):
        wh.execute(f"DROP TABLE {name}")


def _phones(wh: Warehouse, normaliser: Normaliser, keyring: Keyring) -> None:
    numbers = " UNION ALL ".join(
        f"SELECT node, {column} AS value, country FROM changed WHERE {column} IS NOT NULL"
        for column in ("phone", "mobile")
    )
    read_plain_phones(wh, normaliser, numbers)
    others = "SELECT DISTINCT value, country FROM said_phones WHERE NOT is_read"
    _apply(wh, "other_phones", others, lambda value, country: (normaliser.phone(value, country),), ["number"])
    key, pads = keyring.sql("phone", "sha256(number)")
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE phones_of AS SELECT node, {key} AS key FROM ("
        "SELECT node, number FROM said_phones WHERE is_read UNION ALL"
        " SELECT s.node, o.number FROM said_phones s JOIN other_phones o"
        " ON o.value = s.value AND o.country IS NOT DISTINCT FROM s.country WHERE NOT s.is_read)"
        " WHERE number IS NOT NULL",
        pads,
    )
    for name in ("said_phones", "other_phones"):
        wh.execute(f"DROP TABLE {name}")


def _apply(
    wh: Warehouse,
    name: str,
    select: str,
    function: Callable[..., tuple[str | None, ...]],
    columns: Sequence[str],
    keyed: str = "",
    pads: Sequence[bytes] = (),
) -> None:
    """The lookup `name`: rows of a SELECT and what `function` makes of each, so many at a time.

    Args:
        columns: those that are made. keyed: more columns, as SQL on those there are. pads: its parameters.
    """
    import pyarrow as pa

    given = arrow(wh, select)
    for start in range(0, max(len(given), 1), AT_ONCE):
        some = given.slice(start, AT_ONCE)
        made = text_table(list(map(function, *(column.to_pylist() for column in some.columns))), columns)
        rows = pa.table([*some.columns, *made.columns], [*some.column_names, *columns])
        fill(wh, name, rows, keyed, pads, more=start > 0)


def _distinct(*columns: str) -> str:
    return " UNION ".join(
        f"SELECT DISTINCT {column} AS value FROM changed WHERE {column} IS NOT NULL" for column in columns
    )
