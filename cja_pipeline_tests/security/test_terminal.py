"""What comes from outside is only text in a terminal: no escape sequence, no markup, no second line."""

from __future__ import annotations

import io
import logging
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from cja_pipeline.cli import main
from cja_pipeline.console import PROGRESS, plain, print_table, watching
from cja_pipeline.settings import get_settings
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v

# clipboard by OSC 52, a title, a link, markup of rich that has no beginning, reading from right to left
HOSTILE = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b1m[/nothing] [link=http://evil.example]x[/link] \u202egpj.exe"


@given(st.text())
@example("\u05f5\ue000\u3000")
def test_no_character_steers_the_terminal(text: str) -> None:
    shown = plain(text)
    harmless = {"Cn", "Co"}  # code points without a meaning are shown as boxes
    assert all(c.isprintable() or c.isspace() or unicodedata.category(c) in harmless for c in shown)
    assert not set(shown) & {"\x1b", "\x9b", "\x07", "\r", "\u202e", "\u2066"}
    assert plain("Gr\u00fc\u00dfe, 1\u202f234 \u20ac\u00a0") == "Gr\u00fc\u00dfe, 1\u202f234 \u20ac\u00a0"


def test_a_vendors_words_neither_stop_a_night_nor_steer_the_terminal() -> None:
    """What a vendor answers is told on the way out of a night, before anybody is alerted."""
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True)
    with watching(console):
        logging.getLogger(PROGRESS).error("%s failed: %s", "crm", HOSTILE)
    print_table(console, ["value"], [[HOSTILE]])
    told = out.getvalue()
    assert told.count("[/nothing] [link=http://evil.example]x[/link]") == 2
    for sign in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\u202e"):
        assert sign not in told


@pytest.mark.parametrize("command", [["show", "web_events", "--payload"], ["list"]], ids=" ".join)
def test_what_is_kept_aside_is_shown_as_text(home: Path, command: list[str]) -> None:
    settings = get_settings().prepare()
    bad = v.as_export_json(v.ga4(1, params={"search_term": HOSTILE})) | {"event_timestamp": HOSTILE}
    v.land_lines(settings.landing_dir, "ga4/events", [bad, f'{{"broken": "{HOSTILE}'])
    with Warehouse(settings.warehouse_path) as warehouse:
        load(warehouse, "web_events", settings.landing_dir, None, "run")
    told = CliRunner().invoke(main, ["quarantine", *command])
    assert told.exit_code == 0, told.output
    assert "evil.example" in told.output or command == ["list"]
    assert not set(told.output) & {"\x1b", "\x9b", "\x07", "\u202e"}
