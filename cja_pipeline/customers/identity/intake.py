"""What is new: records as received become canonical records and keyed identifiers, where they changed.

Python sees each distinct value once; everything else is set work of the warehouse, so that millions of
records need neither time nor memory per row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.normalise import Normaliser, digits_of_date, fold, text
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

IDENTIFIERS = (
    "crm_id",
    "merged_crm_ids",
    "login_id",
    "loyalty_id",
    "email",
    "email_sha256",
    "phone",
    "mobile",
)
DESCRIPTIONS = ("first_name", "last_name", "birth_date", "country", "address", "postcode", "city")
RECORD_COLUMNS = ("record_key", "kind", "source", *IDENTIFIERS, *DESCRIPTIONS)
AT_ONCE = 200_000  # values that Python looks at in one go: bounds memory
NODE = "CAST(md5_number_lower(record_key) >> 1 AS BIGINT)"


class Intake:
    """Brings identity_records and identity_keys up to date with the records of today."""

    def __init__(
        self, wh: Warehouse, rules: Identity, keyring: Keyring, default_dates: frozenset[str]
    ) -> None:
        self._wh, self._keyring = wh, keyring
        self._normaliser = Normaliser(rules)
        self._default_dates = default_dates

    def read(self, select: str) -> int:
        """Find what changed since the last run; leaves the temporary table `changed`.

        Args:
            select: a SELECT with `RECORD_COLUMNS`, all VARCHAR, record_key distinct.

        Returns:
            How many records were added, changed or are gone (temporary table `moved`: node).
        """
        wh = self._wh
        for table in ("identity_records", "identity_keys"):
            wh.ensure(f"customers.{table}")
        self._fill("crm_roots", _table(self._crm_roots(select), ("crm_id", "root")))
        content = ", ".join(f"r.{column}" for column in RECORD_COLUMNS if column != "merged_crm_ids")
        incoming = (
            f"SELECT {NODE} AS node, r.*, CAST(m.root AS UUID) AS root,"
            f" CAST(hash({content}, coalesce(m.root, '')) >> 1 AS BIGINT) AS content"
            f" FROM (SELECT {', '.join(RECORD_COLUMNS)} FROM ({select})) r"
            " LEFT JOIN crm_roots m ON m.crm_id = trim(r.crm_id)"
        )
        wh.execute(
            f"CREATE OR REPLACE TEMP TABLE changed AS SELECT i.* FROM ({incoming}) i LEFT JOIN "
            "customers.identity_records s ON s.node = i.node WHERE s.content IS DISTINCT FROM i.content"
        )
        wh.execute(
            "CREATE OR REPLACE TEMP TABLE moved AS SELECT node FROM changed UNION ALL "
            "SELECT s.node FROM customers.identity_records s"
            f" ANTI JOIN (SELECT {NODE} AS node FROM ({select})) i ON i.node = s.node"
        )
        return int(wh.scalar("SELECT count(*) FROM moved"))

    def write(self) -> None:
        """Replace what moved in identity_records and identity_keys; leaves `keys_moved` (key)."""
        wh = self._wh
        self._lookups()
        carriers_view(wh)
        carried = "SELECT key FROM customers.identity_carriers SEMI JOIN moved USING (node)"
        wh.execute(f"CREATE OR REPLACE TEMP TABLE keys_before AS {carried}")
        for table in ("identity_records", "identity_keys"):
            wh.execute(f"DELETE FROM customers.{table} WHERE node IN (SELECT node FROM moved)")
        wh.execute(f"INSERT INTO customers.identity_records {_sql('new_records')}")
        wh.execute(f"INSERT INTO customers.identity_keys {_sql('new_keys')}")
        wh.execute(f"CREATE OR REPLACE TEMP TABLE keys_moved AS SELECT key FROM keys_before UNION {carried}")
        for name in (
            "changed",
            "keys_before",
            "names_of",
            "dates_of",
            "mails_of",
            "digests_of",
            "phones_of",
            "places_of",
            "ids_of",
        ):
            wh.execute(f"DROP TABLE {name}")

    def _lookups(self) -> None:
        """Canonical form of each distinct value, as small tables; keys of identifiers."""
        of = self._normaliser

        def mail(value: str) -> tuple[str | None, str | None]:
            found = of.email(value)
            spelled = of.as_hashed_by_vendors(value) if found else None
            return found, None if spelled == found else spelled

        def digest(value: str) -> tuple[str | None]:
            return (of.email_digest(value),)

        def date(value: str) -> tuple[str | None, str | None, str | None]:
            born = of.birth_date(value)
            digits = digits_of_date(born or value)
            is_default = born in self._default_dates or (born is None and digits in of.placeholder_digits)
            if digits is None or is_default:
                return None, None, None
            return digits, "".join(sorted(digits)), born

        def name(value: str) -> tuple[str | None]:
            return (of.name(value),)

        def place(value: str) -> tuple[str | None]:
            found = text(value)
            return ((fold(found) or None) if found else None,)

        def phone(value: str, country: str | None) -> tuple[str | None]:
            return (of.phone(value, country),)

        def identifier(kind: str, value: str) -> tuple[str | None]:
            return (of.identifier(value),)

        self._apply("names_of", _distinct("first_name", "last_name"), name, ("value", "name"))
        self._apply("dates_of", _distinct("birth_date"), date, ("value", "digits", "ordered", "born"))
        self._apply("places_of", _distinct("address", "postcode", "city"), place, ("value", "place"))
        mails = {"key": "sha256(email)", "alias": "sha256(spelled)"}
        self._apply("mails_of", _distinct("email"), mail, ("value", "email", "spelled"), "'email'", mails)
        digests = {"key": "digest"}
        self._apply("digests_of", _distinct("email_sha256"), digest, ("value", "digest"), "'email'", digests)
        phones = " UNION ".join(
            f"SELECT {column} AS value, country FROM changed WHERE {column} IS NOT NULL"
            for column in ("phone", "mobile")
        )
        numbers = {"key": "sha256(number)"}
        self._apply("phones_of", phones, phone, ("value", "country", "number"), "'phone'", numbers)
        ids = " UNION ".join(
            f"SELECT '{kind}' AS kind, {kind} AS value FROM changed WHERE {kind} IS NOT NULL"
            for kind in ("crm_id", "login_id", "loyalty_id")
        )
        self._apply("ids_of", ids, identifier, ("kind", "value", "id"), "kind", {"key": "sha256(id)"})

    def _apply(
        self,
        name: str,
        select: str,
        function: Callable[..., tuple[str | None, ...]],
        columns: tuple[str, ...],
        kind: str = "",
        digests: Mapping[str, str] | None = None,
    ) -> None:
        """The lookup `name`: what `function` makes of each row of a SELECT, so many at a time.

        Args:
            columns: those of the SELECT, then those that are made. kind: of the identifiers, as SQL. digests:
                further columns of keyed hashes, each from a SQL expression of the value's SHA-256.
        """
        import pyarrow as pa

        keyed, pads = "", []
        for column, digest in (digests or {}).items():
            hashed, parameters = self._keyring.sql(kind, digest)
            keyed += f", {hashed} AS {column}"
            pads += parameters
        given = self._wh.connection.sql(select).to_arrow_table()
        for start in range(0, max(len(given), 1), AT_ONCE):
            some = given.slice(start, AT_ONCE)
            made = list(map(function, *(column.to_pylist() for column in some.columns)))
            arrays = [*some.columns, *_table(made, columns[some.num_columns :]).columns]
            rows = pa.table(dict(zip(columns, arrays, strict=True)))
            self._fill(name, rows, keyed, pads, more=start > 0)

    def _fill(
        self, name: str, rows: pa.Table, keyed: str = "", pads: Sequence[bytes] = (), *, more: bool = False
    ) -> None:
        make = f"INSERT INTO {name}" if more else f"CREATE OR REPLACE TEMP TABLE {name} AS"
        self._wh.connection.register("lookup_rows", rows)
        try:
            self._wh.execute(f"{make} SELECT *{keyed} FROM lookup_rows", list(pads))
        finally:
            self._wh.connection.unregister("lookup_rows")

    def _crm_roots(self, select: str) -> list[tuple[str, str]]:
        """Each CRM id that the CRM declares one person with others, and the key of all of them."""
        parent: dict[str, str] = {}

        def find(one: str) -> str:
            while parent.setdefault(one, one) != one:
                one = parent[one]
            return one

        declared = self._wh.sql(
            f"SELECT crm_id, merged_crm_ids FROM ({select})"
            " WHERE crm_id IS NOT NULL AND merged_crm_ids IS NOT NULL"
        ).fetchall()
        for own, others in declared:
            kept = self._normaliser.identifier(own)
            for other in others.split(";"):
                merged = self._normaliser.identifier(other)
                if kept is not None and merged is not None:
                    low, high = sorted((find(kept), find(merged)))
                    parent[high] = low
        return [(one, self._keyring.of("crm_id", find(one))) for one in parent]


def carriers_view(wh: Warehouse) -> None:
    """`customers.identity_carriers` (node, kind, key): CRM ids of one person, as the CRM says, as one key."""
    wh.execute(
        "CREATE OR REPLACE VIEW customers.identity_carriers AS "
        "SELECT node, 'crm_id' AS kind, crm AS key FROM customers.identity_records WHERE crm IS NOT NULL "
        "UNION ALL SELECT node, kind, key FROM customers.identity_keys WHERE kind <> 'crm_id'"
    )


def _sql(name: str) -> str:
    return (files("cja_pipeline.customers.identity") / f"{name}.sql").read_text(encoding="utf-8")


def _distinct(*columns: str) -> str:
    return " UNION ".join(
        f"SELECT DISTINCT {column} AS value FROM changed WHERE {column} IS NOT NULL" for column in columns
    )


def _table(rows: list[tuple[Any, ...]], columns: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa

    found: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    return pa.table(
        {name: pa.array(values, pa.string()) for name, values in zip(columns, found, strict=True)}
    )
