"""The fault matrix names tests that exist; the operations guide names commands that work."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import cja_pipeline
from cja_pipeline.cli import main

DOCS = Path(cja_pipeline.__file__).parent / "docs"
TESTS = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (\d+)[ab]? \|.*\|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_the_matrix_has_every_row() -> None:
    rows = [int(number) for number in ROW.findall((DOCS / "faults.md").read_text(encoding="utf-8"))]
    assert sorted(set(rows)) == list(range(1, 56))


def test_every_row_names_tests_that_exist() -> None:
    text = (DOCS / "faults.md").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not ROW.match(line):
            continue
        named = NAMED.findall(line)
        assert named, line
        for file, test in named:
            tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert test in functions, f"{file}::{test}"


def commands(document: str) -> list[list[str]]:
    """Every `cja …` of a document: in shell blocks and in running text."""
    text = (DOCS / document).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    found = [line.split("#")[0].strip() for line in blocks.splitlines()]
    found += re.findall(r"`(cja [^`]+)`", text)
    lines = {re.sub(r"^(\w+=\S+ )+", "", line) for line in found}
    return [shlex.split(line) for line in sorted(lines) if line.startswith("cja ")]


@pytest.mark.parametrize(
    "command", [*commands("operations.md"), *commands("identity.md"), *commands("speed.md")], ids=" ".join
)
def test_every_command_of_the_guide_exists_with_its_options(command: list[str]) -> None:
    group: click.Command = main
    words = command[1:]
    while isinstance(group, click.Group):
        assert words, f"{command} is not complete"
        if words[0] == "--help":
            break
        assert words[0] in group.commands, f"there is no {' '.join(command)}"
        group = group.commands[words.pop(0)]
    known = {"--help", *(name for option in group.params for name in (*option.opts, *option.secondary_opts))}
    for word in words:
        if word.startswith("-"):
            assert word in known, f"{word} is no option of {group.name}"
    path = command[1 : len(command) - len(words)]
    answer = CliRunner().invoke(main, [*path, "--help"])
    assert answer.exit_code == 0


SAFE = [["doctor"], ["doctor", "--json"], ["quality"], ["quarantine", "list"]]


@pytest.mark.slow
@pytest.mark.parametrize("command", SAFE, ids=" ".join)
def test_the_commands_that_only_look_answer(command: list[str], night_copy: Path) -> None:
    assert ["cja", *command] in commands("operations.md")
    answer = CliRunner().invoke(main, command)
    assert answer.exit_code == 0, answer.output
