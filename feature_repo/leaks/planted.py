"""Leaks of every kind we know of, planted on purpose: a checker that misses one of them proves nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.leaks.subject import LeakSubject
from feature_repo.leaks.world import JUMP, World
from feature_repo.targets import compute_labels
from lake.universe import MARKET

KEY = ["symbol", "event_time"]
WEDNESDAY = 3
BARELY = 20
"""Bars that the leak of the warm-up declares, where it needs hundreds."""

CLOSE = pl.col("close")
RETURN = CLOSE / CLOSE.shift(1) - 1
NUMBER = pl.int_range(pl.len())
NOW_AND_THEN = pl.when(NUMBER % 3 == 0).then(RETURN)
"""A value that is published every third bar only, like a quarterly figure."""


@dataclass(frozen=True)
class PlantedLeak:
    """One leak, or one computation that looks like a leak and is none.

    Parameters
    ----------
    name
        Of the column it fills, or of the computation whose rows it decides.
    meaning
        What it does, in a few words.
    compute
        World to ``symbol, event_time`` and the column.
    how
        The check that must catch it; empty for what must not be caught.
    is_alone
        Decides which rows there are, or when they are known, and so cannot share a frame with others.
    """

    name: str
    meaning: str
    compute: Callable[[World], pl.DataFrame]
    how: str = ""
    is_alone: bool = False


def as_subject(name: str, planted: Sequence[PlantedLeak]) -> LeakSubject:
    """Return several of them as one subject with a column each: one replay serves all."""

    def compute(world: World) -> pl.DataFrame:
        frames = [leak.compute(world).sort(KEY) for leak in planted]
        return pl.concat([frames[0], *(frame.drop(KEY) for frame in frames[1:])], how="horizontal")

    warm_ups = {leak.name: BARELY for leak in planted if leak.how == "warmed up"}
    return LeakSubject("planted" if planted[0].how else "clean", name, compute, warm_ups=warm_ups)


def by_symbol(name: str, meaning: str, expression: pl.Expr, how: str = "") -> PlantedLeak:
    """Plant an expression over the bars of each symbol in order of time."""

    def compute(world: World) -> pl.DataFrame:
        return world.bars.select(*KEY, expression.over("symbol", order_by="event_time").alias(name))

    return PlantedLeak(name, meaning, compute, how)


def by_array(name: str, meaning: str, function: Callable[[npt.NDArray], npt.NDArray], how: str = "") -> PlantedLeak:
    """Plant a function of the returns of each symbol as an array, 0 for the first."""

    def compute(world: World) -> pl.DataFrame:
        frames = []
        for own in world.bars.sort(KEY).partition_by("symbol", maintain_order=True):
            returns = own.select(RETURN.fill_null(0.0)).to_series().to_numpy()
            frames.append(own.select(*KEY).with_columns(pl.Series(name, function(returns), dtype=pl.Float64)))
        return pl.concat(frames)

    return PlantedLeak(name, meaning, compute, how)


def _target(world: World) -> pl.DataFrame:
    labels = compute_labels(world.bars, [5]).select(*KEY, pl.col("forward_return").alias("target_in_features"))
    return world.bars.select(KEY).join(labels, on=KEY, how="left")


def _revised_macro(world: World) -> pl.DataFrame:
    """Join the last version of each figure from the end of its period on, before it was released."""
    last = world.releases.sort("known_time").group_by("event_time", maintain_order=True).last().sort("event_time")
    figures = last.select("event_time", pl.col("value").alias("revised_macro"))
    return world.bars.sort("event_time").join_asof(figures, on="event_time").select(*KEY, "revised_macro")


def _index_of_tomorrow(world: World) -> pl.DataFrame:
    index = world.bars.filter(pl.col("symbol") == MARKET).sort("event_time")
    next_return = index.select("event_time", RETURN.shift(-1).alias("index_of_tomorrow"))
    return world.bars.select(KEY).join(next_return, on="event_time", how="left")


def _survivors(world: World) -> pl.DataFrame:
    """Keep only the symbols that still trade at the end, as a list of today's members does."""
    alive = world.bars.filter(pl.col("event_time") == pl.col("event_time").max())["symbol"].implode()
    return world.bars.filter(pl.col("symbol").is_in(alive)).select(
        *KEY, (CLOSE / pl.col("open")).alias("survivors_only")
    )


def _early_known(world: World) -> pl.DataFrame:
    """Say that every row was known at its close, whenever its bars were."""
    own = world.bars.select(*KEY, RETURN.over("symbol", order_by="event_time").alias("early_known_time"))
    return own.with_columns(pl.col("event_time").alias("known_time"))


def _low_pass(returns: npt.NDArray) -> npt.NDArray:
    """Keep the slow tenth of the frequencies of the whole series."""
    spectrum = np.fft.rfft(returns)
    spectrum[max(2, spectrum.size // 10) :] = 0
    return np.fft.irfft(spectrum, returns.size)


def _regression_on_everything(returns: npt.NDArray) -> npt.NDArray:
    """Forecast each return from the one before with a slope fitted on the whole sample."""
    before = np.concatenate([[0.0], returns[:-1]])
    slope = before @ returns / max(before @ before, 1e-12)
    return np.asarray(slope * returns)


_ON_A_JUMP = pl.when(RETURN.abs() > 2 / 3 * JUMP).then(RETURN.shift(-1)).otherwise(RETURN)
_ON_WEDNESDAYS = pl.when(pl.col("event_time").dt.weekday() == WEDNESDAY).then(RETURN.shift(-1)).otherwise(RETURN)

LEAKS: tuple[PlantedLeak, ...] = (
    by_symbol("tomorrow", "the return of the next bar: shift(-1)", RETURN.shift(-1), "replayed"),
    by_symbol("centred_window", "a mean over two bars on either side", RETURN.rolling_mean(5, center=True), "replayed"),
    by_symbol("filled_backwards", "gaps filled with the next known value", NOW_AND_THEN.backward_fill(), "replayed"),
    by_symbol(
        "interpolated", "gaps filled on the line to the next known value", NOW_AND_THEN.interpolate(), "replayed"
    ),
    by_symbol(
        "scaled_over_everything",
        "mean and spread of the whole sample",
        (RETURN - RETURN.mean()) / RETURN.std(),
        "replayed",
    ),
    by_symbol("ranked_over_everything", "rank in the whole sample", RETURN.rank() / pl.len(), "replayed"),
    by_array("fitted_on_everything", "a regression fitted on the whole sample", _regression_on_everything, "replayed"),
    PlantedLeak("target_in_features", "the label among the features", _target, "replayed"),
    by_symbol("on_a_rare_event", "tomorrow's return, but only on a jump", _ON_A_JUMP, "replayed"),
    by_symbol("on_one_weekday", "tomorrow's return, but only on Wednesdays", _ON_WEDNESDAYS, "replayed"),
    PlantedLeak(
        "revised_macro", "a figure of the economy before its release, as revised later", _revised_macro, "replayed"
    ),
    PlantedLeak("index_of_tomorrow", "the index's next return", _index_of_tomorrow, "replayed"),
    by_symbol(
        "smoothed_from_both_ends",
        "an exponential mean run backwards",
        RETURN.reverse().ewm_mean(alpha=0.5).reverse(),
        "replayed",
    ),
    by_array("low_pass_over_everything", "a Fourier filter over the whole sample", _low_pass, "replayed"),
    by_symbol("counts_what_is_to_come", "bars left until the last", (pl.len() - NUMBER).cast(pl.Float64), "replayed"),
    PlantedLeak(
        "survivors_only", "only the symbols that still trade at the end", _survivors, "replayed", is_alone=True
    ),
    by_symbol("adjusted_price_level", "the logarithm of the adjusted close", CLOSE.log(), "rescaled"),
    by_symbol("adjustment_factor", "adjusted over unadjusted close", CLOSE / pl.col("close_unadjusted"), "rescaled"),
    PlantedLeak("early_known_time", "a restated bar under its old known time", _early_known, "restated", is_alone=True),
    by_symbol(
        "warm_up_too_short",
        f"a 200-bar exponential mean declared to need {BARELY}",
        CLOSE / CLOSE.ewm_mean(span=200),
        "warmed up",
    ),
)
"""Each must be caught by the check it names, at least."""
