"""Limits of age: what is beyond goes, from landing and tables, counted, and comes not back."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import yaml

from cja_pipeline.privacy.config import limit_of, load_privacy
from cja_pipeline.privacy.retention import expire
from cja_pipeline.settings import get_settings
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load import load
from cja_pipeline_tests.privacy.conftest import DAYS, START, Shop

LIMIT = 4  # days; the newest pull is on the morning after the last day
NOW = START + dt.timedelta(days=DAYS)


def limited(shop: Shop, monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    """Set limits the way an installation does: by its own privacy.yml."""
    folder = shop.settings.home / "config"
    folder.mkdir()
    facts = load_privacy().model_dump()
    facts["retention_days"] = {f"validated.{table}": days for table, days in limits.items()}
    (folder / "privacy.yml").write_text(yaml.safe_dump(facts))
    monkeypatch.setenv("CJA_CONFIG", str(folder))
    get_settings.cache_clear()


def test_complete_days_go_and_are_counted(people: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    landing = people.settings.landing_dir
    limited(people, monkeypatch, web_events=LIMIT)
    assert limit_of("validated.web_events") == LIMIT
    cut = NOW - dt.timedelta(days=LIMIT)
    with people.open() as wh:
        old, kept = wh.sql(
            "SELECT sum(offered) FILTER (day < ?), sum(offered) FILTER (day >= ?) FROM quality.ledger "
            "WHERE table_name = 'validated.web_events' AND stage = 'landed'",
            [cut, cut],
        ).fetchall()[0]
        for night in range(2):  # again changes nothing
            removed = expire(wh, "validated.web_events", landing)
            assert (removed > 0) is (night == 0)
            load(wh, "validated.web_events", landing, None, f"night {night}")
            assert wh.scalar("SELECT count(*) FROM validated.web_events WHERE _dt < ?", [cut]) == 0
            counted, limit = wh.sql(
                "SELECT sum(records), max(limit_days) FROM quality.removals WHERE reason = 'expired'"
            ).fetchall()[0]
            assert (counted, limit) == (old, LIMIT)
            left = wh.scalar(
                "SELECT sum(offered) FROM quality.ledger "
                "WHERE table_name = 'validated.web_events' AND stage = 'landed'"
            )
            assert left == kept
            assert unbalanced_days(wh, "validated.web_events") == []
    for day in landing.glob("ga4/events/dt=*"):
        files = [path.name for path in day.glob("part-*")]
        assert (files == []) == (dt.date.fromisoformat(day.name[3:]) < cut)
    # a backfill lands the old days again; the same night removes them again
    people.night()
    with people.open() as wh:
        assert expire(wh, "validated.web_events", landing) > 0
        load(wh, "validated.web_events", landing, None, "backfill")
        assert wh.scalar("SELECT count(*) FROM validated.web_events WHERE _dt < ?", [cut]) == 0


def test_newest_versions_stay_and_ended_records_go(people: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two landings of the CRM, the first one beyond the limit."""
    landing = people.settings.landing_dir
    with people.open() as wh:
        current = wh.sql(
            "SELECT contact_id, updated_at, archived FROM validated.contacts_current ORDER BY 1"
        ).fetchall()
        folder = next(landing.glob("hubspot/contacts/dt=*/run=*"))
        manifest = json.loads((folder / "_MANIFEST.json").read_text())
        old = START - dt.timedelta(days=400)
        manifest["dt"] = old.isoformat()
        (folder / "_MANIFEST.json").write_text(json.dumps(manifest))
        (folder.parent).rename(folder.parent.with_name(f"dt={old}"))
        wh.execute("DELETE FROM validated.contacts")
        wh.execute("DELETE FROM quality.ledger WHERE table_name = 'validated.contacts'")
        load(wh, "validated.contacts", landing, None, "moved")
        versions = wh.count("validated.contacts")
        wh.execute(  # one record ended long ago
            "UPDATE validated.contacts SET archived = TRUE, updated_at = TIMESTAMP '2020-01-01' "
            "WHERE contact_id = ?",
            [current[0][0]],
        )
        limited(people, monkeypatch, contacts=30)
        removed = expire(wh, "validated.contacts", landing)
        load(wh, "validated.contacts", landing, None, "expired")
        left = {row[0] for row in wh.sql("SELECT contact_id FROM validated.contacts").fetchall()}
        assert left == {row[0] for row in current if not row[2]} - {current[0][0]}
        assert removed >= versions - len(left)
        assert unbalanced_days(wh, "validated.contacts") == []


def test_kept_out_rows_lose_their_payload(people: Shop) -> None:
    with people.open() as wh:
        wh.execute("UPDATE quality.quarantine SET day = day - 100")
        assert wh.scalar("SELECT count(payload) FROM quality.quarantine") > 0
        tables = wh.sql("SELECT DISTINCT table_name FROM quality.quarantine").fetchall()
        for (table,) in tables:
            expire(wh, table, people.settings.landing_dir)
        assert wh.scalar("SELECT count(payload) FROM quality.quarantine") == 0
        assert wh.scalar("SELECT count(reason) FROM quality.quarantine") > 0
