"""Walk-forward forecasts: every model at each past close, from what was known when that close was decided.

A market decides `Market.decision_delay` minutes after each close, because a source that is honest about when it knew
has no bar known at the very close. What a forecast decided at ``close + delay`` reads was known by then; the return it
forecasts begins at the close. So the price of the close counts as one that could still be traded at when the decision
is made, e.g. in an after-hours session; a delay of more than minutes makes that assumption a strong one.
"""

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import (
    FORECAST_V2,
    Windows,
    WindowSpec,
    build_windows,
    reference_price,
    to_model_input,
    undisclosed_price,
    window_hashes,
)
from lake import calendars
from lake.clock import Clock, SystemClock
from lake.errors import LookAheadError
from lake.market import DEMO, Market
from lake.report import Report
from lake.spec import INSTANT
from lake.store import Lake, newest_known
from lake.tables import BARS, FORECASTS, RECEIPTS, REGIMES
from serving.backfill.identities import forecast_ids, subjects
from serving.forecasts import REPLAY, Member
from serving.predict import ForecastContext, ForecastStamp, forecast_row, make_forecasts
from serving.receipts import batch_id, batch_receipt, digest_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.engines import Engine

BATCH_WINDOWS = 4096
"""Windows held in memory at a time."""
LOOKBACK = timedelta(days=365)
"""How far back the rows of a window may lie: a symbol that did not trade for longer has none."""
VERSIONED = (BARS, FEATURES_TECHNICAL, REGIMES)


def replay_forecasts(
    lake: Lake, engines: "Mapping[str, Engine]", clock: Clock, sessions: int = 250, spec: WindowSpec = FORECAST_V2
) -> Report:
    """Forecast every session that has not been replayed yet, by every model, for each symbol and horizon.

    At session `t` a row of a table counts only if its `known_time` is not later than `t` and the market's decision
    delay, restatements included. A symbol without a complete window at `t`, or without a bar or a regime, has no
    forecast for `t`; a session is forecast once its decision time has come.

    Parameters
    ----------
    engines
        Loaded models by name.
    sessions
        Most sessions, up to the newest with a bar, that the first call forecasts: those after the end of what a model
        knows. Later calls go on from there, so that no session in between is left out.

    Returns
    -------
    Report
        Of `forecasts`; skipped when every model has replayed every session, or could not. ``details["replayed"]``
        counts the new forecasts by model; a warning says why sessions could not be forecast, if none could.

    Raises
    ------
    LookAheadError
        If a model was trained on labels that end at or after a session it would forecast.
    """
    done: dict[str, set[datetime]] = {name: set() for name in engines}
    if lake.exists(FORECASTS):
        replayed = lake.scan(FORECASTS).filter(pl.col("kind") == REPLAY, pl.col("model_name").is_in(list(engines)))
        for name, at in replayed.select("model_name", "event_time").unique().collect().iter_rows():
            done[name].add(at)
    walks = [Walk(engine, _pending(lake, clock, engine, done[name], sessions)) for name, engine in engines.items()]
    report = forecast_sessions(lake, walks, REPLAY, spec)
    report = report.with_details(replayed=report.details["forecast"])
    waiting = sorted({at for walk in walks for at in walk.pending})
    if not report.skipped:
        return report
    if not waiting:
        return report.with_details(reason="every model has replayed every session")
    reason = why_not_forecast(lake, waiting)
    return report.with_details(reason=reason, warnings=(f"{reason[0].upper()}{reason[1:]}.",))


def why_not_forecast(lake: Lake, sessions: Sequence[datetime]) -> str:
    """Say what was missing of sessions, in order, that no model could forecast: bars, their knowledge, or a window."""
    delay = lake.market.decided_after
    span = f"{len(sessions)} sessions from {sessions[0]:%Y-%m-%d} to {sessions[-1]:%Y-%m-%d}"
    could_not = f"no model could forecast the {span}, because"
    is_session = pl.col("event_time").is_in(pl.Series(sessions, dtype=INSTANT).implode())
    bars = lake.read(BARS, where=is_session).filter(pl.col("symbol") != lake.market.index)
    if bars.is_empty():
        return f"{could_not} no symbol has a bar of them"
    late = bars.group_by("symbol", "event_time").agg(pl.col("known_time").min() - pl.col("event_time").first())
    if late.filter(pl.col("known_time") <= delay).is_empty():
        minutes = ceil(late["known_time"].min() / timedelta(minutes=1))  # type: ignore[operator]
        usual = ceil(late["known_time"].median() / timedelta(minutes=1))  # type: ignore[operator]
        return (
            f"{could_not} no bar of them was known by their decision time, {lake.market.decision_delay} minutes after "
            f"the close: bars were known after {minutes} minutes at the earliest, and after {usual} as a rule. If that "
            "is how your source publishes, set decision_delay in market.yaml to as many minutes"
        )
    regimes = _by_decision(lake.read(REGIMES, where=is_session), delay) if lake.exists(REGIMES) else REGIMES.empty()
    if regimes.is_empty():
        return f"{could_not} no regime of them was known by their decision time"
    return f"{could_not} no symbol has a complete window of inputs that were known by their decision time"


def _pending(
    lake: Lake, clock: Clock, engine: "Engine", done: Collection[datetime], sessions: int
) -> Sequence[datetime]:
    """Sessions that a model has still to forecast: after the end of its knowledge, where there are any."""
    pending = pending_sessions(lake, clock, done, min(done, default=None), sessions)
    unseen = [at for at in pending if at > engine.signature.train_until]
    return unseen if unseen or done else pending  # where there are none, it is refused


class Walk(NamedTuple):
    """A loaded model and the sessions that it has still to forecast, in order."""

    engine: "Engine"
    pending: Sequence[datetime]


def forecast_sessions(lake: Lake, walks: Sequence[Walk], kind: str, spec: WindowSpec) -> Report:
    """Forecast the pending sessions of each model, for each symbol and horizon, and store rows and receipts.

    Parameters
    ----------
    kind
        Kind of the rows, `serving.forecasts.REPLAY` or `TRIAL`.

    Returns
    -------
    Report
        Of `forecasts`; ``details["forecast"]`` counts the new rows by model, ``details["sessions"]`` the sessions.

    Raises
    ------
    LookAheadError
        If a model was trained on labels that end at or after a session it would forecast; nothing is stored then.
    """
    started = time.perf_counter()
    todo = sorted({at for walk in walks for at in walk.pending})
    delay = lake.market.decided_after
    tables = WalkForwardTables.of(lake, todo, spec, delay=delay) if todo else None
    frames, made_at = [FORECASTS.empty()], SystemClock().now()
    for windows in tables.batches() if tables else ():
        for engine, pending in walks:
            batch = windows.at(pending)
            if batch.keys.height:
                require_no_look_ahead(engine, min(batch.keys["event_time"].to_list()))
                frames.append(forecast_rows(engine, batch, made_at, kind))
    rows = pl.concat(frames)
    if tables:
        at_work = [engine for engine, pending in walks if pending]
        lake.merge(RECEIPTS, receipts_of(at_work, made_at, todo[-1], tables.versions))
    report = lake.merge(FORECASTS, rows)
    counts = dict(rows.group_by("model_name").len().sort("model_name").iter_rows())
    return report.with_details(seconds=time.perf_counter() - started, forecast=counts, sessions=len(todo))


def has_replays(lake: Lake, session: datetime) -> bool:
    """Whether any model has forecast a session walk-forward."""
    is_replay = (pl.col("kind") == REPLAY) & (pl.col("event_time") == session)
    return lake.exists(FORECASTS) and not lake.scan(FORECASTS).filter(is_replay).head(1).collect().is_empty()


def pending_sessions(
    lake: Lake, clock: Clock, done: Collection[datetime], first: datetime | None, sessions: int
) -> list[datetime]:
    """Sessions that a model has not forecast yet, from its first one to the newest that is decided and has a bar.

    Parameters
    ----------
    done
        Sessions that it has forecast.
    first
        The session it began with; None for a model that begins now.
    sessions
        Sessions up to the newest with a bar that a model begins with.
    """
    grid, now = lake.market.grid, clock.now() - lake.market.decided_after
    end = min(now, lake.last_event(BARS) or now)
    oldest = calendars.close_before(end + timedelta(microseconds=1), sessions, grid)
    oldest = oldest or calendars.close_of(calendars.closes(lake.market.calendar)["session"][0], grid)
    begin = min(oldest, first or oldest)
    every = calendars.session_closes(begin - timedelta(seconds=1), end, grid)
    return [at for at in every if at not in done]


def require_no_look_ahead(engine: "Engine", first: datetime) -> None:
    """Refuse to let a model forecast a session that lies within what it was trained on.

    Raises
    ------
    LookAheadError
        Naming the model, the end of its knowledge and the session.
    """
    until = engine.signature.train_until
    if until >= first:
        raise LookAheadError(
            f"Model '{engine.signature.name}' knows the market up to {until.isoformat()} and was asked "
            f"to replay {first.isoformat()}. That would flatter it: train it with an earlier train_until."
        )


@dataclass(frozen=True)
class WindowBatch:
    """Windows of past sessions, with what else was known at their closes.

    Parameters
    ----------
    keys
        ``symbol``, ``event_time``, ``reference_price``, ``price_basis``, ``regime``, ``feature_hash``, one row per
        window.
    inputs
        ``[window, session, 2 * feature]`` float32.
    versions
        Table versions that were read, as JSON.
    market
        Whose calendar and currency hold.
    delay
        Time from each close to its decision.
    """

    keys: pl.DataFrame
    inputs: "NDArray[np.float32]"
    versions: str
    market: Market = DEMO
    delay: timedelta = timedelta(0)

    @cached_property
    def subjects(self) -> list[str]:
        """Symbol and close of each window, as the identities of all models' forecasts have them."""
        return subjects(self.keys["symbol"].to_list(), self.keys["event_time"].to_list())

    def at(self, sessions: Sequence[datetime]) -> "WindowBatch":
        """Keep the windows of these sessions."""
        is_kept = self.keys["event_time"].is_in(pl.Series(sessions, dtype=self.keys.schema["event_time"]).implode())
        return replace(self, keys=self.keys.filter(is_kept), inputs=self.inputs[is_kept.to_numpy()])

    def take(self, places: Sequence[int]) -> "WindowBatch":
        """Keep the windows at these places, in this order."""
        return replace(self, keys=self.keys[list(places)], inputs=self.inputs[list(places)])


@dataclass(frozen=True)
class WalkForwardTables:
    """The tables of a walk-forward, each read once at a recorded version."""

    sessions: Sequence[datetime]
    spec: WindowSpec
    features: pl.DataFrame
    prices: pl.DataFrame
    regimes: pl.DataFrame
    versions: Mapping[str, int]
    market: Market
    delay: timedelta = timedelta(0)

    @classmethod
    def of(
        cls,
        lake: Lake,
        sessions: Sequence[datetime],
        spec: WindowSpec,
        versions: Mapping[str, int] | None = None,
        *,
        delay: timedelta = timedelta(0),
    ) -> "WalkForwardTables":
        """Read what these sessions need, by default from the newest versions; decisions come `delay` after closes."""
        versions = lake.versions(VERSIONED) if versions is None else versions
        is_session = pl.col("event_time").is_between(sessions[0], sessions[-1])
        is_near = pl.col("event_time").is_between(sessions[0] - LOOKBACK, sessions[-1])
        prices, regimes = (
            _by_decision(lake.read(table, where=is_session, version=versions[table.name]), delay)
            for table in (BARS, REGIMES)
        )
        return cls(
            sessions,
            spec,
            lake.read(FEATURES_TECHNICAL, where=is_near, version=versions[FEATURES_TECHNICAL.name]),
            prices.select("symbol", "event_time", *reference_price(), undisclosed_price()),
            regimes.select("event_time", "regime"),
            versions,
            lake.market,
            delay,
        )

    def batches(self) -> Iterator[WindowBatch]:
        """Windows of consecutive sessions, about `BATCH_WINDOWS` at a time."""
        gathered: list[Windows] = []
        for session in self.sessions:
            gathered.append(self._windows(session))
            if sum(map(len, gathered)) >= BATCH_WINDOWS:
                yield self._batch(gathered)
                gathered = []
        if gathered:
            yield self._batch(gathered)

    def _windows(self, session: datetime) -> Windows:
        known = self.features.filter(
            pl.col("known_time") <= session + self.delay, pl.col("event_time").is_between(session - LOOKBACK, session)
        )
        return build_windows(newest_known(known), self.spec, at=[session])

    def _batch(self, gathered: Sequence[Windows]) -> WindowBatch:
        values = np.concatenate([windows.values for windows in gathered])
        keys = pl.concat([windows.keys for windows in gathered]).with_row_index("window")
        keys = keys.join(self.prices, on=["symbol", "event_time"], how="inner", maintain_order="left")
        keys = keys.join(self.regimes, on="event_time", how="inner", maintain_order="left")
        values = values[keys["window"].to_numpy()]
        hashes = pl.Series("feature_hash", window_hashes(values), dtype=pl.String)
        return WindowBatch(
            keys.drop("window").with_columns(hashes),
            to_model_input(values),
            json.dumps(dict(self.versions), sort_keys=True),
            self.market,
            self.delay,
        )


def _by_decision(rows: pl.DataFrame, delay: timedelta) -> pl.DataFrame:
    """Keep what was known of each row when the close it is stamped with was decided."""
    key = [name for name in ("symbol", "event_time") if name in rows.columns]
    return newest_known(rows.filter(pl.col("known_time") <= pl.col("event_time") + delay), key)


def receipts_of(
    engines: "Iterable[Engine]", made_at: datetime, session: datetime, versions: Mapping[str, int]
) -> pl.DataFrame:
    """Return one receipt for all that each model forecasts together, in the columns of `receipts`.

    Parameters
    ----------
    session
        The last one that is forecast.
    versions
        Table versions that were read.
    """
    rows = []
    for engine in engines:
        content = batch_receipt(engine, made_at, versions).model_dump_json()
        rows.append((batch_id(engine.digest, made_at), session, session, content, digest_of(content)))
    return pl.DataFrame(rows, schema=RECEIPTS.schema, orient="row")


def forecast_rows(engine: "Engine", batch: WindowBatch, made_at: datetime, kind: str = REPLAY) -> pl.DataFrame:
    """Forecast every horizon from windows with one model, in the columns of `forecasts`.

    Neither blended with others nor calibrated; one frame per horizon below the other.
    """
    signature, keys = engine.signature, batch.keys
    model = Member(signature.name, engine.version, engine.digest, 1.0)
    quantiles = make_forecasts({model.name: engine.predict(batch.inputs)}, {model.name: 1.0}, signature.horizons)
    context = ForecastContext(
        symbol=keys["symbol"],
        event_time=keys["event_time"],
        reference_price=keys["reference_price"],
        regime=keys["regime"],
        feature_hash=keys["feature_hash"],
        feature_table_versions=batch.versions,
        price_basis=keys["price_basis"],
        currency=batch.market.currency,
    )
    closes = keys["event_time"].unique()
    frames = []
    for position, horizon in enumerate(signature.horizons):
        ids = pl.Series(forecast_ids(batch.subjects, horizon, model, kind), dtype=pl.String)
        stamp = ForecastStamp(ids, kind, keys["event_time"] + batch.delay, made_at)
        ends = [calendars.session_after(at, horizon, batch.market.grid) for at in closes]
        target = keys["event_time"].replace_strict(closes, pl.Series(ends, dtype=pl.Date), return_dtype=pl.Date)
        columns = forecast_row(context, stamp, list(quantiles[:, position].T), model, horizon, target)
        frames.append(pl.DataFrame(columns, schema=FORECASTS.schema))
    return pl.concat(frames)
