"""The technical features: compiled kernels beside Polars expressions, Qlib, TA-Lib and the bare touch of the bytes."""

import gc
import math
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.rivals import polars_technical, talib_technical
from benchmarks.rivals.environments import Answer, Unavailable
from benchmarks.rivals.qlib_rival import beside_qlib, evaluate
from benchmarks.timing import interleave, medians
from feature_repo.catalog import CONDITIONAL_VOLATILITY, TECHNICAL
from feature_repo.engines import compute_technical
from lake.settings import settings
from lake.sources import tiny_market
from lake.universe import MARKET

SYMBOLS, SESSIONS = 800, 3_300
FORMULAS = tuple(feature for feature in TECHNICAL if feature not in CONDITIONAL_VOLATILITY)
"""Features that the rivals have as well; what is fitted is none of theirs."""
NEEDED = (
    "symbol",
    "event_time",
    "known_time",
    "high",
    "low",
    "close",
    "volume",
    "close_unadjusted",
    "volume_unadjusted",
)
FORGOTTEN = 420
"""Bars after which no seed is left: Qlib and TA-Lib seed their means in their own ways."""

_GAIN, _LOSS = "EMA(Greater($close-Ref($close,1),0),1/14)", "EMA(Greater(Ref($close,1)-$close,0),1/14)"
_RANGE = "Greater(Greater($high-$low,Abs($high-Ref($close,1))),Abs($low-Ref($close,1)))"
_R, _M = "($close/Ref($close,1)-1)", "($vwap/Ref($vwap,1)-1)"
_WIDTH = f"(Std($close,20)*{2 * math.sqrt(19 / 20)})"
EXPRESSIONS: dict[str, str] = {
    **{f"return_{n}d": f"$close/Ref($close,{n})-1" for n in (1, 5, 20, 60, 120, 252)},
    **{f"volatility_{n}d": f"Std({_R},{n})*{math.sqrt(252)}" for n in (5, 20, 60)},
    **{f"volume_ratio_{n}d": f"$volume/Mean($volume,{n})" for n in (5, 20)},
    "dollar_volume": "$close*$volume",
    "market_beta": f"Cov({_R},{_M},252)/Var({_M},252)",
    "market_return": "$vwap/Ref($vwap,1)-1",
    "market_volatility": f"Std({_M},20)*{math.sqrt(252)}",
    "rsi_14": f"100*{_GAIN}/({_GAIN}+{_LOSS})",
    "macd": "EMA($close,12)-EMA($close,26)",
    "macd_signal": "EMA(EMA($close,12)-EMA($close,26),9)",
    "sma_50_200_cross": "If(Gt(Mean($close,50),Mean($close,200)),1,0)",
    "bollinger_position": f"($close-Mean($close,20)+{_WIDTH})/(2*{_WIDTH})",
    "atr_14": f"EMA({_RANGE},1/14)",
}
"""What Qlib is asked, with the index in the place of $vwap."""


def measure(
    symbols: int = SYMBOLS, sessions: int = SESSIONS, repetitions: int = 5, environments: Path | None = None
) -> Topic:
    """Compute the technical features of a made-up market in several ways, compare the values, then the times.

    Parameters
    ----------
    environments
        Folder of the rivals' environments; by default one in the home.
    """
    names = [*(f"S{number:04d}" for number in range(symbols)), MARKET]
    bars = tiny_market(names, sessions, seed=1).select(NEEDED).sort("symbol", "event_time")
    qlib = partial(ask_qlib, bars, environments or settings().home / "rivals")
    ours, answer = compute_technical(bars, FORMULAS), qlib()
    compare(ours, bars, answer)
    written = ours.estimated_size()
    del ours
    rivals = {
        "ours": lambda: compute_technical(bars, FORMULAS),
        "polars": lambda: polars_technical.compute(bars),
        "talib": lambda: talib_technical.compute(bars),
        "touch": lambda: touch(bars),
    }
    middle = medians(interleave(rivals, repetitions))
    asked = [answer] if isinstance(answer, Unavailable) else [qlib() for _ in range(repetitions)]
    peak = peak_bytes(bars)
    seconds, size = middle["ours"], (bars.estimated_size() + written) / 1e6
    figures = (
        Figure(
            "P1, beside Polars expressions `.over` the symbol",
            middle["polars"],
            seconds,
            3,
            5,
            is_speed_up=True,
            unit="s",
        ),
        beside_qlib("P1", asked, seconds, 12, 50),
        Figure("beside a loop over TA-Lib, on one core", middle["talib"], seconds, is_speed_up=True, unit="s"),
        Figure("P3, beside the first touch of the same bytes", middle["touch"], seconds, 6, 3.5, unit="s"),
        Figure("P3, peak memory beside bytes in and out", size, "" if peak is None else peak / 1e6, 2.5, unit="MB"),
    )
    text = (
        f"The {len(FORMULAS)} features of the technical group, {symbols:,} symbols of {sessions:,} sessions; "
        f"the middle of {repetitions} repetitions, in turn."
    )
    return Topic("Technical features", text, RATIO, tuple(figure.to_row() for figure in figures), _notes())


def _notes() -> tuple[str, ...]:
    return (
        "values were compared first: Polars at every bar to 1e-9 and with the same nulls",
        "TA-Lib and Qlib agree, once no seed of a mean is left, to 1e-6 and to 2e-4 in 99 of 100 (Qlib keeps float32)",
        f"Qlib and TA-Lib compute {len(EXPRESSIONS)} of the features, on two processes and on one core; ours all",
        "the first touch reads every column once and writes as many new ones as ours, on as many threads",
        "the peak counts the bars, the features and all that is in between, in a process of its own",
    )


def ask_qlib(bars: pl.DataFrame, environments: Path) -> Answer | Unavailable:
    """Let Qlib evaluate `EXPRESSIONS`; its values are [expression, symbol, session]."""
    is_market = pl.col("symbol") == MARKET
    index = bars.filter(is_market).select("event_time", vwap="close")
    own = bars.filter(~is_market).with_columns(open="close").join(index, on="event_time", maintain_order="left")
    return evaluate(own, list(EXPRESSIONS.values()), environments)


def compare(ours: pl.DataFrame, bars: pl.DataFrame, answer: Answer | Unavailable) -> None:
    """Refuse to measure what does not compute the same.

    Raises
    ------
    AssertionError
        Naming the rival and the feature.
    """
    expected = polars_technical.compute(bars)
    for feature in FORMULAS:
        _require("Polars", feature.name, ours[feature.name], expected[feature.name], 1e-9, share=1)
    warm = pl.int_range(pl.len()).over("symbol") >= FORGOTTEN
    after, symbols = ours.filter(warm), ours["symbol"].unique(maintain_order=True).to_list()
    by_talib = talib_technical.compute(bars)
    for name in EXPRESSIONS:
        theirs = np.concatenate([by_talib[symbol][name][FORGOTTEN:] for symbol in symbols])
        _require("TA-Lib", name, after[name], pl.Series(theirs), 1e-6, share=0.999)
        if isinstance(answer, Answer):
            values = answer.values["values"][list(EXPRESSIONS).index(name)][:, FORGOTTEN:].astype(float)
            _require("Qlib", name, after[name], pl.Series(values.ravel()), 2e-4, share=0.99)


def _require(rival: str, name: str, ours: pl.Series, theirs: pl.Series, tolerance: float, share: float) -> None:
    """Be sure that a share of the values agrees, relative to themselves or to their usual size."""
    theirs = theirs.fill_nan(None)
    assert ours.null_count() == theirs.null_count(), f"{rival} knows '{name}' at other bars"
    size = pl.select(pl.max_horizontal(theirs.abs(), theirs.abs().median())).to_series()
    agreed = ((ours - theirs).abs() <= tolerance * size).mean() if len(ours) else 1.0
    assert agreed is None or float(agreed) >= share, f"{rival} computes '{name}' differently at {1 - float(agreed):.2%}"


def touch(bars: pl.DataFrame) -> list[npt.NDArray[np.float64]]:
    """Read every column once and write as many new ones as the features have, with `known_time`."""

    def write(_: int) -> npt.NDArray[np.float64]:
        column = np.empty(bars.height)
        column.fill(1.0)
        return column

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        list(threads.map(lambda name: bars[name].to_physical().to_numpy().sum(), NEEDED[1:]))
        return list(threads.map(write, range(len(FORMULAS) + 1)))


def peak_bytes(bars: pl.DataFrame) -> int | None:
    """Most memory that a fresh process gains while it reads the bars and computes; None where Linux cannot say."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.parquet")
        bars.write_parquet(path)
        command = [sys.executable, "-m", "benchmarks.technical", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(printed) if printed.strip() else None


def _print_peak(path: str) -> None:
    compute_technical(
        tiny_market(["AAA", MARKET], 3, seed=1), FORMULAS
    )  # what is loaded and compiled once is not counted
    gc.collect()
    try:
        before = _memory_of_process("VmRSS")
        bars = pl.read_parquet(path)
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak so far
        compute_technical(bars, FORMULAS)
        print(_memory_of_process("VmHWM") - before)
    except OSError:
        return


def _memory_of_process(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.partition(f"{name}:")[2].split()[0])


if __name__ == "__main__":
    _print_peak(sys.argv[1])
