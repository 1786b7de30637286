"""Keeping erased people out: what of a vendor's answer may be landed.

A record with an identifier that was an erased person's alone is dropped. A record of somebody else that
names such an identifier (a referral code, a recycled phone number) keeps everything but that field.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.normalise import Normaliser
from cja_pipeline.privacy.identifiers import Fields, Recogniser, Visits, places, stream_fields, tokens, values
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.tombstones import Tombstone, mark_of, read_tombstones
from cja_pipeline.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

TOKEN_KINDS = ("email", "email_sha256", "phone", "crm_id", "login_id", "loyalty_id", "profile_id", "cookie")


class Suppression:
    """Judges landed records by notes of erasures; `mark` names the set of notes."""

    def __init__(self, groups: dict[str, tuple[Keyring, frozenset[str]]], mark: str) -> None:
        self._groups, self.mark = groups, mark
        self._recogniser = Recogniser(Normaliser(identity()))
        self._known: dict[tuple[str, Any], bool] = {}

    @classmethod
    def of(cls, tombstones: list[Tombstone], keys: Keys) -> Suppression:
        """KeyMissingError if a note was written under a key that is not in the environment."""
        by_version: dict[str, set[str]] = defaultdict(set)
        for one in tombstones:
            by_version[one.version].update(one.keys)
        groups = {version: (keys.named(version), frozenset(hashes)) for version, hashes in by_version.items()}
        return cls(groups, mark_of(tombstones))

    def __bool__(self) -> bool:
        return bool(self._groups)

    def holds(self, kind: str, value: Any) -> bool:
        """Whether a raw value is an identifier of an erased person."""
        try:
            found = self._known.get((kind, value))
        except TypeError:  # a list or an object
            return False
        if found is None:
            found = any(
                not hashes.isdisjoint(self._recogniser.notes(ring, kind, value))
                for ring, hashes in self._groups.values()
            )
            self._known[kind, value] = found
        return found

    def judge(self, stream: str, record: Any) -> Any | None:
        """The record as it may be landed (the same object if nothing is wrong), or None to drop it."""
        fields = stream_fields().get(stream)
        if fields is None or not self._groups:
            return record
        if not isinstance(record, dict):
            return None if self.in_text(str(record)) else record
        if self._dropped(fields, record):
            return None
        found = record
        for path, kind in fields.blank.items():
            if any(self.holds(kind, value) for value in values(record, path)):
                found = copy.deepcopy(record) if found is record else found
                for holder, key in places(found, path):
                    holder[key] = None
        return found

    def in_text(self, raw: str) -> bool:
        """Whether an unreadable text holds an identifier of an erased person."""
        return any(self.holds(kind, token) for token in tokens(raw) for kind in TOKEN_KINDS)

    def _dropped(self, fields: Fields, record: dict[str, Any]) -> bool:
        if any(
            self.holds(kind, value) for path, kind in fields.drop.items() for value in values(record, path)
        ):
            return True
        where = fields.visits
        return where is not None and self._visited(
            record.get(where.cookie), _visit(record, where), record.get(where.login), record.get(where.time)
        )

    def _visited(self, cookie: Any, visit: Any, login: Any, moment: Any) -> bool:
        """Whether an event on a device of several people belongs to an erased one's visit; what another
        person did while logged in stays."""
        if cookie is None or (login is not None and not self.holds("login_id", login)):
            return False
        return self.holds("visit", visit_key(cookie, visit, moment))

    # --- web exports in Parquet ----------------------------------------------------------------------
    def read_concerned(self, stream: str, path: Path) -> pa.Table | None:
        """A Parquet export that holds anything of an erased person, or of a device that was theirs too.

        None for any other: of those only the columns that tell whose a row is are read.
        """
        import pyarrow.parquet as pq

        fields = stream_fields()[stream]
        telling = list(fields.drop.items())
        if fields.visits is not None:
            telling.append((fields.visits.cookie, "shared_cookie"))
        with pq.ParquetFile(path) as file:
            narrow = file.read(columns=[column for column, _ in telling])
            if not any(self._held(narrow, column, kind) for column, kind in telling):
                return None
            return file.read()

    def kept_rows(self, stream: str, table: pa.Table) -> pa.Array:
        """Which rows of a Parquet export may be landed, as booleans."""
        import pyarrow as pa
        import pyarrow.compute as pc

        fields = stream_fields()[stream]
        gone = pa.array([False] * table.num_rows, pa.bool_())
        visited: set[int] = set()
        for path, kind in fields.drop.items():
            if held := self._held(table, path, kind):
                gone = pc.or_(gone, _among(table, path, held))
        where = fields.visits
        if where is not None and (shared := self._held(table, where.cookie, "shared_cookie")):
            for row in pc.indices_nonzero(_among(table, where.cookie, shared)).to_pylist():
                if self._dropped(fields, table.slice(row, 1).to_pylist()[0]):
                    visited.add(row)
        gone = pc.or_(gone, pa.array([row in visited for row in range(table.num_rows)]))
        return pc.invert(gone)

    def _held(self, table: pa.Table, path: str, kind: str) -> list[str]:
        """The values of a column that are identifiers of erased people."""
        import pyarrow.compute as pc

        texts = _texts(table, path)
        found = [] if texts is None else pc.unique(texts).to_pylist()
        return [value for value in found if value and self.holds(kind, value)]


def visit_key(cookie: Any, visit: Any, moment: Any) -> str:
    """How a visit on a shared device is named; an event without visit is named by its time."""
    return f"{cookie}/{visit}" if visit is not None else f"{cookie}/at/{moment}"


def _visit(event: dict[str, Any], where: Visits) -> str | None:
    for item in event.get("event_params") or []:
        if item.get("key") == where.visit:
            value = item.get("value") or {}
            found = (
                value.get("int_value") if value.get("int_value") is not None else value.get("string_value")
            )
            return None if found is None else str(found)
    return None


def _among(table: pa.Table, path: str, found: list[str]) -> pa.Array:
    """Which rows hold one of these values in a column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(_texts(table, path), value_set=pa.array(found, pa.string()))


def _texts(table: pa.Table, path: str) -> Any:
    """A column, possibly inside of others, as text; None if there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first, *rest = path.split(".")
    if first not in table.column_names:
        return None
    column = table.column(first).combine_chunks()
    for step in rest:
        if column.type.get_field_index(step) < 0:
            return None
        column = pc.struct_field(column, step)
    return pc.cast(column, pa.string())


def read_suppression(settings: Settings) -> Suppression:
    """What the notes of erasures ask for now; false where nobody was erased."""
    tombstones = read_tombstones(settings.decisions_dir)
    if not tombstones:
        return Suppression({}, "")
    return Suppression.of(tombstones, Keys.of(settings))


def text_of(path: Path) -> str:
    """Whatever can be read of a file, compressed or not."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        from cja_pipeline.validated.lines import unpack

        data = unpack(data)[0]
    return data.decode("utf-8", "replace")


def parsed(line: str) -> Any:
    """A line's record, or the line itself where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line
