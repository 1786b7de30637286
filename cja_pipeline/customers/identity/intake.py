"""What is new: records as received become canonical records and keyed identifiers, where they changed.

What Python must look at it sees in portions; everything else is set work of the warehouse, so that millions
of records need neither time nor memory per row.
"""

from __future__ import annotations

from importlib.resources import files

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.exchange import fill, text_table
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.lookups import LOOKUPS, make_lookups
from cja_pipeline.customers.identity.normalise import Normaliser
from cja_pipeline.warehouse import Warehouse

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
NODE = "CAST(md5_number(record_key) >> 65 AS BIGINT)"  # as md5_number_lower has it, which is a macro on text


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
        fill(wh, "crm_roots", text_table(self._crm_roots(select), ("crm_id", "root")))
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

    def write(self, *, whole: bool) -> None:
        """Replace what moved in identity_records and identity_keys; leaves `keys_moved` (key).

        Args:
            whole: there were no records, so that all keys moved: no need to list them.
        """
        wh = self._wh
        make_lookups(wh, self._normaliser, self._keyring, self._default_dates)
        carriers_view(wh)
        carried = "SELECT key FROM customers.identity_carriers SEMI JOIN moved USING (node)"
        if not whole:
            wh.execute(f"CREATE OR REPLACE TEMP TABLE keys_before AS {carried}")
            for table in ("identity_records", "identity_keys"):
                wh.execute(f"DELETE FROM customers.{table} WHERE node IN (SELECT node FROM moved)")
        wh.execute(f"INSERT INTO customers.identity_records {_sql('new_records')}")
        wh.execute(f"INSERT INTO customers.identity_keys {_sql('new_keys')}")
        if not whole:
            wh.execute(
                f"CREATE OR REPLACE TEMP TABLE keys_moved AS SELECT key FROM keys_before UNION {carried}"
            )
            wh.execute("DROP TABLE keys_before")
        for name in ("changed", *LOOKUPS):
            wh.execute(f"DROP TABLE {name}")

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
