"""One customer out of any table of person records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cja_pipeline.customers import config
from cja_pipeline.customers.identity.devices import attach
from cja_pipeline.customers.identity.intake import RECORD_COLUMNS
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.normalise import text
from cja_pipeline.customers.identity.tabular.cluster import find_people
from cja_pipeline.customers.identity.tabular.columns import Mapped, TableError, detect, person_records
from cja_pipeline.customers.identity.tabular.dates import read_dates
from cja_pipeline.customers.identity.tabular.frame import FURTHER
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

RESULT = ("record_id", "customer_id", "rule", "size")


def resolve(
    records: pd.DataFrame,
    *,
    columns: Mapped | None = None,
    rules: config.Identity | None = None,
    secret: bytes | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Find the records that belong to one person.

    Args:
        records: one row per record. Columns are recognised by their headers (``person_columns.yml``: ids,
        names,
            birth date, e-mail, phone, address parts, source …); headers that are a field's own name are taken
            at their word. Missing values are None or NaN. Without `record_id` rows are numbered.
        columns: field -> column, or list of columns whose texts are joined; default: recognised.
        rules: default ``identity.yml``.
        secret: key of the ids; default the installation's `CJA_SECRET_KEY`.
        tell: hears what is being done, for whoever waits.

    Returns:
        One row per record in the order given: record_id, customer_id, rule (``linked``: with another record;
        ``device``: attached through its cookie; ``alone``), size (records of the customer). The ids depend on
        the secret and on the first record of each customer only.

    Raises:
        ValueError: no column says who a row is about, a column that is named is missing or occurs twice, or
            record_id is empty or repeated; the message names column and row.
    """
    import pandas as pd

    from cja_pipeline.settings import get_settings

    keyring = Keyring(secret or get_settings().hmac_key())
    rules = rules or config.identity()
    if not len(records):
        return pd.DataFrame({name: pd.Series(dtype="int64" if name == "size" else object) for name in RESULT})
    frame = person_rows(_fields(records, columns))
    with Warehouse(":memory:") as wh:
        found = _labels(wh, frame, find_people(wh, frame, rules, keyring, tell), rules)
    anchors = found.groupby("label")["record_id"].min()
    ids = anchors.map(lambda anchor: keyring.customer_id(f"record:{anchor}"))
    size = found["label"].map(found["label"].value_counts())
    rule = pd.Series("linked", index=found.index).mask(found["by_device"], "device").mask(size <= 1, "alone")
    told = found[["record_id"]].assign(
        customer_id=found["label"].map(ids).astype(object),
        rule=rule.astype(object),
        size=size.astype("int64"),
    )
    return told.set_index("record_id").loc[frame["record_key"]].reset_index()


def _fields(records: pd.DataFrame, columns: Mapped | None) -> pd.DataFrame:
    """The records under the names of their fields, dates read."""
    table = records.set_axis([str(name) for name in records.columns], axis="columns")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise TableError(f"column {twice[0]!r} occurs more than once; rename one of them")
    if columns is None:
        own = {
            name: name for name in (*RECORD_COLUMNS[2:], *FURTHER, "record_id", "visitor_id") if name in table
        }
        columns = detect(table, own).columns
    found = person_records(
        table, {field: [c] if isinstance(c, str) else list(c) for field, c in columns.items()}
    )
    if "birth_date" in found:
        found["birth_date"] = read_dates(found["birth_date"], found.get("source"))
    return found


def person_rows(records: pd.DataFrame) -> pd.DataFrame:
    """The columns of `intake` and `tabular.frame` as text, missing ones None, with record_id checked."""
    import pandas as pd

    wanted = [*RECORD_COLUMNS[1:], *FURTHER, "visitor_id"]
    frame = records.reindex(columns=["record_id", *wanted]).rename(columns={"record_id": "record_key"})
    for column in frame.columns:
        codes, distinct = pd.factorize(frame[column], use_na_sentinel=True)
        plain = pd.Series([*(text(value) for value in distinct.tolist()), None], dtype=object).to_numpy()
        frame[column] = plain[codes]
    empty = frame["record_key"].isna()
    if empty.any():
        raise TableError(f"column record_id is empty in row {int(empty.to_numpy().argmax()) + 1}")
    repeated = frame["record_key"].duplicated()
    if repeated.any():
        raise TableError(
            f"column record_id repeats a value in row {int(repeated.to_numpy().argmax()) + 1}"
            f" ({int(repeated.sum())} repeated rows in all)"
        )
    return frame.assign(kind="record", source=frame["source"].fillna("table"))


def _labels(wh: Warehouse, frame: pd.DataFrame, people: pd.DataFrame, rules: config.Identity) -> pd.DataFrame:
    """record_id, label, by_device: records that carry nothing but a cookie go with its owner."""
    wh.connection.register("people", people)
    wh.connection.register("given_records", frame[["record_key", "visitor_id"]])
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE cookies AS SELECT * FROM given_records JOIN people USING (record_key)"
    )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE devices AS SELECT DISTINCT visitor_id, false AS is_bot FROM cookies"
        " WHERE visitor_id IS NOT NULL"
    )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE votes AS SELECT visitor_id, label, 1 AS weight FROM cookies"
        " WHERE visitor_id IS NOT NULL AND identified"
    )
    attach(wh, rules.devices)
    return wh.df(
        "SELECT c.record_key AS record_id, o.visitor_id IS NOT NULL AS by_device,"
        # what nobody owns is one anonymous customer per device
        " CASE WHEN o.visitor_id IS NULL THEN c.label ELSE coalesce(o.label,"
        " min(c.label) OVER (PARTITION BY o.visitor_id)) END AS label FROM cookies c"
        " LEFT JOIN owners o ON o.visitor_id = c.visitor_id AND NOT c.identified ORDER BY record_id"
    )
