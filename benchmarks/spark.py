"""Features on Spark beside this process: the same market, the same numbers, at several sizes."""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.timing import interleave, medians
from feature_repo.catalog import TECHNICAL
from feature_repo.engines import FeatureEngine, LocalEngine, SparkOptions, compute_group, open_engine
from lake.clock import DEMO_START
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

if TYPE_CHECKING:
    from collections.abc import Callable

MUST, AIM = 10, 7
CORES = 2
FLEETS = (16, 64, 256)
"""Cores of the clusters that the crossover is extrapolated to."""
IN_ONE_PART = 10**12


@dataclass(frozen=True)
class Size:
    """Middle seconds of the engines over one market."""

    rows: int
    seconds: dict[str, float]


def measure(
    *, symbols: tuple[int, ...] = (500, 2_000, 5_000), sessions: int = 252, repetitions: int = 5, has_jvm: bool = True
) -> Topic:
    """Measure P20 on the largest market, and the engines on all of them.

    Parameters
    ----------
    symbols
        How many, by market, ascending.
    has_jvm
        Whether a JVM session takes part, where there is Java.
    """
    # Java first: it is started by a fork, which an open gRPC channel does not survive.
    kinds = ("jvm", "sail") if has_jvm and shutil.which("java") else ("sail",)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        lakes = [_lake(Path(name) / str(count), count, sessions) for count in symbols]
        engines: dict[str, FeatureEngine] = {"local": LocalEngine()}
        opened: dict[str, float] = {}
        for kind in kinds:
            started = time.perf_counter()
            engines[kind] = stack.enter_context(open_engine(kind, SparkOptions(master=f"local[{CORES}]")))
            opened[kind] = time.perf_counter() - started
        cold = _same_numbers(engines, lakes[-1])
        sizes = [_times(lake, engines, repetitions) for lake in lakes]
        memory = [_peak(lake) for lake in (lakes[0], lakes[-1])]
    figures = [_beside_kernel(kind, sizes[-1]) for kind in kinds]
    figures += [_beside_local(kind, size) for size in (sizes[-1], *sizes[:-1]) for kind in kinds]
    notes = (
        *(f"{kind}: session opened in {opened[kind]:.1f} s, first run {cold[kind]:.1f} s" for kind in kinds),
        _bytes_per_row(sizes, memory),
        *(_crossover(kind, sizes) for kind in kinds),
    )
    text = (
        f"The {len(TECHNICAL.features)} technical features from Delta as of an instant to frames ready to be merged; "
        f"{symbols[-1]:,} symbols x {sessions} sessions and smaller. All engines gave the same frame, bit for bit, "
        "before time counted. `kernel` is the compiled kernel alone over bars already in memory."
    )
    return Topic("Features on Spark", text, RATIO, tuple(figure.to_row() for figure in figures), notes)


def _lake(folder: Path, symbols: int, sessions: int) -> Lake:
    lake = Lake(folder)
    names = [*(f"S{number:05d}" for number in range(symbols)), MARKET]
    lake.merge(BARS, tiny_market(names, sessions, seed=20))
    return lake


def _whole(engine: FeatureEngine, lake: Lake) -> pl.DataFrame:
    return pl.concat(list(engine.compute(lake, TECHNICAL, DEMO_START)))


def _same_numbers(engines: dict[str, FeatureEngine], lake: Lake) -> dict[str, float]:
    """Compare the answers of all engines; seconds of each first run."""
    cold, frames = {}, {}
    for name, engine in engines.items():
        started = time.perf_counter()
        frames[name] = _whole(engine, lake).sort("symbol", "event_time")
        cold[name] = time.perf_counter() - started
    assert all(frame.equals(frames["local"]) for frame in frames.values())
    return cold


def _times(lake: Lake, engines: dict[str, FeatureEngine], repetitions: int) -> Size:
    bars = lake.read_as_of(BARS, DEMO_START)
    rivals: dict[str, Callable[[], object]] = {"kernel": lambda: compute_group(bars, TECHNICAL)}
    rivals |= {name: lambda engine=engine: _whole(engine, lake) for name, engine in engines.items()}
    for run in rivals.values():
        run()
    return Size(bars.height, medians(interleave(rivals, repetitions)))


def _beside_kernel(kind: str, size: Size) -> Figure:
    what = f"P20 {size.rows:,} rows, {kind} on {CORES} cores / the kernel alone"
    return Figure(what, size.seconds["kernel"], size.seconds[kind], MUST, AIM, unit="s")


def _beside_local(kind: str, size: Size) -> Figure:
    """Both from Delta to frames."""
    return Figure(f"{size.rows:,} rows, {kind} / the local engine", size.seconds["local"], size.seconds[kind], unit="s")


def _peak(lake: Lake) -> int:
    """Peak bytes of a process of its own that computes the market in one part."""
    command = [sys.executable, "-c", f"from benchmarks.spark import tell_peak; tell_peak({str(lake.root)!r})"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tell_peak(folder: str) -> None:
    """Compute a market in one part and print the peak memory in bytes; runs in a process of its own."""
    for _ in LocalEngine(values_at_once=IN_ONE_PART).compute(Lake(Path(folder)), TECHNICAL, DEMO_START):
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _bytes_per_row(sizes: list[Size], memory: list[int]) -> str:
    one_part = f"local in one part: {memory[-1] / 1e9:.2f} GB at {sizes[-1].rows:,} rows"
    if memory[-1] <= memory[0]:
        return one_part
    each = (memory[-1] - memory[0]) / (sizes[-1].rows - sizes[0].rows)
    return (
        f"{one_part}, {each:,.0f} bytes a further row, so 16 GB would hold about {16e9 / each / 1e6:,.0f} million rows "
        "(extrapolated); in chunks of symbols, as it runs by default, memory does not grow with the market"
    )


def _crossover(kind: str, sizes: list[Size]) -> str:
    """From where on a cluster would win, if its cores worked as fast as these and nothing else grew."""
    small, large = sizes[0], sizes[-1]
    grown = large.rows - small.rows
    if not grown:
        return f"{kind}: one size only, no crossover"
    local, there = ((large.seconds[name] - small.seconds[name]) / grown for name in ("local", kind))
    fixed = max(small.seconds[kind] - there * small.rows, 0.0)
    base = max(small.seconds["local"] - local * small.rows, 0.0)
    lines = []
    for cores in FLEETS:
        gain = local - there * CORES / cores
        lines.append(
            f"{cores} cores: {max(fixed - base, 0) / gain / 1e6:.1f} million rows" if gain > 0 else f"{cores}: never"
        )
    return (
        f"{kind}: {fixed:.1f} s + {there * 1e6:.2f} s per million rows on {CORES} cores, local {base:.1f} s + "
        f"{local * 1e6:.2f} s; crossover, extrapolated: {'; '.join(lines)}"
    )
