"""A wrong setting is answered with file, line, key and what was expected."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from cja_pipeline import config
from cja_pipeline.bench import measure_night
from cja_pipeline.cli import main
from cja_pipeline.config import ConfigError, Shop, load_config, load_config_dir
from cja_pipeline.journey_maps.serving import open_engine
from cja_pipeline.settings import SettingsError, get_settings, own_home

LIMIT = "SELECT current_setting('memory_limit')"


@pytest.fixture
def override(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    monkeypatch.setenv("CJA_CONFIG", str(folder))
    get_settings.cache_clear()
    return folder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: A\ncurrency: EUR\n", "time_zone: this key is required and missing"),
        ("name: A\ntime_zone: Berlin\ncurrency: EUR\n", r"line 2: time_zone: expected an IANA time zone"),
        ("name: A\ntime_zone: UTC\ncurrency: EUR\nzone: x\n", r"line 4: zone: unknown key"),
        ("name: [\n", "not valid YAML"),
    ],
)
def test_faults_are_named(override: Path, text: str, message: str) -> None:
    (override / "shop.yml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config("shop.yml", Shop)
    assert str(override / "shop.yml") in str(caught.value)


def test_an_override_replaces_the_shipped_file(override: Path) -> None:
    assert load_config("shop.yml", Shop).name == "Nordlicht Outdoor"
    (override / "shop.yml").write_text("name: B\ntime_zone: America/New_York\ncurrency: USD\n")
    assert load_config("shop.yml", Shop).currency == "USD"


def test_a_folder_is_extended_by_further_files(override: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = override.parent / "shipped" / "shops"
    shipped.mkdir(parents=True)
    (override / "shops").mkdir()
    (shipped / "a.yml").write_text("name: A\ntime_zone: UTC\ncurrency: EUR\n")
    (override / "shops" / "b.yml").write_text("name: B\ntime_zone: UTC\ncurrency: EUR\n")
    monkeypatch.setattr(config, "SHIPPED", shipped.parent)
    assert [one.name for one in load_config_dir("shops", Shop)] == ["A", "B"]


def test_the_development_key_is_private_and_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CJA_SECRET_KEY")
    get_settings.cache_clear()
    settings = get_settings()
    key = settings.hmac_key()
    assert key == settings.hmac_key()
    assert len(key) == 64
    assert (home / "development.key").stat().st_mode & 0o077 == 0
    assert home.stat().st_mode & 0o077 == 0


def test_every_data_file_is_shipped() -> None:
    """What `pip install .` leaves out would be missed only on somebody else's machine."""
    import tomllib

    import cja_pipeline

    package = Path(cja_pipeline.__file__).parent
    project = package.parent / "pyproject.toml"
    if not project.exists():
        pytest.skip("runs from a checkout only")
    patterns = tomllib.loads(project.read_text())["tool"]["setuptools"]["package-data"]["cja_pipeline"]
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    not_code = {".py", ".pyc", ".png", ""}  # pictures are for the README
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix not in not_code}
    assert files - shipped == set()


def test_a_home_of_its_own_knows_nothing_of_the_installation(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"CJA_ALERT_WEBHOOK=http://127.0.0.1:9/\nCJA_LAKE={tmp_path / 'lake'}\n")
    monkeypatch.setenv("CJA_DATABASE_URL", "postgresql://reader@127.0.0.1/shop")
    monkeypatch.setenv("CJA_WAREHOUSE", str(tmp_path / "theirs.duckdb"))
    monkeypatch.setenv("CJA_MEMORY_LIMIT", "700MB")
    get_settings.cache_clear()
    before = get_settings()
    assert before.alert_webhook
    assert before.lake == tmp_path / "lake"
    with own_home(tmp_path / "own"):
        own = get_settings()
        assert (own.home, own.memory_limit) == (tmp_path / "own", "700MB")
        assert own.warehouse_path == tmp_path / "own" / "warehouse.duckdb"
        assert (own.database_url, own.alert_webhook, own.lake) == (None, None, None)
    assert get_settings() == before


@pytest.mark.slow
def test_a_benchmark_leaves_the_installation_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    monkeypatch.setenv("CJA_DATABASE_URL", f"sqlite:///{theirs / 'shop.db'}")
    monkeypatch.setenv("CJA_WAREHOUSE", str(theirs / "warehouse.duckdb"))
    get_settings.cache_clear()
    rows, ok = measure_night(tmp_path / "bench", 200, 10)
    assert ok
    assert rows
    assert list(theirs.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CJA_MEMORY_LIMIT", "4 pounds", "CJA_MEMORY_LIMIT: expected a number and its unit"),
        ("CJA_THREADS", "many", "CJA_THREADS: Input should be a valid integer"),
        ("CJA_CONFIG", "/no/such/folder", "CJA_CONFIG names /no/such/folder, which is not a folder"),
    ],
)
def test_a_wrong_setting_is_said_in_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    for command in (["doctor", "--fix"], ["run"], ["quality"]):
        answer = CliRunner().invoke(main, command)
        assert (answer.exit_code, words in answer.output) == (1, True), answer.output
        assert answer.exception is None or isinstance(answer.exception, SystemExit)


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ("1500MB", "1.3 GiB"),
        ("2 GB", "1.8 GiB"),
        ("1.5GiB", "1.5 GiB"),
        ("4g", "3.7 GiB"),
        ("3000000000 bytes", "2.7 GiB"),
        (" 4 gigabytes", "3.7 GiB"),
    ],
)
def test_every_memory_limit_that_is_taken_is_one_to_duckdb(
    home: Path, monkeypatch: pytest.MonkeyPatch, given: str, limit: str
) -> None:
    monkeypatch.setenv("CJA_MEMORY_LIMIT", given)
    get_settings.cache_clear()
    assert limit_in_force() == limit


def test_a_memory_limit_may_be_a_share_of_the_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for given in ("20%", "80%"):
        monkeypatch.setenv("CJA_MEMORY_LIMIT", given)
        get_settings.cache_clear()
        found.append(limit_in_force())
    with duckdb.connect() as connection:  # without a limit, DuckDB takes four fifths
        usual = connection.sql(LIMIT).fetchall()
    assert usual == [(found[1],)]
    assert found[0] != found[1]


def limit_in_force() -> str:
    with duckdb.connect(config={"memory_limit": get_settings().memory_limit}) as connection:
        return str(connection.sql(LIMIT).fetchall()[0][0])


@pytest.mark.parametrize("url", ["no url", "nosuchdb://host/db"])
def test_a_wrong_database_is_said_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="expected postgresql://user@host/database"):
        open_engine(url)


def test_a_database_whose_driver_is_not_there_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"pip install 'cja_pipeline\[postgres\]'"):
        open_engine("postgresql://me:hunter2@127.0.0.1/shop")
