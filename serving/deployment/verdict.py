"""Verdict on a challenger: a sequential test of paired, matured losses that may be looked at daily."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import NotReadyError
from lake.report import Report
from lake.tables import FORECASTS, OUTCOMES
from serving.deployment.moves import DeploymentContext, roll_back
from serving.deployment.record import deployment_or_none
from serving.evidence import Evidence
from serving.strategies import FORECAST_HORIZON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake
    from serving.deployment.record import Challenger

LARGEST_EXCESS = 0.25
"""An excess beyond it counts as this much: what is tested is the mean of the excess clipped to it."""
NAME = "canary_verdict"


@dataclass(frozen=True)
class ChallengerVerdict:
    """Verdict of the paired losses of one challenger.

    Parameters
    ----------
    sessions
        Sessions with at least one matured pair.
    excess
        Mean over sessions of the challenger's relative excess loss: 2 (its loss - champion's) / (sum of the two).
    worse
        Evidence that it is worse than its champion by more than the margin; at 1 / alpha it is rolled back.
    better
        Evidence that it is better at all.
    is_worse
        Whether that evidence ever reached 1 / alpha.
    """

    sessions: int
    excess: float
    worse: float
    better: float
    is_worse: bool


def judge(losses: "Iterable[tuple[float, float]]", *, margin: float, alpha: float) -> ChallengerVerdict:
    """Settle one bet per session that the challenger is worse than its champion by more than a margin.

    Let ``d = 2 (c - b) / (c + b)`` for the mean pinball losses ``c`` of the challenger and ``b`` of the champion over
    the same symbols in one session. It lies within -2 and 2, and for two models that are exchangeable its mean is
    exactly zero, as it is odd in the two. The bet's gain is ``d - margin``, see `serving.evidence.posterior.Evidence`:
    if the expected clipped gain of each session, given all before, is at most zero, the capital ever reaches
    ``1 / alpha`` with probability at most alpha, however often one looks. So a challenger that is not worse than the
    margin is rolled back in at most a share alpha of all worlds, and one may look every day.

    Parameters
    ----------
    losses
        Challenger's and champion's loss, a pair for each session in order.
    margin
        Relative excess loss that is put up with.
    alpha
        Largest probability of rolling back a challenger that is not worse.
    """
    worse, better = Evidence(LARGEST_EXCESS), Evidence(LARGEST_EXCESS)
    excesses: list[float] = []
    is_worse = False
    for challenger, champion in losses:
        together = challenger + champion
        excesses.append(2 * (challenger - champion) / together if together > 0 else 0.0)
        worse.settle(excesses[-1] - margin)
        better.settle(-excesses[-1])
        is_worse = is_worse or worse.e_value >= 1 / alpha
    mean = sum(excesses) / len(excesses) if excesses else 0.0
    return ChallengerVerdict(len(excesses), mean, worse.e_value, better.e_value, is_worse)


def paired_losses(lake: "Lake", clock: "Clock", challenger: "Challenger") -> pl.DataFrame:
    """Losses of a challenger and of its champion on the same symbols and sessions, those whose outcome is known.

    Only forecasts one session ahead count: those of longer horizons overlap, and the bet of a day may know only what
    was known the day before. A symbol counts once per session, however often it was asked for.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``symbols``, ``challenger``, ``champion``: mean losses per session, in order of time.
    """
    empty = pl.DataFrame(schema={"event_time": FORECASTS.schema["event_time"], "symbols": pl.UInt32})
    if not (lake.exists(FORECASTS) and lake.exists(OUTCOMES)):
        return empty.with_columns(challenger=pl.lit(0.0), champion=pl.lit(0.0))
    is_compared = (
        (pl.col("kind") != "replay")
        & (pl.col("horizon_sessions") == FORECAST_HORIZON)
        & (pl.col("made_at") >= challenger.since)
    )
    outcomes = lake.read_as_of(OUTCOMES, clock.now()).select("forecast_id", "pinball_loss")
    forecasts = lake.read_as_of(FORECASTS, clock.now(), where=is_compared).join(outcomes, on="forecast_id")
    name, version = pl.col("model_name"), pl.col("model_version")
    parts = pl.when(name == "blend").then(version).otherwise(name + "-" + version)
    member = rf"(^|\+){challenger.model}-([A-Za-z0-9]+)"
    forecasts = forecasts.with_columns(part=parts.str.extract(member, 2), rest=parts.str.replace(member, "$1")).sort(
        "made_at"
    )
    is_challenger = pl.col("part") == challenger.version
    is_shadow = pl.col("kind") == "shadow"
    as_canary = challenger.mode == "canary"
    keys = ["symbol", "event_time", "rest"]
    sides = [
        forecasts.filter(side & (is_shadow if in_shadow else ~is_shadow)).unique(keys, keep="first").select(*keys, loss)
        for side, in_shadow, loss in (
            (is_challenger, not as_canary, pl.col("pinball_loss").alias("challenger")),
            (~is_challenger, as_canary, pl.col("pinball_loss").alias("champion")),
        )
    ]
    pairs = sides[0].join(sides[1], on=keys).unique(["symbol", "event_time"], keep="first")
    grouped = pairs.sort("event_time", "symbol").group_by("event_time", maintain_order=True)
    return grouped.agg(pl.len().alias("symbols"), pl.col("challenger").mean(), pl.col("champion").mean())


def verdict_on(lake: "Lake", configured: "Settings", clock: "Clock", challenger: "Challenger") -> ChallengerVerdict:
    """Judge a challenger by everything that has matured since it is on trial."""
    losses = paired_losses(lake, clock, challenger).select("challenger", "champion").iter_rows()
    return judge(losses, margin=configured.canary_margin, alpha=configured.canary_alpha)


def roll_back_canary(lake: "Lake", configured: "Settings", clock: "Clock") -> Report:
    """Roll back a canary whose matured loss exceeds its champion's by more than the margin, with evidence.

    Returns
    -------
    Report
        One row per challenger that was judged; ``details["verdicts"]`` has the figures, ``details["rolled_back"]``
        the names. Skipped when nothing is on trial.
    """
    started = time.perf_counter()
    challengers = deployment_or_none(configured).challengers
    verdicts, rolled_back = [], []
    for challenger in challengers:
        verdict = verdict_on(lake, configured, clock, challenger)
        figures = {**challenger.model_dump(mode="json"), **vars(verdict)}
        verdicts.append(figures)
        if challenger.mode == "canary" and verdict.is_worse:
            context = DeploymentContext(lake=lake, configured=configured, clock=clock, who="canary rule")
            try:
                roll_back(context, challenger.model, only=challenger.version, evidence=figures)
            except NotReadyError:
                continue  # somebody took it back meanwhile
            rolled_back.append(challenger.model)
    report = Report(
        name=NAME,
        rows=len(verdicts),
        added=len(rolled_back),
        seconds=time.perf_counter() - started,
        skipped=not challengers,
        details={"verdicts": verdicts, "rolled_back": rolled_back},
    )
    return report if challengers else report.with_details(reason="no challenger is on trial")
