"""From person records as they are to canonical, keyed identifiers, the input of clustering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.keys import Keyring, sha256_hex
from cja_pipeline.customers.identity.normalise import Normaliser, canonical

if TYPE_CHECKING:
    import pandas as pd

# columns that carry an identifier -> its kind
IDENTIFIER_COLUMNS = {
    "crm_id": "crm_id",
    "login_id": "login_id",
    "loyalty_id": "loyalty_id",
    "email": "email",
    "email_sha256": "email",
    "phone": "phone",
    "mobile": "phone",
}
DEFAULT_DATE_RECORDS = 20
OPTIONAL_COLUMNS = (
    *IDENTIFIER_COLUMNS,
    "source",
    "merged_crm_ids",
    "first_name",
    "last_name",
    "birth_date",
    "country",
    "visitor_id",
    "first_seen_at",
    "last_seen_at",
)


@dataclass(frozen=True)
class Prepared:
    """Records in a total order, with what tells people apart and what joins them.

    ``people``: one row per record, index 0…n-1 in the order of record_id; columns record_id, source,
    first_name, last_name, birth_date (canonical or None), visitor_id, first_seen_at, last_seen_at.
    ``identifiers``: row (index into people), kind, key (keyed hash); distinct.
    ``crm_merges``: kept and merged, keys of CRM ids that the CRM itself declares one person.
    """

    people: pd.DataFrame
    identifiers: pd.DataFrame
    crm_merges: pd.DataFrame


def prepare(records: pd.DataFrame, rules: Identity, keyring: Keyring) -> Prepared:
    """Normalise every identifier and replace it by its keyed hash.

    Raises:
        ValueError: record_id is missing, empty or not unique; the message names the column and the rows.
    """
    import pandas as pd

    frame = _complete(records)
    normaliser = Normaliser(rules)
    people = pd.DataFrame(
        {
            "record_id": frame["record_id"],
            "source": frame["source"],
            "first_name": canonical(frame["first_name"], normaliser.first_name),
            "last_name": canonical(frame["last_name"], normaliser.name),
            "birth_date": _birth_dates(frame["birth_date"], normaliser, rules.birth_dates.most_share),
            "visitor_id": canonical(frame["visitor_id"], normaliser.identifier),
            "first_seen_at": frame["first_seen_at"],
            "last_seen_at": frame["last_seen_at"],
        }
    )
    found = [
        _keyed(frame, column, kind, normaliser, keyring)
        for column, kind in IDENTIFIER_COLUMNS.items()
        if kind not in ("email", "phone")
    ]
    found += [_emails(frame, normaliser, keyring), _phones(frame, normaliser, keyring)]
    identifiers = pd.concat(found, ignore_index=True).drop_duplicates(ignore_index=True)
    return Prepared(people, identifiers, _merges(frame, normaliser, keyring))


def _complete(records: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if "record_id" not in records.columns:
        raise ValueError("column record_id is missing; expected one distinct id per row")
    frame = records.reindex(columns=["record_id", *OPTIONAL_COLUMNS])
    empty = frame["record_id"].isna()
    if empty.any():
        raise ValueError(f"column record_id is empty in row {int(empty.to_numpy().argmax()) + 1}")
    frame["record_id"] = frame["record_id"].astype(str)
    repeated = frame["record_id"].duplicated()
    if repeated.any():
        raise ValueError(
            f"column record_id repeats a value in row {int(repeated.to_numpy().argmax()) + 1}"
            f" ({int(repeated.sum())} repeated rows in all)"
        )
    for column in ("first_seen_at", "last_seen_at"):
        frame[column] = pd.to_datetime(frame[column])
    return frame.sort_values("record_id", ignore_index=True)


def _birth_dates(column: pd.Series, normaliser: Normaliser, most_share: float) -> pd.Series:
    """ISO dates without those that so many records share that they must be a form's default."""
    found = canonical(column, normaliser.birth_date)
    counts = found.value_counts()
    defaults = counts.index[counts > max(DEFAULT_DATE_RECORDS, most_share * counts.sum())]
    return found.where(~found.isin(defaults), None)


def _long(kind: str, keys: pd.Series) -> pd.DataFrame:
    import pandas as pd

    present = keys[keys.notna()]
    return pd.DataFrame(
        {"row": present.index.to_numpy(), "kind": kind, "key": present.to_numpy(dtype=object)}
    )


def _keyed(
    frame: pd.DataFrame, column: str, kind: str, normaliser: Normaliser, keyring: Keyring
) -> pd.DataFrame:
    def key(value: object) -> str | None:
        found = normaliser.identifier(value)
        return None if found is None else keyring.of(kind, found)

    return _long(kind, canonical(frame[column], key))


def _emails(frame: pd.DataFrame, normaliser: Normaliser, keyring: Keyring) -> pd.DataFrame:
    """Keys of addresses, plain and hashed; vendors hash what they were given, so remember that spelling."""
    import pandas as pd

    plain_digest: dict[str, str] = {}

    def key(value: object) -> str | None:
        found = normaliser.email(value)
        if found is None:
            return None
        digest = sha256_hex(found)
        as_given = normaliser.as_hashed_by_vendors(value)
        if as_given is not None:
            plain_digest[sha256_hex(as_given)] = digest
        return keyring.of_hash("email", digest)

    def key_of_digest(value: object) -> str | None:
        digest = normaliser.email_digest(value)
        return None if digest is None else keyring.of_hash("email", plain_digest.get(digest, digest))

    plain = _long("email", canonical(frame["email"], key))
    return pd.concat([plain, _long("email", canonical(frame["email_sha256"], key_of_digest))])


def _phones(frame: pd.DataFrame, normaliser: Normaliser, keyring: Keyring) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for column in ("phone", "mobile"):
        # the country decides how a number without a country code is read: work on distinct pairs
        pairs = frame[[column, "country"]].dropna(subset=[column]).drop_duplicates()
        keys = []
        for value, country in pairs.itertuples(index=False):
            number = normaliser.phone(value, country)
            keys.append(None if number is None else keyring.of("phone", number))
        pairs = pairs.assign(key=pd.Series(keys, index=pairs.index, dtype=object))
        joined = frame[[column, "country"]].merge(pairs, how="left", on=[column, "country"])
        parts.append(_long("phone", joined["key"]))
    return pd.concat(parts)


def _merges(frame: pd.DataFrame, normaliser: Normaliser, keyring: Keyring) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (keyring.of("crm_id", kept), keyring.of("crm_id", merged))
        for own, others in frame[["crm_id", "merged_crm_ids"]].dropna().itertuples(index=False)
        if (kept := normaliser.identifier(own)) is not None
        for other in str(others).split(";")
        if (merged := normaliser.identifier(other)) is not None
    ]
    return pd.DataFrame(rows, columns=["kept", "merged"], dtype=object)
