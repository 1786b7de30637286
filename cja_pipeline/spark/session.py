"""The Spark session: where ``CJA_WAREHOUSE`` says, set so that it means what DuckDB means.

One session lasts as long as the process: steps follow each other in it. It is started by the first model, so
that commands which only read the tables need no cluster.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

IN_PROCESS = ("local", "yarn", "k8s://")  # what else Spark calls a master, beside spark://host:port
MASTER_PORT, CONNECT_PORT = 7077, 15002
PATIENCE_SECONDS = 5.0
MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
}


class SparkUnavailableError(RuntimeError):
    """Spark cannot be had; the message says what is missing and what to do."""


@dataclass
class Cluster:
    """A session, and what its catalog has been told: table and the place that it was told of."""

    session: SparkSession
    told: dict[str, str] = field(default_factory=dict)


def master_of(url: str) -> str:
    """Spark's own name of the master: ``spark://local[2]``, ``spark://yarn`` and ``spark://k8s://…`` name one
    that is no standalone cluster, any other is ``spark://host:port``."""
    rest = url.removeprefix("spark://")
    return rest if rest.startswith(IN_PROCESS) else url


def shown(url: str) -> str:
    """The URL as it may be told: Spark Connect takes a token among the parameters behind the host."""
    return url.partition("/;")[0]


def missing(url: str) -> str | None:
    """What is missing for a session at this URL, in a sentence; None if nothing is to be seen from here."""
    told = f"CJA_WAREHOUSE is {shown(url)}, but"
    if importlib.util.find_spec("pyspark") is None:
        return f"{told} pyspark is not installed: pip install 'cja_pipeline[spark]'"
    if not url.startswith("sc://") and not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        return f"{told} there is no Java: install Java 17 or newer, or set JAVA_HOME."
    host = urlsplit(url if url.startswith("sc://") else master_of(url))
    if host.scheme not in ("spark", "sc"):
        return None
    try:
        place = (host.hostname or "", host.port or (CONNECT_PORT if host.scheme == "sc" else MASTER_PORT))
        with socket.create_connection(place, timeout=PATIENCE_SECONDS):
            return None
    except (OSError, ValueError) as error:
        return f"{told} nobody answers there: {error}"


@lru_cache(maxsize=1)
def cluster(url: str, lake: Path) -> Cluster:
    """The session of this process.

    Args:
        url: ``spark://…`` (see `master_of`) or ``sc://host:port`` (Spark Connect). lake: where tables lie.
    Raises:
        SparkUnavailableError: pyspark or Java is missing, or nobody answers at the URL.
    """
    if problem := missing(url):
        raise SparkUnavailableError(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas 3, which only Arrow data are handed to
        from pyspark.sql import SparkSession

        builder: Any = SparkSession.builder.appName("cja_pipeline")
        if url.startswith("sc://"):
            builder = builder.remote(url)
        else:
            for key, value in _settings(master_of(url), lake).items():
                builder = builder.config(key, value)
        try:
            session = builder.getOrCreate()
            for key, value in MEANING.items():
                session.conf.set(key, value)
        except Exception as error:  # py4j, gRPC and Spark have errors of their own
            told = (str(error).strip().splitlines() or [""])[0][:200]
            raise SparkUnavailableError(f"Spark at {shown(url)} cannot be used: {told}") from error
    return Cluster(session)


def _settings(master: str, lake: Path) -> dict[str, str]:
    from splink.internals.spark.jar_location import similarity_jar_location

    found = {
        "spark.master": master,
        "spark.jars": similarity_jar_location(),  # the measures of likeness that identity resolution uses
        "spark.sql.warehouse.dir": str(lake),
        "spark.ui.enabled": "false",  # it would listen on every address
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        found |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        found |= {"spark.sql.shuffle.partitions": str(os.cpu_count() or 2)}
    return found
