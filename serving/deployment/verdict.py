"""Verdict on a challenger: a sequential test of paired, matured losses that may be looked at daily."""

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from feature_repo.targets import FORECAST_V2
from lake.errors import NotReadyError
from lake.ledger import ScoredTrial, TrialLedger, family_of
from lake.report import Report
from lake.tables import FORECASTS, OUTCOMES
from serving.deployment.moves import DeploymentContext, roll_back
from serving.deployment.record import deployment_or_none
from serving.evidence import Evidence
from serving.forecasts import COVERAGE_TARGET, REPLAY, TRIAL
from serving.strategies import FORECAST_HORIZON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake
    from serving.deployment.record import Challenger

SCALE_SESSIONS = 60
"""Sessions whose mean loss of the champion scales the next difference; fewer where the trial is younger."""
FEWEST_SESSIONS = 5
"""Sessions before the first bet on losses: their scale says too little."""
LARGEST_EXCESS = 0.5
"""An excess beyond it counts as this much: what is tested is the mean of the excess clipped to it."""
COVERAGE_MARGIN = 0.02
"""Part of the outcomes that may fall outside the band beyond what is promised."""
NAME = "canary_verdict"


class SessionPair(NamedTuple):
    """What a challenger and its champion said of the same symbols in one session, once the outcomes are known.

    Parameters
    ----------
    challenger, champion
        Mean pinball losses.
    challenger_outside, champion_outside
        Parts of the outcomes outside p10..p90.
    """

    challenger: float
    champion: float
    challenger_outside: float = 0.0
    champion_outside: float = 0.0


@dataclass(frozen=True)
class ChallengerVerdict:
    """Verdict of the paired losses of one challenger.

    Parameters
    ----------
    sessions
        Sessions with at least one matured pair.
    excess
        Mean over sessions of the challenger's loss minus the champion's, in units of the champion's mean loss.
    outside
        Mean over sessions of the part of outcomes outside the challenger's band.
    worse
        Evidence that its loss is larger by more than the margin, or that its band holds too little; at 1 / alpha it is
        rolled back.
    better
        Evidence that its loss is smaller at all.
    is_worse
        Whether that evidence ever reached 1 / alpha.
    """

    sessions: int
    excess: float
    outside: float
    worse: float
    better: float
    is_worse: bool


def judge_challenger(pairs: "Iterable[SessionPair]", *, margin: float, alpha: float) -> ChallengerVerdict:
    """Settle two bets per session: that the challenger's loss is larger, and that its band holds too little.

    The first bet is on ``d = (c - b) / S - margin`` for the mean pinball losses ``c`` of the challenger and ``b`` of
    the champion over the same symbols, in units of ``S``, the champion's mean loss in the `SCALE_SESSIONS` before. The
    scale is known before the session, so the sign of d's mean is that of the mean difference in losses; a ratio of the
    session's own losses would favour narrow bands, whose losses are small in calm sessions and huge in others. The
    second bet is on the part of outcomes outside the challenger's band, minus the promised part and a margin, or minus
    the champion's where that is more: in a storm both miss.

    If the expected clipped gains of each session, given all before, are at most zero, both capitals are non-negative
    supermartingales, and so is their mean: it ever reaches ``1 / alpha`` with probability at most alpha, however often
    one looks (see `serving.evidence.posterior.Evidence`).

    Parameters
    ----------
    pairs
        One for each session in order.
    margin
        Excess loss that is put up with, as a part of the champion's.
    alpha
        Largest probability of rolling back a challenger that is not worse.

    Examples
    --------
    >>> narrow = [SessionPair(0.0042, 0.0040, challenger_outside=0.45, champion_outside=0.2)] * 40
    >>> judge_challenger(narrow, margin=0.02, alpha=0.05).is_worse
    True
    """
    larger, smaller, outside = Evidence(LARGEST_EXCESS), Evidence(LARGEST_EXCESS), Evidence(LARGEST_EXCESS)
    recent: deque[float] = deque(maxlen=SCALE_SESSIONS)
    seen: list[tuple[float, float]] = []
    promised = 1 - COVERAGE_TARGET + COVERAGE_MARGIN
    is_worse, worse = False, 1.0
    for pair in pairs:
        scale = sum(recent) / len(recent) if len(recent) >= FEWEST_SESSIONS else 0.0
        excess = (pair.challenger - pair.champion) / scale if scale > 0 else 0.0
        if scale > 0:
            larger.settle(excess - margin)
            smaller.settle(-excess)
        outside.settle(pair.challenger_outside - max(promised, pair.champion_outside))
        worse = (larger.e_value + outside.e_value) / 2
        is_worse = is_worse or worse >= 1 / alpha
        recent.append(pair.champion)
        seen.append((pair.challenger - pair.champion, pair.challenger_outside))
    level = sum(recent) / len(recent) if recent else 0.0
    difference, share = (sum(column) / len(seen) for column in zip(*seen, strict=True)) if seen else (0.0, 0.0)
    mean = difference / level if level > 0 else 0.0
    return ChallengerVerdict(len(seen), mean, share, worse, smaller.e_value, is_worse)


def paired_losses(lake: "Lake", clock: "Clock", challenger: "Challenger") -> pl.DataFrame:
    """Losses of a challenger and of its champion, each on its own, where the outcome of the session is known.

    What the version on trial forecast of a symbol and session is paired with what its champion, whichever version that
    was, forecast of the same. Both are alone and uncalibrated, so a pair differs in the model and in nothing else, and
    a model without a weight in the blend is judged like any other. All symbols count: the share of a trial concerns
    answers. Only forecasts made since the trial began count, none of an earlier trial of the same version. Of these
    only the ones for one session ahead: longer horizons overlap, and the bet of a day may know only what was known the
    day before.

    Returns
    -------
    pl.DataFrame
        ``event_time``, ``symbols``, and the parts of `SessionPair`: means per session, in order of time.
    """
    empty = pl.DataFrame(schema={"event_time": FORECASTS.schema["event_time"], "symbols": pl.UInt32})
    if not (lake.exists(FORECASTS) and lake.exists(OUTCOMES)):
        return empty.with_columns(pl.lit(0.0).alias(name) for name in SessionPair._fields)
    is_tried = (pl.col("kind") == TRIAL) & (pl.col("model_version") == challenger.version)
    is_compared = (
        (is_tried | (pl.col("kind") == REPLAY))
        & (pl.col("model_name") == challenger.model)
        & (pl.col("horizon_sessions") == FORECAST_HORIZON)
        & (pl.col("made_at") >= challenger.since)
    )
    outcomes = lake.read_as_of(OUTCOMES, clock.now()).select(
        "forecast_id", "pinball_loss", (~pl.col("is_covered")).cast(pl.Float64).alias("outside")
    )
    forecasts = lake.read_as_of(FORECASTS, clock.now(), where=is_compared).join(outcomes, on="forecast_id")
    keys = ["symbol", "event_time"]
    challengers, champions = (
        forecasts.filter(pl.col("kind") == kind)
        .sort("made_at")
        .unique(keys, keep="first")
        .select(*keys, pl.col("pinball_loss").alias(who), pl.col("outside").alias(f"{who}_outside"))
        for kind, who in ((TRIAL, "challenger"), (REPLAY, "champion"))
    )
    pairs = challengers.join(champions, on=keys)
    grouped = pairs.sort("event_time", "symbol").group_by("event_time", maintain_order=True)
    return grouped.agg(pl.len().alias("symbols"), pl.col(SessionPair._fields).mean())


def challenger_trials(lake: "Lake", clock: "Clock", challenger: "Challenger") -> list[ScoredTrial]:
    """Return a challenger as a trial of the ledger: what it gained on its champion per session, one session ahead.

    None before a pair has matured. Further sessions are the same trial; another begin is another one.
    """
    pairs = paired_losses(lake, clock, challenger)
    if pairs.is_empty():
        return []
    gains = pairs.select("event_time", (pl.col("champion") - pl.col("challenger")).alias("gain"))
    ahead = str(lake.market.horizon_of(FORECAST_HORIZON))
    return [
        ScoredTrial(
            family_of(challenger.model, FORECAST_V2.name, ahead),
            "challenger",
            challenger.model,
            {"version": challenger.version, "since": f"{challenger.since:%Y-%m-%dT%H:%M:%S%z}"},
            score=float(pairs["challenger"].to_numpy().mean()),
            gains=gains,
            horizon_sessions=FORECAST_HORIZON,
        )
    ]


def verdict_on(lake: "Lake", configured: "Settings", clock: "Clock", challenger: "Challenger") -> ChallengerVerdict:
    """Judge a challenger by everything that has matured since it is on trial."""
    pairs = paired_losses(lake, clock, challenger).select(SessionPair._fields).iter_rows()
    return judge_challenger(
        map(SessionPair._make, pairs), margin=configured.canary_margin, alpha=configured.canary_alpha
    )


def roll_back_canary(lake: "Lake", configured: "Settings", clock: "Clock") -> Report:
    """Roll back a canary that is worse with evidence: a larger loss by more than the margin, or a band that misses.

    Returns
    -------
    Report
        One row per challenger that was judged; ``details["verdicts"]`` has the figures, ``details["rolled_back"]``
        the names. Skipped when nothing is on trial. Each challenger with a matured pair is a trial of the ledger, which
        is written before it is judged.
    """
    started = time.perf_counter()
    challengers = deployment_or_none(configured).challengers
    verdicts, rolled_back = [], []
    for challenger in challengers:
        TrialLedger(lake, clock.now()).record(challenger_trials(lake, clock, challenger))
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
