"""Every file that a person may write or damage, mutated: it is used, or refused with its name."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from cja_pipeline.alerts.incidents import Book, Condition
from cja_pipeline.config import SHIPPED, ConfigError, Shop, load_file
from cja_pipeline.customers.identity import unlink
from cja_pipeline.privacy import copies, rotate, tombstones, work
from cja_pipeline.settings import Settings
from cja_pipeline.sources.registry import MODELS
from cja_pipeline_tests.recovery.mutations import JSON, examples, mutated

RAW = st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace"))


def dumped(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def used_or_named(path: Path, refusal: type[Exception], kind: type, read: Callable[[], Any]) -> bool:
    """Whether what is read is of its kind, or the refusal names the file."""
    try:
        return isinstance(read(), kind)
    except refusal as error:
        return path.name in str(error)


@examples(60)
@given(data=st.data())
def test_any_configuration_is_used_or_named(data: st.DataObject) -> None:
    entries = yaml.safe_load((SHIPPED / "sources.yml").read_text())
    kind = data.draw(st.sampled_from(sorted(entries)))
    model = MODELS[entries[kind]["kind"]]
    broken = data.draw(mutated(entries[kind]) | JSON | st.text(max_size=60))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sources.yml"
        path.write_text(broken if isinstance(broken, str) else json.dumps(broken), encoding="utf-8")
        chosen = data.draw(st.sampled_from([model, Shop]))
        assert used_or_named(path, ConfigError, chosen, lambda: load_file(path, chosen))


@examples(40)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_table_of_people_is_read_or_named(data: bytes) -> None:
    from cja_pipeline.customers.identity.tabular.columns import TableError
    from cja_pipeline.customers.identity.tabular.reader import read_table

    with TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        path.write_bytes(data)
        assert used_or_named(path, TableError, pd.DataFrame, lambda: read_table(path)[0])


@examples(60)
@given(
    text=RAW
    | st.from_regex(r"name: [^\n]*\ntime_zone: [^\n]*\ncurrency: [^\n]*\nfirst_day: [0-9:. -]{1,12}\n")
)
def test_any_text_is_a_configuration_or_named(text: str | bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shop.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
        assert used_or_named(path, ConfigError, Shop, lambda: load_file(path, Shop))


@pytest.mark.parametrize(
    "text",
    [b"name: M\xfcller", b"first_day: 2026-13-45", b"a: &x [*x]", b"? {a: b}\n: c", b"[" * 5000,
     b"!!python/object/apply:os.system [ls]", b"a: !!binary x", b"\xff\xfea", b"0\t"],
)  # fmt: skip
def test_what_yaml_itself_refuses_is_named(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "shop.yml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=r"shop\.yml"):
        load_file(path, Shop)


# --- what people decided ------------------------------------------------------------------------------------
NOTE = {"erasure": "e1", "key": "1d660edd", "at": "2026-03-02T03:00:00+00:00", "identifiers": ["email:aa"]}
DECISION = {"record_key": "contact:1", "other_key": "profile:2", "unlinked": True, "reason": "two people",
            "decided_at": "2026-03-02T03:00:00"}  # fmt: skip
COPY = {"path": "/srv/orders.csv", "table": "orders", "form": "csv"}
WORK = {
    "erasure": "e1", "at": "2026-03-02", "reason": "request", "version": "1d660edd", "customer_id": None,
    "records": ["contact:1"], "review": 0, "values": [["email", "a@b.c"]], "shared": {"phone": 1},
    "keys": ["email:aa"], "quotes": [],
}  # fmt: skip


def _settings(home: Path) -> Settings:
    return Settings(home=home, secret_key=SecretStr("key"))


READERS = {
    f"decisions/{tombstones.FILE}": (NOTE, lambda home: tombstones.read_tombstones(home / "decisions")),
    f"decisions/{unlink.FILE}": (DECISION, lambda home: unlink.standing(home / "decisions")),
    f"decisions/{rotate.FILE}": ({"key": "1d660edd"}, lambda home: [rotate.key_in_use(_settings(home))]),
    f"privacy/{copies.FILE}": (COPY, lambda home: copies.noted_copies(_settings(home))),
    f"privacy/e1{work.SUFFIX}": (WORK, lambda home: work.pending(_settings(home))),
}


@pytest.mark.parametrize("name", READERS)
@examples(60)
@given(data=st.data())
def test_a_damaged_note_is_named_and_never_taken_for_another(name: str, data: st.DataObject) -> None:
    """A line that is not read would bring an erased person back, or join two people again."""
    line, read = READERS[name]
    with TemporaryDirectory() as folder:
        home = Path(folder)
        place = home / name
        place.parent.mkdir()
        place.write_bytes(dumped(line) + b"\n")
        good = read(home)
        assert len(good) == 1
        value = data.draw(mutated(line) | JSON | RAW)
        before = b"" if name.endswith(".json") else dumped(line) + b"\n"
        place.write_bytes(before + dumped(value) + b"\n")
        told, found = str(place), good
        try:
            found = read(home)
        except ConfigError as error:
            told = str(error)
        assert str(place) in told
        # a later decision about two records may take the first back
        assert not before or good[0] in found or name.endswith(unlink.FILE)


def test_a_reason_with_any_line_break_is_one_line(tmp_path: Path) -> None:
    at = dt.datetime(2026, 3, 2)  # noqa: DTZ001
    for number, sign in enumerate("\u2028\x85\x1c\n"):
        unlink.decide(tmp_path, "contact:1", f"profile:{number}", unlinked=True, reason=f"a{sign}b", at=at)
    assert [one.reason for one in unlink.standing(tmp_path)] == ["a\u2028b", "a\x85b", "a\x1cb", "a\nb"]


@examples(60)
@given(data=st.data())
def test_any_book_of_incidents_is_read_or_begun_anew(data: st.DataObject) -> None:
    now = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "alerts.json"
        book = Book(path)
        book.observe([Condition("stale", "stale/crm", "crm is behind", "http://x/")], ["stale"], now)
        book.save()
        path.write_bytes(dumped(data.draw(mutated(json.loads(path.read_text())) | JSON | RAW)))
        again = Book(path)
        again.observe([Condition("check", "check/x", "failed", "http://x/")], ["check", "stale"], now)
        began, over = again.due("webhook")
        assert "check/x" in {one.key for one in began}
        assert over is not None
        again.save()
