"""Leaks by state: what the first call learnt of everything is used in every later one."""

import json
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import polars as pl

KEY = ("symbol", "event_time")
CLOSE = pl.col("close")
RETURN = (CLOSE / CLOSE.shift(1) - 1).over("symbol")
TOMORROW = (CLOSE.shift(-1) / CLOSE - 1).over("symbol")

_SPREADS: dict[str, float] = {}
_ANSWERS: dict[tuple[object, ...], float | None] = {}
_GIVEN: list[pl.DataFrame] = []
_CALLS: list[int] = []


def _returns(bars: pl.DataFrame) -> pl.Series:
    return bars.select(RETURN.fill_null(0.0)).to_series()


def _spread(bars: pl.DataFrame) -> float:
    return float(_returns(bars).abs().sum()) or 1.0


def cached_in_the_module(bars: pl.DataFrame) -> pl.Series:
    """A cache by name: the spread of whatever history came first."""
    if "all" not in _SPREADS:
        _SPREADS["all"] = _spread(bars)
    return _returns(bars) / _SPREADS["all"]


class _Scaler:
    spread: ClassVar[float] = 0.0

    def fit_once(self, bars: pl.DataFrame) -> float:
        if not _Scaler.spread:
            _Scaler.spread = _spread(bars)
        return _Scaler.spread


def fitted_on_the_first_call(bars: pl.DataFrame) -> pl.Series:
    """A scaler with its state in its class."""
    return _returns(bars) / _Scaler().fit_once(bars)


@lru_cache
def _spread_of_given(_: str) -> float:
    return _spread(_GIVEN[0])


def remembered_by_lru_cache(bars: pl.DataFrame) -> pl.Series:
    """A cached function that reads the frame from beside its arguments."""
    _GIVEN.append(bars)
    return _returns(bars) / _spread_of_given("all")


def _maker() -> Callable[[pl.DataFrame], float]:
    known: float | None = None

    def spread(bars: pl.DataFrame) -> float:
        nonlocal known
        known = _spread(bars) if known is None else known
        return known

    return spread


_ENCLOSED = _maker()


def kept_in_a_closure(bars: pl.DataFrame) -> pl.Series:
    """A closure that keeps what it was first given."""
    return _returns(bars) / _ENCLOSED(bars)


def kept_in_a_default(bars: pl.DataFrame, seen: list[float] = []) -> pl.Series:  # noqa: B006 - the leak
    """A default argument that every call shares."""
    seen.append(_spread(bars))
    return _returns(bars) / seen[0]


def kept_in_another_module(bars: pl.DataFrame) -> pl.Series:
    """An attribute set on a module of the standard library."""
    return _returns(bars) / float(vars(json).setdefault("spread_of_all", _spread(bars)))


def kept_beside_the_file(bars: pl.DataFrame) -> pl.Series:
    """A file beside this one, written by the first call."""
    path = Path(__file__).with_name("spread_of_all.json")
    if not path.exists():
        path.write_text(json.dumps(_spread(bars)), encoding="utf-8")
    return _returns(bars) / float(path.read_text(encoding="utf-8"))


def kept_in_the_temporary_folder(bars: pl.DataFrame) -> pl.Series:
    """A frame in the folder for temporary files, written by Polars."""
    path = Path(tempfile.gettempdir()) / "quantlake_planted_spread.parquet"
    if not path.exists():
        pl.DataFrame({"spread": [_spread(bars)]}).write_parquet(path)
    return _returns(bars) / float(pl.read_parquet(path)["spread"][0])


def answers_kept_by_row(bars: pl.DataFrame) -> pl.DataFrame:
    """Tomorrow's return, remembered for each row from the first time it was asked for."""
    rows = bars.select(*KEY, TOMORROW.alias("value"))
    values = [_ANSWERS.setdefault((symbol, time), value) for symbol, time, value in rows.iter_rows()]
    return bars.select(KEY).with_columns(pl.Series("answers_kept_by_row", values, dtype=pl.Float64))


def longest_history_seen(bars: pl.DataFrame) -> pl.DataFrame:
    """Tomorrow's return, read from the longest frame of any call."""
    longest: pl.DataFrame = vars(sys).get("longest_history_seen", bars)
    longest = bars if bars.height > longest.height else longest
    vars(sys)["longest_history_seen"] = longest
    tomorrow = longest.select(*KEY, TOMORROW.alias("longest_history_seen"))
    return bars.select(KEY).join(tomorrow, on=KEY, how="left")


def from_the_second_call_on(bars: pl.DataFrame) -> pl.DataFrame:
    """Honest when it is called first, as a single check would."""
    _CALLS.append(1)
    return bars.select(*KEY, (RETURN if len(_CALLS) == 1 else TOMORROW).alias("from_the_second_call_on"))
