"""The documents for a reviewer are true: tests and commands exist, the record of processing is whole."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

import cja_pipeline
from cja_pipeline.cli import main
from cja_pipeline.privacy.config import load_privacy
from cja_pipeline.privacy.processing import category_of, processing_page
from cja_pipeline.tables import TABLES

PACKAGE = Path(cja_pipeline.__file__).parent
ROOT = PACKAGE.parent
TESTS = Path(__file__).parents[1]
DOCUMENTS = [PACKAGE / "docs" / "threat_model.md", PACKAGE / "docs" / "privacy.md"]


def test_every_threat_has_a_rule_and_a_test_that_exists() -> None:
    text = DOCUMENTS[0].read_text(encoding="utf-8")
    section = text.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 18
    for row in rows:
        threat, rule, tests = (cell.strip() for cell in row.strip("|").split("|"))
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", tests)
        assert rule, threat
        assert named, threat
        for file, name in named:
            tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_it_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]
    commands = [part.strip() for line in lines for part in line.split("#")[0].split("|") if "cja " in part]
    commands += [found for found in re.findall(r"`(cja [^`]+)`", text)]
    for command in commands:
        words = shlex.split(command[command.index("cja ") :])[1:]
        found: click.Command = main
        while words and isinstance(found, click.Group) and words[0] in found.commands:
            found = found.commands[words.pop(0)]
        assert found is not main, command
        options = {name for parameter in found.params for name in parameter.opts}
        assert not [word for word in words if word.startswith("--") and word not in options], command


def test_the_record_of_processing_lists_every_personal_column() -> None:
    facts = load_privacy()
    page = processing_page(facts)
    for table in TABLES.values():
        for column in table.pii_columns:
            assert category_of(column, facts) != "other", f"{table.full_name}.{column}"
            assert column in page
        if table.pii_columns:
            assert table.full_name in page
    assert "<script" not in page


def test_every_landed_table_with_people_has_a_limit() -> None:
    from cja_pipeline.privacy.config import limit_of
    from cja_pipeline.privacy.identifiers import stream_fields
    from cja_pipeline.validated.streams import load_streams

    for name, stream in load_streams().items():
        if TABLES[f"validated.{name}"].pii_columns:
            assert limit_of(f"validated.{name}"), name
            assert stream.stream in stream_fields(), name


def test_every_dependency_is_locked_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = [line for line in lock.splitlines() if re.match(r"^[A-Za-z0-9]", line)]
    assert len(entries) > 50
    assert all("==" in line and line.rstrip().endswith("\\") for line in entries)
    assert lock.count("--hash=sha256:") >= len(entries)
