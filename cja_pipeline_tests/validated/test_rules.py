"""Every row rule: one bad row breaks exactly that rule. Compiled rules agree with Great Expectations."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from cja_pipeline.validated.load import load
from cja_pipeline.validated.rules import RuleError, broken
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.validated.suites import ROW_TYPES, Expectation, load_suite
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v
from cja_pipeline_tests.validated.vendors import utc

MICROS = 1_000_000
DAY_MICROS = 86_400 * MICROS
DENIED = {"analytics_storage": "No"}

# rule -> a record that breaks it and nothing else
MUTANTS: dict[tuple[str, str], Any] = {
    ("web_events", "missing_time"): lambda: v.ga4(event_timestamp="yesterday"),
    ("web_events", "missing_event_name"): lambda: v.ga4(event_name=None),
    ("web_events", "implausible_time"): lambda: v.ga4(event_timestamp=0),
    ("web_events", "future_time"): lambda: v.ga4(event_timestamp=v.NOON + 5 * DAY_MICROS),
    ("web_events", "wrong_day"): lambda: v.ga4(event_timestamp=v.NOON),
    ("web_events", "late_arrival"): lambda: v.ga4(event_timestamp=v.NOON - 9 * DAY_MICROS),
    ("web_events", "negative_value"): lambda: v.purchase(revenue=-5.0),
    ("web_events", "bad_currency"): lambda: v.ga4(params={"currency": "€"}),
    ("web_events", "purchase_currency"): lambda: v.purchase(params={"currency": None}),
    ("web_events", "oversized_url"): lambda: v.ga4(params={"page_location": "https://x/" + "a" * 9000}),
    ("web_events", "id_without_consent"): lambda: v.ga4(privacy_info=DENIED),
    ("contacts", "missing_contact_id"): lambda: v.contact() | {"id": None},
    ("contacts", "missing_updated_at"): lambda: v.contact(lastmodifieddate="soon"),
    ("contacts", "implausible_time"): lambda: v.contact(lastmodifieddate="1970-01-01T00:00:00Z"),
    ("contacts", "future_time"): lambda: v.contact(lastmodifieddate="2027-01-01T00:00:00Z"),
    ("crm_orders", "missing_crm_order_id"): lambda: v.order() | {"id": None},
    ("crm_orders", "missing_updated_at"): lambda: v.order(hs_lastmodifieddate="?"),
    ("crm_orders", "missing_ordered_at"): lambda: v.order(hs_external_created_date="31.02.2026"),
    ("crm_orders", "implausible_time"): lambda: v.order(hs_external_created_date="1970-01-01T00:00:00Z"),
    ("crm_orders", "future_order"): lambda: v.order(hs_external_created_date="2026-03-09T00:00:00Z"),
    ("crm_orders", "missing_amount"): lambda: v.order(hs_order_discount="ten"),
    ("crm_orders", "negative_amount"): lambda: v.order(hs_subtotal_price="-1.00", hs_total_price="-11.00"),
    ("crm_orders", "amounts_disagree"): lambda: v.order(hs_total_price="95.00"),
    ("crm_orders", "missing_currency"): lambda: v.order(hs_currency_code=None),
    ("crm_orders", "bad_currency"): lambda: v.order(hs_currency_code="XXX"),
    ("tickets", "missing_ticket_id"): lambda: v.ticket() | {"id": None},
    ("tickets", "missing_updated_at"): lambda: v.ticket(hs_lastmodifieddate="?"),
    ("tickets", "missing_created_at"): lambda: v.ticket(createdate=None),
    ("tickets", "future_time"): lambda: v.ticket(createdate="2026-04-01T00:00:00Z"),
    ("surveys", "missing_submission_id"): lambda: v.survey() | {"id": None},
    ("surveys", "missing_updated_at"): lambda: v.survey(hs_lastmodifieddate="?"),
    ("surveys", "missing_submitted_at"): lambda: v.survey(hs_submission_timestamp="?"),
    ("surveys", "missing_survey_type"): lambda: v.survey(hs_survey_type=""),
    ("surveys", "future_time"): lambda: v.survey(hs_submission_timestamp="2026-04-01T00:00:00Z"),
    ("surveys", "nps_range"): lambda: v.survey(hs_value="11"),
    ("surveys", "csat_range"): lambda: v.survey(hs_survey_type="CSAT", hs_value="0"),
    ("surveys", "ces_range"): lambda: v.survey(hs_survey_type="CES", hs_value="8"),
    ("email_events", "missing_event_id"): lambda: v.email() | {"id": None},
    ("email_events", "missing_time"): lambda: v.email(datetime="noon"),
    ("email_events", "missing_event_type"): lambda: v.email(metric=None),
    ("email_events", "implausible_time"): lambda: v.email(datetime="1970-01-01 00:00:00+00:00"),
    ("email_events", "future_time"): lambda: v.email(datetime="2026-03-08 00:00:00+00:00"),
    ("email_events", "late_arrival"): lambda: v.email(datetime="2026-02-01 00:00:00+00:00"),
    ("ad_insights", "missing_ad_id"): lambda: v.advert() | {"ad_id": None},
    ("ad_insights", "missing_day"): lambda: v.advert(date_start="?"),
    ("ad_insights", "wrong_day"): lambda: v.advert(date_start="2026-03-01"),
    ("ad_insights", "missing_spend"): lambda: v.advert(spend="n/a"),
    ("ad_insights", "missing_impressions"): lambda: v.advert(impressions=None),
    ("ad_insights", "negative_number"): lambda: v.advert(spend="-0.01"),
    ("ad_insights", "missing_currency"): lambda: v.advert(account_currency=None),
    ("ad_insights", "bad_currency"): lambda: v.advert(account_currency="EU"),
    ("social_posts", "missing_post_id"): lambda: v.post() | {"id": None},
    ("social_posts", "missing_time"): lambda: v.post(created_time="?"),
    ("social_posts", "negative_number"): lambda: v.post(reactions={"summary": {"total_count": -1}}),
    ("social_comments", "missing_comment_id"): lambda: v.comment() | {"id": None, "_post_id": "1"},
    ("social_comments", "missing_time"): lambda: v.comment(created_time=None),
    ("social_comments", "future_time"): lambda: v.comment(created_time="2026-03-09T00:00:00+0000"),
}
# a row of another day is only wrong, not from the future, if the pull came later still
LATER = {("web_events", "wrong_day"): {"day": v.DAY - dt.timedelta(days=5)}}
GOOD = {
    "web_events": lambda: v.ga4(9), "contacts": v.contact, "crm_orders": v.order, "tickets": v.ticket,
    "surveys": v.survey, "email_events": v.email, "ad_insights": v.advert, "social_posts": v.post,
    "social_comments": v.comment,
}  # fmt: skip


def test_every_row_rule_has_its_mutant() -> None:
    rules = {
        (name, rule.code)
        for name in load_streams()
        for rule in load_suite(f"validated.{name}").row_rules  # type: ignore[union-attr]
        if rule.action != "dedupe"
    }
    assert rules == set(MUTANTS)


@pytest.mark.parametrize("table", GOOD)
def test_one_bad_row_breaks_exactly_its_rule(warehouse: Warehouse, landing: Path, table: str) -> None:
    stream, suite = load_streams()[table].stream, load_suite(f"validated.{table}")
    actions = {rule.code: rule.action for rule in suite.row_rules}  # type: ignore[union-attr]
    codes = [code for name, code in MUTANTS if name == table and (name, code) not in LATER]
    records = [MUTANTS[table, code]() for code in codes] + [GOOD[table]()]
    if table == "web_events":
        records = [v.as_export_json(record) for record in records]
    v.land_lines(landing, stream, records)
    report = load(warehouse, table, landing, None, "run")
    assert report.conserved
    kept = warehouse.sql(
        "SELECT outcome, rules, payload IS NOT NULL FROM quality.quarantine ORDER BY source_row"
    ).fetchall()
    outcomes = ["late" if actions[code] == "late" else "quarantined" for code in codes]
    assert kept == [(outcome, code, True) for outcome, code in zip(outcomes, codes, strict=True)]
    assert (report.late, report.quarantined) == (outcomes.count("late"), outcomes.count("quarantined"))
    assert report.valid == 1


@pytest.mark.parametrize("key", LATER, ids=lambda key: ".".join(key))
def test_one_bad_row_of_another_day(warehouse: Warehouse, landing: Path, key: tuple[str, str]) -> None:
    table, code = key
    v.land_lines(landing, load_streams()[table].stream, [v.as_export_json(MUTANTS[key]())], **LATER[key])
    assert load(warehouse, table, landing, None, "run").quarantined == 1
    assert warehouse.sql("SELECT rules FROM quality.quarantine").fetchall() == [(code,)]


@pytest.mark.parametrize("table", GOOD)
def test_repetitions_count_once(warehouse: Warehouse, landing: Path, table: str) -> None:
    record = GOOD[table]()
    record = v.as_export_json(record) if table == "web_events" else record
    v.land_lines(landing, load_streams()[table].stream, [record, record, record])
    report = load(warehouse, table, landing, None, "run")
    assert report.conserved
    assert (report.valid, report.duplicate, report.quarantined) == (1, 2, 0)


def test_first_web_event_and_last_crm_version_stay(warehouse: Warehouse, landing: Path) -> None:
    twice = [v.as_export_json(v.ga4(params={"search_term": term})) for term in ("first", "second")]
    v.land_lines(landing, "ga4/events", twice)
    load(warehouse, "web_events", landing, None, "run")
    assert warehouse.scalar("SELECT search_term FROM validated.web_events") == "first"
    v.land_lines(landing, "hubspot/contacts", [v.contact(city="Bonn"), v.contact(city="Köln")])
    load(warehouse, "contacts", landing, None, "run")
    assert warehouse.scalar("SELECT city FROM validated.contacts") == "Köln"


# --- agreement with Great Expectations ----------------------------------------------------------------
def rule(kind: str, code: str = "rule", **kwargs: Any) -> Expectation:
    return Expectation(
        code=code,
        type=kind,
        kwargs=kwargs,
        description="d",
        advice="a",
        severity="critical",
        action="quarantine",
    )


CASES = [
    rule("expect_column_values_to_not_be_null", "not_null", column="text"),
    rule("expect_column_values_to_not_be_null", "not_null_where", column="text", row_condition=["a", ">", 1]),
    rule("expect_column_values_to_not_be_null", "not_null_and", column="text",
         row_condition=[["a", ">=", 1], ["b", "is not null"]]),
    rule("expect_column_values_to_be_in_set", "in_set", column="text", value_set=["x", "Y'z"]),
    rule("expect_column_values_to_be_in_set", "in_set_numbers", column="a", value_set=[1, 2]),
    rule("expect_column_values_to_not_be_in_set", "not_in_set", column="text", value_set=["x"]),
    rule("expect_column_values_to_be_between", "between", column="a", min_value=1, max_value=2),
    rule("expect_column_values_to_be_between", "above", column="a", min_value=1, strict_min=True),
    rule("expect_column_values_to_be_between", "below", column="money", max_value=10, strict_max=True),
    rule("expect_column_values_to_be_between", "dates", column="day", min_value=dt.date(2026, 1, 2)),
    rule("expect_column_values_to_be_between", "times", column="moment", max_value=utc(2026, 1, 2, 12)),
    rule("expect_column_values_to_be_between", "times_by_date", column="moment",
         min_value=dt.date(2026, 1, 2)),
    rule("expect_column_value_lengths_to_be_between", "lengths", column="text", min_value=2, max_value=3),
    rule("expect_column_values_to_match_regex", "regex", column="text", regex="^[a-z]+$"),
    rule("expect_column_values_to_match_regex", "regex_inside", column="text", regex="b"),
    rule("expect_column_values_to_not_match_regex", "no_regex", column="text", regex=r"\d"),
    rule("expect_column_pair_values_a_to_be_greater_than_b", "greater", column_A="a", column_B="b"),
    rule("expect_column_pair_values_a_to_be_greater_than_b", "greater_or_equal", column_A="a", column_B="b",
         or_equal=True),
    rule("expect_column_pair_values_a_to_be_greater_than_b", "time_over_day", column_A="moment",
         column_B="day",
         or_equal=True),
    rule("expect_column_pair_values_to_be_equal", "equal", column_A="a", column_B="b"),
    rule("unexpected_rows_expectation", "rows",
         unexpected_rows_query="SELECT * FROM {batch} WHERE a + b > 3"),
]  # fmt: skip
TABLE = """
CREATE TABLE customers.sample AS SELECT * FROM (VALUES
  (1, 1, 'x',    1.50, DATE '2026-01-01', TIMESTAMP '2026-01-01 10:00:00'),
  (2, 1, 'abc',  9.99, DATE '2026-01-02', TIMESTAMP '2026-01-02 11:00:00'),
  (3, 4, 'A1b',  10.0, DATE '2026-01-03', TIMESTAMP '2026-01-02 23:59:59'),
  (NULL, 2, NULL, NULL, NULL, NULL),
  (2, NULL, '',  -1.0, DATE '2026-01-02', NULL),
  (0, 0, 'Y''z', 100,  NULL, TIMESTAMP '2026-01-02 12:00:00'),
  (NULL, NULL, 'ärger%_', 0, DATE '2026-02-01', TIMESTAMP '2026-02-01 00:00:00')
) AS t(a, b, text, money, day, moment)
"""


def test_compiled_rules_agree_with_great_expectations(warehouse: Warehouse) -> None:
    from cja_pipeline.validated.gx import validate

    assert {case.type for case in CASES} == ROW_TYPES
    warehouse.execute(TABLE)
    found = validate(warehouse, "customers.sample", CASES, {})
    theirs = {
        code: answer["result"].get("unexpected_count", answer["result"].get("observed_value"))
        for code, answer in found.items()
    }
    assert all(answer["error"] is None for answer in found.values())
    ours = {
        case.code: warehouse.scalar(f"SELECT count(*) FROM customers.sample WHERE {broken(case)}")
        for case in CASES
    }
    assert ours == theirs


def test_rules_that_cannot_be_compiled() -> None:
    with pytest.raises(RuleError, match="cannot depend on parameters"):
        broken(rule("expect_column_values_to_be_between", column="a", min_value={"$PARAMETER": "x"}))
    with pytest.raises(RuleError, match="must read SELECT"):
        broken(rule("unexpected_rows_expectation", unexpected_rows_query="SELECT a FROM {batch}"))
    with pytest.raises(RuleError, match="neither min_value nor max_value"):
        broken(rule("expect_column_values_to_be_between", column="a"))
