"""Spark sessions: one in this process, one by URL, one in a Java process of its own. Loopback only, telemetry off."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lake.errors import ConfigError, NotReadyError
from lake.settings import Settings

SessionKind = Literal["sail", "connect", "jvm"]
Reading = Literal["delta", "files"]
"""`delta`: Spark reads the table itself. `files`: the parquet files of the version, as the table's log lists them."""

PACKAGES: Mapping[SessionKind, tuple[str, ...]] = {
    "sail": ("pyspark", "grpc", "pysail"),
    "connect": ("pyspark", "grpc"),
    "jvm": ("pyspark", "py4j"),  # pyspark-client has the name pyspark too, and no JVM
}
LOOPBACK = "127.0.0.1"
CONNECT_PORT = 15002
"""Where a Spark Connect server listens unless told otherwise."""
ANSWER_SECONDS = 10.0
SAIL = {  # Sail reads these once in a process, so they stay set
    "SAIL_TELEMETRY__EXPORT_TRACES": "false",
    "SAIL_TELEMETRY__EXPORT_METRICS": "false",
    "SAIL_TELEMETRY__EXPORT_LOGS": "false",
    # An idle session is ended even while a long function runs in it (github.com/lakehq/sail/issues/2471).
    "SAIL_SPARK__SESSION_TIMEOUT_SECS": "86400",
}
SQL = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.adaptive.coalescePartitions.enabled": "false",  # a bucket is small and its computation is not
}
JVM = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",  # what went wrong comes back as one sentence
    "spark.driver.host": LOOPBACK,
    "spark.driver.bindAddress": LOOPBACK,
    "spark.executorEnv.POLARS_MAX_THREADS": "1",  # Spark runs a worker per core already
}
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


@dataclass(frozen=True)
class SparkOptions:
    """Properties of a Spark session.

    Parameters
    ----------
    remote
        Spark Connect address, ``sc://host:port``; for the kind `connect`.
    master
        Where a JVM session computes: ``local[*]``, ``local[2]``, or a cluster's master.
    jars
        For a JVM session: the jars of Delta Lake by path, or Maven coordinates that Spark fetches itself.
    reads
        How Spark reads the bars; by default itself, but by its files in a JVM session without jars.
    buckets
        See `SparkEngine`.
    java_home
        Where Java is, if it is not on the path.
    """

    remote: str | None = None
    master: str = "local[*]"
    jars: tuple[str, ...] = ()
    reads: Reading | None = None
    buckets: int | None = None
    java_home: str | None = None

    @classmethod
    def of(cls, configured: Settings) -> "SparkOptions":
        """Options as the settings have them."""
        return cls(
            remote=configured.spark_remote,
            master=configured.spark_master,
            jars=tuple(jar.strip() for jar in configured.spark_jars.split(",") if jar.strip()),
            java_home=configured.java_home,
        )


@dataclass(frozen=True)
class Session:
    """An open Spark session and how it reads a table."""

    spark: Any
    kind: SessionKind
    reads: Reading


@contextmanager
def open_session(kind: SessionKind, options: SparkOptions | None = None) -> Iterator[Session]:
    """Open a Spark session; it ends, with whatever was started for it, when the context is left.

    Raises
    ------
    NotReadyError
        If a package, Java or a jar is missing, or no server answers.
    ConfigError
        If the options cannot be used.
    """
    options = options or SparkOptions()
    _require_packages(kind)
    opened = {"sail": _sail, "connect": _connect, "jvm": _jvm}[kind]
    with opened(options) as session:
        for name, value in SQL.items():
            session.spark.conf.set(name, value)
        yield session


def delta_coordinates() -> str:
    """Maven coordinates of the Delta Lake that fits the installed Spark."""
    try:
        spark, delta = version("pyspark"), version("delta-spark")
    except PackageNotFoundError:
        return "io.delta:delta-spark_<spark>_2.13:<version>"
    return f"io.delta:delta-spark_{'.'.join(spark.split('.')[:2])}_2.13:{delta}"


def explain_missing_delta() -> str:
    """What a Spark without Delta Lake lacks, and the three ways on."""
    return (
        "This Spark cannot read Delta tables: the jar of Delta Lake is missing, which no Python package carries. Set "
        f"QUANTLAKE_SPARK_JARS={delta_coordinates()} to let Spark fetch it from Maven Central; or download that jar "
        "and io.delta:delta-storage of the same version and name their paths there; or, for a Spark by URL, start its "
        "server with --packages and these coordinates. Without it a JVM session reads the parquet files of the version."
    )


@contextmanager
def _sail(options: SparkOptions) -> Iterator[Session]:
    from pysail.spark import SparkConnectServer

    for name, value in SAIL.items():
        os.environ.setdefault(name, value)
    with _environment({"RUST_LOG": "error"}):
        server = SparkConnectServer(LOOPBACK, 0)
        server.start(background=True)
    try:
        host, port = server.listening_address
        with _remote(f"sc://{host}:{port}") as spark:
            yield Session(spark, "sail", options.reads or "delta")
    finally:
        server.stop()


@contextmanager
def _connect(options: SparkOptions) -> Iterator[Session]:
    if not options.remote or not options.remote.startswith("sc://"):
        raise ConfigError(
            f"SPARK_REMOTE is {options.remote!r}; the engine 'connect' needs the address of a Spark Connect server, "
            "e.g. sc://127.0.0.1:15002."
        )
    place = urlsplit(options.remote)
    try:
        # The client itself would try again for ten minutes.
        socket.create_connection((place.hostname or LOOPBACK, place.port or CONNECT_PORT), ANSWER_SECONDS).close()
    except OSError as error:
        raise NotReadyError(
            f"No Spark Connect server answers at {options.remote}: {error}. Start it, or correct SPARK_REMOTE."
        ) from error
    with _remote(options.remote) as spark:
        yield Session(spark, "connect", options.reads or "delta")


@contextmanager
def _remote(address: str) -> Iterator[Any]:
    with _interactive():
        # The builder of the client itself: pyspark's common one would turn the whole process into a client.
        from pyspark.sql.connect.session import SparkSession

    spark = SparkSession.builder.remote(address).create()
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def _interactive() -> Iterator[None]:
    """Let this process look interactive: one that was started without a file ends when it imports Spark's client.

    See `check_dependencies` in ``pyspark.sql.connect.utils``, which takes such a process for its own doctests.
    """
    if hasattr(sys, "ps1"):
        yield
        return
    sys.ps1 = ">>> "
    try:
        yield
    finally:
        del sys.ps1


@contextmanager
def _jvm(options: SparkOptions) -> Iterator[Session]:
    from pyspark.core.context import SparkContext
    from pyspark.sql.session import SparkSession

    if not (options.java_home or shutil.which("java")):
        raise NotReadyError("The engine 'jvm' needs Java 17 or newer, and there is neither 'java' nor JAVA_HOME.")
    reads = options.reads or ("delta" if options.jars else "files")
    if reads == "delta" and not options.jars:
        raise NotReadyError(explain_missing_delta())
    with (
        tempfile.TemporaryDirectory(prefix="quantlake-spark-") as scratch,
        _environment({"PYSPARK_PYTHON": sys.executable}),
    ):
        context = SparkContext(conf=_configured(options, Path(scratch)))
        try:
            yield Session(SparkSession(context), "jvm", reads)
        finally:
            context.stop()


def _configured(options: SparkOptions, scratch: Path) -> Any:
    from pyspark.conf import SparkConf

    paths = [jar for jar in options.jars if "/" in jar or jar.endswith(".jar")]
    if missing := [path for path in paths if not Path(path).is_file()]:
        raise ConfigError(f"QUANTLAKE_SPARK_JARS names {', '.join(missing)}, and there is no such file.")
    fetched = [jar for jar in options.jars if jar not in paths]
    conf = SparkConf().setMaster(options.master).setAppName("quantlake").setAll([*JVM.items(), *SQL.items()])
    conf.set("spark.sql.warehouse.dir", str(scratch / "warehouse")).set("spark.local.dir", str(scratch / "blocks"))
    if options.jars:
        conf.setAll([*DELTA.items(), ("spark.jars", ",".join(paths)), ("spark.jars.packages", ",".join(fetched))])
    return conf


def _require_packages(kind: SessionKind) -> None:
    missing = [name for name in PACKAGES[kind] if find_spec(name) is None]
    if missing:
        raise NotReadyError(
            f"The engine '{kind}' needs {' and '.join(missing)}, which is not installed. Install what it needs with "
            f"pip install 'quantlake[{'spark-jvm' if kind == 'jvm' else 'spark'}]'."
        )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables that a library reads when it starts, and put back what was there."""
    before = {**os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)
