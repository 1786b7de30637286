"""Who an identifier belongs to, and what is theirs alone.

Starts from the records that certainly are the person's (they share an identifier) and keeps apart what the
identity graph joined by likeness only: that may be somebody else, so a human decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity.normalise import Normaliser
from cja_pipeline.privacy.identifiers import Recogniser
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.suppress import visit_key
from cja_pipeline.warehouse import Warehouse

GRAPH_KINDS = ("crm_id", "login_id", "loyalty_id", "email", "phone", "profile_id", "author_id", "cookie")
Value = tuple[str, str]


class NobodyError(LookupError):
    """Nobody has that identifier; the message does not repeat it."""


class SharedError(LookupError):
    """Several customers use the identifier; the message names their customer ids."""


@dataclass
class Person:
    """One person: `records` are theirs, `review` were joined to them by likeness only.

    `own` identifiers are used by nobody else, `shared` ones by others too; both as (kind, raw value).
    `visits` are visits on devices that others use as well. `whole` says that nothing is left for review, so
    that the customer id is the person's alone.
    """

    customer_id: str
    records: list[str] = field(default_factory=list)
    review: list[str] = field(default_factory=list)
    own: list[Value] = field(default_factory=list)
    shared: list[Value] = field(default_factory=list)
    visits: list[str] = field(default_factory=list)
    shared_cookies: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not self.review

    def notes(self, keys: Keys, recogniser: Recogniser) -> list[str]:
        """The hashes by which the person is recognised from now on."""
        held: set[str] = set()
        for kind, value in [*self.own, *(("visit", key) for key in self.visits)]:
            held |= recogniser.notes(keys.ring, kind, value)
        for cookie in self.shared_cookies:
            held |= recogniser.notes(keys.ring, "shared_cookie", cookie)
        return sorted(held)


def recogniser() -> Recogniser:
    return Recogniser(Normaliser(identity()))


def find_person(wh: Warehouse, keys: Keys, given: str, *, include_linked: bool = False) -> Person:
    """The person behind a customer id, e-mail address, phone number, login, card, cookie or CRM id.

    Args:
        include_linked: also take the records that were joined by likeness only.

    Raises:
        NobodyError, SharedError: it cannot be told who is meant.
    """
    seen = recogniser()
    customer, anchors = _customer(wh, keys, seen, given.strip())
    rows = wh.sql(_sql(), {"customer_id": customer}).fetchall()
    by_record: dict[str, list[Value]] = defaultdict(list)
    for record, kind, value in rows:
        by_record[record].append((kind, value))
    forms = {
        record: {form for kind, value in held if kind != "referral_code" for form in seen.forms(kind, value)}
        for record, held in by_record.items()
    }
    parts = _parts(forms)
    named = [part for part in parts if any(forms[record] & anchors for record in part)]
    if not named and parts:
        named = [max(parts, key=lambda part: (len(part), min(part)))]
    chosen = {record for part in named for record in part}
    if include_linked:
        chosen = set(by_record)
    person = Person(customer, sorted(chosen), sorted(set(by_record) - chosen))
    _sort_values(wh, keys, seen, person, by_record)
    _visits(wh, person)
    return person


def _sql() -> str:
    return (files("cja_pipeline.privacy") / "record_values.sql").read_text(encoding="utf-8")


def _customer(wh: Warehouse, keys: Keys, seen: Recogniser, given: str) -> tuple[str, set[tuple[str, str]]]:
    if wh.scalar("SELECT count(*) FROM customers.identity_links WHERE customer_id = ?", [given]):
        return given, set()
    merged = wh.scalar(
        "SELECT max_by(customer_id, logged_at) FROM customers.identity_log "
        "WHERE event = 'merge' AND other_customer_id = ?",
        [given],
    )
    if merged:
        return str(merged), set()
    anchors = {form for kind in GRAPH_KINDS for form in seen.forms(kind, given)}
    hashes = [f"{kind}:{keys.ring.of_hash(kind, digest)}" for kind, digest in anchors]
    found = wh.sql(
        "SELECT DISTINCT customer_id FROM customers.customer_identifiers "
        "WHERE identifier_type || ':' || identifier_hash IN (SELECT unnest(?::VARCHAR[])) ORDER BY 1",
        [hashes],
    ).fetchall()
    # whoever refused to be joined is known by the CRM's own record alone
    found = (
        found
        or wh.sql(
            "SELECT DISTINCT l.customer_id FROM (SELECT contact_id,"
            " unnest([email, phone, mobile, login_id, loyalty_id]) AS value FROM validated.contacts) AS said"
            " JOIN customers.identity_links AS l ON l.record_key = concat('contact:', said.contact_id)"
            " WHERE lower(trim(value)) = lower(?) ORDER BY 1",
            [given],
        ).fetchall()
    )
    if not found:
        raise NobodyError("Nobody in the customer view has this identifier.")
    if len(found) > 1:
        listed = ", ".join(row[0] for row in found)
        raise SharedError(f"{len(found)} customers use this identifier. Name one of them by its id: {listed}")
    return str(found[0][0]), anchors


def _parts(forms: dict[str, set[tuple[str, str]]]) -> list[set[str]]:
    """Groups of records that hang together by identifiers they share."""
    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record, held in forms.items():
        for form in held:
            holders[form].append(record)
    left, parts = set(forms), []
    while left:
        part: set[str] = set()
        waiting = [min(left)]
        while waiting:
            record = waiting.pop()
            if record not in part:
                part.add(record)
                waiting += [other for form in forms[record] for other in holders[form]]
        parts.append(part)
        left -= part
    return parts


def _sort_values(
    wh: Warehouse, keys: Keys, seen: Recogniser, person: Person, by_record: dict[str, list[Value]]
) -> None:
    """Tell the person's own identifiers from those that others use too."""
    mine = {value for record in person.records for value in by_record[record]}
    not_mine = {value for record in person.review for value in by_record[record]}
    foreign = {form for kind, value in not_mine for form in seen.forms(kind, value)}
    others = _held_by_others(wh, keys, person.customer_id, seen, mine)
    owned = _owned_cookies(wh, person)
    for kind, value in sorted(mine):
        forms = seen.forms(kind, value)
        if not forms:
            continue
        used = bool(forms & foreign) or (kind, value) in others or (kind == "cookie" and value not in owned)
        (person.shared if used else person.own).append((kind, value))


def _held_by_others(
    wh: Warehouse, keys: Keys, customer: str, seen: Recogniser, mine: Iterable[Value]
) -> set[Value]:
    """Those values that another customer has, now or in an earlier version of a record."""
    mine = [
        (kind, value)
        for kind, value in mine
        if kind in ("email", "email_sha256", "phone", "login_id", "loyalty_id", "referral_code")
    ]
    by_hash: dict[str, set[Value]] = defaultdict(set)
    for value in mine:
        for kind, digest in seen.forms(*value):
            by_hash[f"{kind}:{keys.ring.of_hash(kind, digest)}"].add(value)
    rows = wh.sql(
        "SELECT DISTINCT identifier_type || ':' || identifier_hash FROM customers.customer_identifiers "
        "WHERE customer_id <> ? "
        "AND identifier_type || ':' || identifier_hash IN (SELECT unnest(?::VARCHAR[]))",
        [customer, list(by_hash)],
    ).fetchall()
    found = set().union(*(by_hash[row[0]] for row in rows)) if rows else set()
    plain = {value.strip().lower(): (kind, value) for kind, value in mine}
    rows = wh.sql(
        "SELECT DISTINCT lower(trim(value)) FROM ("
        "SELECT contact_id, unnest([email, phone, mobile, login_id, loyalty_id, referral_code]) AS value "
        "FROM validated.contacts) AS said JOIN customers.identity_links AS l "
        "ON l.record_key = concat('contact:', said.contact_id) "
        "WHERE l.customer_id <> ? AND lower(trim(value)) IN (SELECT unnest(?::VARCHAR[]))",
        [customer, list(plain)],
    ).fetchall()
    return found | {plain[row[0]] for row in rows}


def _owned_cookies(wh: Warehouse, person: Person) -> set[str]:
    """Devices on which nobody else ever logged in or ordered."""
    rows = wh.sql(
        "SELECT visitor_id FROM customers.visitor_map m "
        "WHERE customer_id = ? AND rule IN ('sole', 'anonymous') AND NOT EXISTS ("
        "SELECT 1 FROM customers.web_activity a WHERE a.visitor_key = m.visitor_key "
        "AND a.customer_id <> m.customer_id)",
        [person.customer_id],
    ).fetchall()
    return {row[0] for row in rows}


def _visits(wh: Warehouse, person: Person) -> None:
    """The person's visits on devices that are not theirs alone."""
    own = [value for kind, value in person.own if kind == "cookie"]
    rows = wh.sql(
        "SELECT DISTINCT e.visitor_id, e.ga_session_id, "
        "CASE WHEN e.ga_session_id IS NULL THEN epoch_us(e.occurred_at) END "
        "FROM customers.web_activity a JOIN validated.web_events e USING (event_id) "
        "WHERE a.customer_id = ? AND e.visitor_id NOT IN (SELECT unnest(?::VARCHAR[])) ORDER BY ALL",
        [person.customer_id, own or [""]],
    ).fetchall()
    if person.whole:
        person.visits = [visit_key(cookie, visit, moment) for cookie, visit, moment in rows]
        person.shared_cookies = sorted({row[0] for row in rows})
