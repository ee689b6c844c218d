"""Sessions open on loopback, end with their context, and say what they lack."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_repo.catalog import TECHNICAL
from feature_repo.engines import FeatureEngine, SparkOptions, open_engine, sessions
from feature_repo.engines.sessions import delta_coordinates, open_session
from lake.clock import DEMO_START
from lake.errors import ConfigError, NotReadyError
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET
from support.ports import free_port

pytest.importorskip("pysail", reason="pysail, the Spark of these tests, is not installed")

KEY = ["symbol", "event_time"]
needs_jvm_packages = pytest.mark.skipif(
    not all(find_spec(name) for name in ("py4j", "delta")),
    reason="the packages of the extra spark-jvm are not installed; `make test-slow` installs them",
)


def rows(engine: FeatureEngine, lake: Lake) -> pl.DataFrame:
    return pl.concat(list(engine.compute(lake, TECHNICAL, DEMO_START))).sort(KEY)


@pytest.fixture
def market(lake: Lake) -> Lake:
    lake.merge(BARS, tiny_market(["AAA", "BBB", MARKET], 60, seed=3))
    return lake


def listening() -> set[str]:
    """Return the addresses this process's machine listens on, as the kernel lists them in hexadecimal."""
    lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
    return {fields[1] for line in lines if (fields := line.split())[3] == "0A"}


def test_one_name_chooses_the_engine(market: Lake) -> None:
    before = {name for name in os.environ if not name.startswith("SAIL_")}
    with open_engine() as local, open_engine("sail") as sail:
        assert type(local).__name__ == "LocalEngine"
        assert type(sail).__name__ == "SparkEngine"
        assert_frame_equal(rows(sail, market), rows(local, market), check_exact=True)
    assert {name for name in os.environ if not name.startswith("SAIL_")} == before


@pytest.fixture
def server() -> Iterator[str]:
    """Return the address of a Spark Connect server in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "pysail", "spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"RUST_LOG": "info"})
    try:
        assert process.stderr is not None
        assert any("server on" in line for line in process.stderr)
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_a_spark_in_another_process_computes_the_same(market: Lake, server: str) -> None:
    with open_engine("connect", SparkOptions(remote=server)) as there, open_engine() as here:
        assert_frame_equal(rows(there, market), rows(here, market), check_exact=True)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux lists its sockets there")
def test_the_server_listens_on_loopback_only_and_stops_with_its_context() -> None:
    before = listening()
    with open_session("sail") as session:
        opened = listening() - before
        assert session.spark.range(3).count() == 3
    assert opened
    assert all(address.startswith("0100007F:") for address in opened)
    port = int(next(iter(opened)).partition(":")[2], 16)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with (
        pytest.raises(ConfigError, match=r"'sparkle'\. It must be one of local, sail, connect, jvm"),
        open_engine("sparkle"),
    ):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("remote", [None, "localhost:15002"])
def test_an_address_that_is_none_is_refused(remote: str | None) -> None:
    with pytest.raises(ConfigError, match="SPARK_REMOTE is"), open_engine("connect", SparkOptions(remote=remote)):
        pass


@needs_jvm_packages
def test_a_jvm_that_cannot_read_delta_says_which_jar_is_missing_and_how_to_get_it() -> None:
    with pytest.raises(NotReadyError) as failed, open_session("jvm", SparkOptions(reads="delta")):
        pass
    said = str(failed.value)
    assert f"QUANTLAKE_SPARK_JARS={delta_coordinates()}" in said
    assert "io.delta:delta-storage" in said
    assert "Maven Central" in said


@needs_jvm_packages
def test_jars_that_are_not_there_are_named() -> None:
    options = SparkOptions(jars=("/nowhere/delta.jar",))
    with pytest.raises(ConfigError, match=r"names /nowhere/delta.jar, and there is no"), open_session("jvm", options):
        pass


@needs_jvm_packages
def test_the_coordinates_fit_the_installed_spark() -> None:
    import pyspark

    assert delta_coordinates().startswith(f"io.delta:delta-spark_{'.'.join(pyspark.__version__.split('.')[:2])}_2.13")


def test_a_jvm_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "find_spec", lambda name: None if name == "py4j" else find_spec(name))
    with pytest.raises(NotReadyError, match=r"'jvm' needs py4j, .*\n?.*quantlake\[spark-jvm\]"), open_session("jvm"):
        pass


def test_no_server_at_the_address_is_said_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        options = SparkOptions(remote=f"sc://127.0.0.1:{probe.getsockname()[1]}")
        with (
            pytest.raises(NotReadyError, match="No Spark Connect server answers at sc://127"),
            open_engine("connect", options),
        ):
            pass
