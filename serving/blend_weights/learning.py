"""Weights in force at each close, from the losses of the forecasts that had matured by then."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import polars as pl

from lake.clock import Clock
from lake.errors import NotReadyError
from lake.market import DEMO, Market
from lake.report import Report
from lake.store import Lake
from lake.tables import BLEND_WEIGHTS, VERDICTS
from serving.blend_weights.weighting import FloatArray, WeightRule, exponential_weights
from serving.forecasts import pinball_loss
from serving.outcomes import first_close_by, first_replays, known_labels

KEY = ("symbol", "event_time", "horizon_sessions")
TOO_FAR = ", far above the lowest loss"


class _Standing(NamedTuple):
    """Whether a model may have a weight, and why."""

    counts: bool
    reason: str


NOT_JUDGED = _Standing(counts=False, reason="not judged beside a baseline")
UNJUDGED = _Standing(counts=True, reason="no model was judged beside a baseline")
NO_BASELINE = _Standing(counts=True, reason="no baseline is in service")


class _Losses(NamedTuple):
    """What the models have lost at one horizon by each close.

    Parameters
    ----------
    total
        ``[close, model]``: the sum over matured sessions, each the mean over its symbols, the older ones discounted.
    counted
        ``[close]``: the sum of the discounts; total over counted is a mean loss.
    sessions
        ``[close]``: matured sessions; one counts by the share of its outcomes that are known.
    is_present
        ``[close, model]``: whether the model forecast that session.
    """

    total: FloatArray
    counted: FloatArray
    sessions: FloatArray
    is_present: FloatArray


def update_blend_weights(lake: Lake, clock: Clock, rule: WeightRule | None = None) -> Report:
    """Append the weights in force from each close on, up to the newest that was forecast.

    They are worked out from the replayed forecasts, the outcomes known by each close and the verdicts on what was known
    by it, so that a day-by-day walk through history appends the same rows as one call.

    Returns
    -------
    Report
        Of `blend_weights`; skipped when every close that was forecast has its row. ``details["weights"]`` holds the
        newest, by horizon and model, with the reasons.

    Raises
    ------
    NotReadyError
        If no forecast was replayed.
    """
    started, now = time.perf_counter(), clock.now()
    forecasts = first_replays(lake, clock)
    if forecasts.is_empty():
        raise NotReadyError(
            "No model can have a weight yet: no forecast was replayed. Materialise the asset `forecasts`, or run "
            f"`{lake.market.first_run}`."
        )
    verdicts = lake.read_as_of(VERDICTS, now) if lake.exists(VERDICTS) else VERDICTS.empty()
    rows = learn_weights(forecasts, known_labels(lake, clock), verdicts, rule, market=lake.market)
    newest = rows.sort("event_time").tail(1)
    report = lake.merge_unstored(BLEND_WEIGHTS, rows).with_details(seconds=time.perf_counter() - started)
    if report.skipped:
        return report.with_details(reason="every close that was forecast has its weights")
    names = ["model_horizons", "models", "model_weights", "losses", "sessions", "reasons"]
    return report.with_details(weights=newest.select(names).explode(names).to_dicts())


def learn_weights(
    forecasts: pl.DataFrame,
    labels: pl.DataFrame,
    verdicts: pl.DataFrame,
    rule: WeightRule | None = None,
    *,
    market: Market = DEMO,
) -> pl.DataFrame:
    """Return rows of `blend_weights`, one per close with a forecast.

    At each horizon those models count that are baselines, or beat the best one by the newest verdict on what was known
    at the close, and that forecast the session of the close. Where nothing was judged, every model counts. A model
    without a forecast that others made is taken to have lost what they did on average.

    Parameters
    ----------
    forecasts
        Replayed rows of `forecasts`, at most one per model and key.
    labels
        Rows of `labels` that are known, one per key.
    verdicts
        Rows of `verdicts`.
    """
    rule = rule or WeightRule()
    closes = forecasts["event_time"].unique().sort()
    models = sorted(forecasts["model_name"].unique())
    # What is known when a close is decided counts at that close.
    labels = labels.with_columns(pl.col("known_time") - market.decided_after)
    by_horizon = {horizon: _losses(forecasts, labels, closes, models, horizon, rule) for horizon in market.horizon_bars}
    judged = _Verdicts(verdicts)
    rows = []
    for place, close in enumerate(closes.to_list()):
        entries = [
            entry
            for horizon, lost in by_horizon.items()
            for entry in _entries(lost, place, models, judged.of(close, horizon), horizon, rule)
        ]
        columns: tuple[Sequence[object], ...] = tuple(zip(*entries, strict=True)) if entries else ((),) * 6
        rows.append((market.index, close, close + market.decided_after, *map(list, columns)))
    return pl.DataFrame(rows, schema=BLEND_WEIGHTS.schema, orient="row")


def _entries(
    lost: _Losses, place: int, models: Sequence[str], verdicts: Mapping[str, _Standing], horizon: int, rule: WeightRule
) -> list[tuple[int, str, float, float, float, str]]:
    """Horizon, model, weight, mean loss, sessions and reason of every model that forecast the session of a close."""
    present = [number for number in range(len(models)) if lost.is_present[place, number]]
    if not present:
        return []
    standing = {number: verdicts.get(models[number], NOT_JUDGED) for number in present}
    if not any(one.counts for one in standing.values()):
        standing = dict.fromkeys(present, NO_BASELINE if verdicts else UNJUDGED)
    counting = [number for number in present if standing[number].counts]
    total, counted, sessions = lost.total[place], float(lost.counted[place]), float(lost.sessions[place])
    unit = float(total[counting].mean() / counted) if counted > 0 else 0.0
    given = exponential_weights(total[counting], unit or 1.0, rule)
    weights = dict(zip(counting, given.tolist(), strict=True))
    return [
        (
            horizon,
            models[number],
            weights.get(number, 0.0),
            float(total[number] / counted) if counted > 0 else 0.0,
            sessions,
            f"{standing[number].reason}{TOO_FAR if weights.get(number) == 0 else ''}",
        )
        for number in present
    ]


def _losses(
    forecasts: pl.DataFrame,
    labels: pl.DataFrame,
    closes: pl.Series,
    models: Sequence[str],
    horizon: int,
    rule: WeightRule,
) -> _Losses:
    of_horizon = forecasts.filter(pl.col("horizon_sessions") == horizon)
    truth = labels.select(*KEY, "forward_return", pl.col("known_time").alias("known"))
    losses = of_horizon.join(truth, on=list(KEY), how="left").with_columns(pinball_loss().alias("loss"))
    by_key = losses.pivot(on="model_name", on_columns=models, index=["symbol", "event_time", "known"], values="loss")
    table = by_key.select(models).to_numpy()  # [key, model]; null, and so NaN, where there is no forecast or outcome
    count = len(closes)
    session = first_close_by(closes, by_key["event_time"])
    is_known = by_key["known"].is_not_null().to_numpy()
    known_by = by_key["known"]
    known = first_close_by(closes, known_by.filter(is_known))
    share = 1.0 / np.bincount(session, minlength=count)[session]
    table, share = table[is_known], share[is_known]
    filled = np.where(np.isnan(table), np.nanmean(table, axis=1, keepdims=True), table) if len(table) else table
    by_close = [np.bincount(known, weights=column * share, minlength=count + 1)[:count] for column in filled.T]
    present = of_horizon.select("event_time", "model_name").unique()
    is_present = np.zeros((count, len(models)), bool)
    at = first_close_by(closes, present["event_time"])
    is_present[at, [models.index(name) for name in present["model_name"]]] = True
    sessions = np.bincount(known, weights=share, minlength=count + 1)[:count]
    discounted = _discounted(np.stack([*by_close, sessions], axis=1), rule.decay)
    return _Losses(discounted[:, :-1], discounted[:, -1], sessions.cumsum(), is_present)


def _discounted(added: FloatArray, decay: float) -> FloatArray:
    """Sum over the rows up to each, where a row counts `decay` times less with every row after it."""
    total = np.empty_like(added)
    before = np.zeros(added.shape[1])
    for place, row in enumerate(added):
        before = total[place] = decay * before + row
    return total


class _Verdicts:
    """What the newest verdict that rests on what was known at a close says of each model."""

    def __init__(self, verdicts: pl.DataFrame) -> None:
        self._rows = verdicts.sort("event_time", "known_time")
        self._cached: dict[tuple[int, int], dict[str, _Standing]] = {}

    def of(self, close: datetime, horizon: int) -> Mapping[str, _Standing]:
        """By model."""
        known = self._rows.filter(pl.col("event_time") <= close, pl.col("horizon_sessions") == horizon)
        if (len(known), horizon) not in self._cached:
            newest = known.unique("model", keep="last")
            self._cached[len(known), horizon] = {row["model"]: _standing(row) for row in newest.to_dicts()}
        return self._cached[len(known), horizon]


def _standing(verdict: Mapping[str, object]) -> _Standing:
    if verdict["is_baseline"]:
        return _Standing(counts=True, reason="a baseline")
    if verdict["is_constant"]:
        return _Standing(counts=False, reason="its forecasts do not vary")
    beats = bool(verdict["beats_best_baseline"])
    sentence = (
        f"{'beats' if beats else 'does not beat'} {verdict['best_baseline']} ({verdict['gain']:+.2%}, "
        f"p {verdict['p_value']:.2g})"
    )
    return _Standing(beats, sentence)
