"""What may not cross a boundary: paths, names in SQL, hosts, bombs, code in data."""

from __future__ import annotations

import ast
import gzip
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import cja_pipeline
from cja_pipeline.journey_maps.report import write_report
from cja_pipeline.settings import Settings
from cja_pipeline.sources.addresses import require_public
from cja_pipeline.sources.client import VendorClient
from cja_pipeline.sources.errors import VendorError
from cja_pipeline.sources.ga4 import count_rows
from cja_pipeline.sources.manifest import NAME, Manifest, read_manifest
from cja_pipeline.sources.registry import HubspotSource, KlaviyoSource
from cja_pipeline.validated.lines import unpack
from cja_pipeline.warehouse import Warehouse

PACKAGE = Path(cja_pipeline.__file__).parent
FORBIDDEN = {"pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "tarfile", "zipfile"}
HOSTILE = (
    'x"; DROP TABLE customers.orders; --',
    "customers.orders; DROP TABLE x",
    "a'b",
    "ü.ß",
    "",
    "..",
    "a.b.c",
)


# --- names and paths -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_outside_never_reach_sql(warehouse: Warehouse, name: str) -> None:
    warehouse.execute("CREATE TABLE customers.orders (order_id VARCHAR)")
    with pytest.raises(KeyError):
        warehouse.read(name)
    assert warehouse.exists("customers.orders")


@given(st.text(max_size=40))
def test_a_manifest_cannot_name_files_elsewhere(name: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        value = json.loads(
            Manifest(
                "ga4", "events", "2026-01-01", {"start": "", "end": ""}, "2026-01-02T00:00:00Z", "v1"
            ).text()
        )
        value |= {"rows": 1, "files": [{"name": name, "sha256": "", "rows": 1, "bytes": 1}]}
        (Path(folder) / NAME).write_text(json.dumps(value))
        found = read_manifest(Path(folder))
        if found is not None:
            inside = (Path(folder) / found.files[0].name).resolve()
            assert inside.parent == Path(folder).resolve() or inside == Path(folder).resolve()


def test_pages_are_written_under_plain_names_only(tmp_path: Path) -> None:
    import datetime as dt

    from cja_pipeline_tests.journey_maps.example import example

    with pytest.raises(ValueError, match="plain file name"):
        write_report({"../outside.html": "x"}, example(), tmp_path / "reports", dt.date(2026, 1, 1))
    assert not (tmp_path / "outside.html").exists()


# --- where requests may go -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "http://api.hubapi.com",
        "https://169.254.169.254",
        "ftp://api.hubapi.com",
        "https://",
    ],
)
def test_only_the_vendors_own_hosts_are_asked(address: str) -> None:
    with pytest.raises(ValidationError):
        HubspotSource(kind="hubspot", base_url=address, token="env:T")


def test_a_host_may_be_allowed_by_name() -> None:
    allowed = KlaviyoSource(
        kind="klaviyo", base_url="https://proxy.example", token="env:T", allowed_hosts=["proxy.example"]
    )
    assert not allowed.public_only
    assert HubspotSource(kind="hubspot", base_url="https://api.hubapi.com", token="env:T").public_only


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "127.0.0.1", "169.254.169.254", "::1", "192.168.1.1", "fd00::1"]
)
def test_a_vendors_name_may_not_lead_into_our_network(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(*_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("93.184.216.34", 0)),
            (0, 0, 0, "", (address, 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with pytest.raises(VendorError, match="not public"):
        require_public("api.hubapi.com")


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:8080/", "https://other.example/"]
)
def test_redirects_are_not_followed(target: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": target})

    with VendorClient(
        "https://api.hubapi.com",
        name="crm",
        token=lambda: "secret-token",
        auth=lambda token: {"Authorization": token},
        transport=httpx.MockTransport(answer),
    ) as client:
        with pytest.raises(VendorError) as error:
            client.get("/crm")
        with pytest.raises(VendorError, match="another host"):
            client.follow(target)
    assert set(asked) == {"api.hubapi.com"}
    assert "secret-token" not in str(error.value)


# --- bombs and code in data ----------------------------------------------------------------------------
def test_decompression_bombs_are_put_aside(tmp_path: Path) -> None:
    bomb = tmp_path / "part-000.jsonl.gz"
    bomb.write_bytes(gzip.compress(b"\0" * (128 << 20), 9))
    with pytest.raises(ValueError, match="expands"):
        count_rows(bomb)
    text, cause = unpack(bomb.read_bytes())
    assert text == b""
    assert "expands" in cause


def test_members_of_a_large_file_are_all_read() -> None:
    import random

    lines = random.Random(1).randbytes(200_000)
    assert unpack(gzip.compress(lines) + gzip.compress(b"last\n")) == (lines + b"last\n", "")


def test_nothing_is_unpickled_and_no_archive_is_extracted_by_name() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = (
                {alias.name for alias in node.names}
                if isinstance(node, ast.Import | ast.ImportFrom)
                else set()
            )
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
            assert not names & {
                "pickle",
                "dill",
                "cloudpickle",
                "shelve",
                "marshal",
                "joblib",
                "tarfile",
                "zipfile",
            }, path
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"extractall", "read_pickle", "to_pickle"}, path


def test_no_asset_hands_values_to_an_io_manager(night: Path) -> None:
    """The default IO manager pickles: writable storage would be code execution. Assets depend by name and
    return a MaterializeResult, so a whole night stores no value anywhere."""
    from cja_pipeline.definitions import build_definitions

    for asset in build_definitions().assets or []:
        for name, kind in asset.op.ins.items():  # type: ignore[union-attr]
            assert kind.dagster_type.is_nothing, (asset, name)
    stored = [path for path in (night / "dagster").rglob("*") if path.is_file()]
    assert stored
    for path in stored:
        assert path.read_bytes()[:2] not in {b"\x80\x03", b"\x80\x04", b"\x80\x05"}, path


def test_secrets_do_not_show_in_settings() -> None:
    settings = Settings(
        secret_key="canary-key", previous_keys="canary-old", database_url="postgresql://u:canary-pw@h/d"
    )
    assert "canary" not in repr(settings)
    assert "canary" not in str(settings.model_dump())
