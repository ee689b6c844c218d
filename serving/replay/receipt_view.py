"""Receipt view: the receipt of one forecast, with the rows, values and decision behind it."""

import json
import math
from typing import TYPE_CHECKING, Any

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import FORECAST_V2, FloatArray, WindowSpec
from lake.errors import LogError, ModelError, UnknownNameError
from lake.knowledge import known_bases
from lake.tables import BARS, BLEND_WEIGHTS, MODEL_WINDOWS, REGIMES, SELECTIONS, STRATEGY_ASSIGNMENTS
from serving.api import LoggedRecommendation
from serving.api import receipts as api
from serving.engines import Bundle
from serving.explanation_log import explanations_of
from serving.forecasts import PRICED
from serving.recommendation_log import recommendations_about
from serving.replay.as_of_tables import UNREADABLE, AsOfTables, UnreadableTablesError
from serving.replay.cases import Case, cases
from serving.replay.inputs import find_window, known_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lake.settings import Settings
    from lake.store import Lake
    from serving.receipts import ModelUse

SCALED = ("mean", "std")
USES = {
    FEATURES_TECHNICAL.name: (FORECAST_V2.sessions, "the model input was cut from them"),
    BARS.name: (1, "the reference price"),
    MODEL_WINDOWS.name: (1, "the model input"),
    REGIMES.name: (1, "the regime of the market"),
    STRATEGY_ASSIGNMENTS.name: (1, "the strategy in force"),
    BLEND_WEIGHTS.name: (1, "the weights of the models"),
    "calibrations": (1, "the correction of the band"),
}


def receipt_of(lake: "Lake", configured: "Settings", forecast_id: str) -> api.ReceiptAnswer:
    """Return the receipt of a stored forecast of any kind, from the lake or from the log.

    Raises
    ------
    UnknownNameError
        If no forecast has that id.
    """
    found = cases(lake, configured, [forecast_id])
    if not found:
        raise UnknownNameError("prediction", forecast_id, [])
    return _ReceiptView(lake, configured, found[0]).answer()


class _ReceiptView:
    """Reads what stands behind one receipt, and puts the answer together."""

    def __init__(self, lake: "Lake", configured: "Settings", case: Case) -> None:
        self.lake, self.configured, self.case, self.receipt = lake, configured, case, case.receipt
        self.tables = case.receipt.tables if case.receipt else case.tables
        row = case.row
        self.as_of = AsOfTables(lake, self.tables, [row["symbol"]], row["event_time"], row["event_time"])
        self.not_known: list[str] = []
        if case.receipt is None:
            self.not_known.append(
                "engine, code, calibration and the rows that were read: it was made before there were receipts"
                if not case.findings
                else "what the receipt said: it cannot be read"
            )

    def answer(self) -> api.ReceiptAnswer:
        """Return the answer of the endpoint."""
        row, receipt = self.case.row, self.receipt
        same = ("kind", "symbol", "made_at", "p10", "p50", "p90", "reference_price", *PRICED)
        ahead = self.lake.market.horizon_of(row["horizon_sessions"])
        values: dict[str, Any] = {ahead.member: ahead.n} | {name: row[name] for name in same}
        is_sealed = receipt is not None or bool(self.case.findings)
        return api.ReceiptAnswer(
            prediction_id=self.case.forecast_id,
            as_of=row["event_time"],
            stored_in=self.case.source,
            table_versions=self.tables,
            online=receipt.online.model_dump(mode="json") if receipt and receipt.online else None,
            feature_vector=self._vector(),
            rows=self._rows(),
            knowledge=self._knowledge(),
            strategy=self._strategy(),
            models=[self._model(use) for use in receipt.models] if receipt else self._model_by_row(),
            blend=receipt.blend if receipt else None,
            calibration=receipt.calibration if receipt else None,
            code=api.CodeRead(**receipt.code.model_dump()) if receipt else None,
            seal=api.Seal(
                is_intact=not self.case.findings if is_sealed else None, altered=list(map(str, self.case.findings))
            ),
            explanations=self._explanations(),
            recommendations=self._recommendations(),
            not_known=self.not_known,
            **values,
        )

    def _explanations(self) -> list[api.LoggedExplanation]:
        try:
            found = explanations_of(self.lake, self.configured, self.case.forecast_id)
        except (LogError, *UNREADABLE) as error:
            self.not_known.append(f"explanations of it: {error}")
            return []
        same = api.LoggedExplanation.model_fields.keys() - {"values"}
        return [
            api.LoggedExplanation(values=json.loads(row["values"]), **{name: row[name] for name in same})
            for row in found
        ]

    def _recommendations(self) -> list[LoggedRecommendation]:
        try:
            found = recommendations_about(self.lake, self.configured, self.case.forecast_id)
        except (LogError, *UNREADABLE) as error:
            self.not_known.append(f"recommendations that rest on it: {error}")
            return []
        names = LoggedRecommendation.model_fields.keys()
        return [LoggedRecommendation(**{name: row[name] for name in names}) for row in found]

    def _vector(self) -> api.FeatureVector:
        row, known = self.case.row, known_time(self.case)
        spec: WindowSpec = FORECAST_V2
        values: list[list[float | None]] | None = None
        try:
            if known:
                spec, window = find_window(self.as_of, row, known)
                values = None if window is None else _known(window)
        except UnreadableTablesError as error:
            self.not_known.append(f"the values of the features: {error}")
        return api.FeatureVector(
            hash=row["feature_hash"], known_time=known, features=list(spec.features), values=values
        )

    def _rows(self) -> list[api.RowRead]:
        as_of, found = self.case.row["event_time"], []
        for name, version in sorted(self.tables.items()):
            count, meaning = USES.get(name, (1, "it was read on the way"))
            first = as_of
            if name == FEATURES_TECHNICAL.name and (sessions := self._sessions()):
                first, count = sessions[0], len(sessions)
            read = api.RowRead(table=name, version=version, rows=count, first=first, last=as_of, meaning=meaning)
            found.append(read)
        return found

    def _knowledge(self) -> api.KnowledgeRead | None:
        """Return how it is known when the bars of the window were known, in the version that was read."""
        row, sessions = self.case.row, self._sessions()
        if BARS.name not in self.tables or not sessions:
            return None
        is_in_window = pl.col("event_time").is_between(sessions[0], sessions[-1]) & (pl.col("symbol") == row["symbol"])
        at = known_time(self.case) or row["event_time"]
        try:
            found = known_bases(self.lake, at, where=is_in_window, version=self.tables[BARS.name])
        except UNREADABLE as error:
            self.not_known.append(f"how it is known when its bars were known: {error}")
            return None
        return api.KnowledgeRead(said=found.sentence(), bars=found.counts) if found.bars else None

    def _sessions(self) -> "Sequence[datetime]":
        """Return the sessions of the model's input; none where they cannot be read."""
        try:
            rows = self.as_of.features
        except UnreadableTablesError:
            return []
        found: list[datetime] = rows["event_time"].unique().sort().tail(FORECAST_V2.sessions).to_list()
        return found

    def _strategy(self) -> api.StrategyRead:
        strategy, row = self.receipt.strategy if self.receipt else None, self.case.row
        return api.StrategyRead(
            regime=row["regime"],
            selected_strategy=strategy.selected if strategy else row["strategy"],
            weights=dict(zip(strategy.strategies, strategy.weights, strict=True)) if strategy else None,
            confidence=strategy.confidence if strategy else None,
            decision=None if self.case.is_replay else self._decision(),
        )

    def _decision(self) -> api.Decision | None:
        """Return the newest decision for the regime that was known by then; decisions are never restated."""
        is_before = (pl.col("regime") == self.case.row["regime"]) & (
            pl.col("event_time") <= self.case.row["event_time"]
        )
        try:
            found = self.lake.read(SELECTIONS, where=is_before).sort("event_time").tail(1).to_dicts()
        except UNREADABLE as error:
            self.not_known.append(f"the decision behind the strategy: {error}")
            return None
        if not found:
            self.not_known.append("the decision behind the strategy: the table of selections holds none of that time")
            return None
        names = ("reason", "e_value", "sessions")
        return api.Decision(
            decided_at=found[0]["event_time"],
            probabilities=dict(zip(found[0]["strategies"], found[0]["probabilities"], strict=True)),
            **{name: found[0][name] for name in names},
        )

    def _model(self, use: "ModelUse") -> api.ModelRead:
        known: dict[str, Any] = {"trained_until": None, "trained_on": None, "scaler": None}
        try:
            bundle = Bundle.load(self.configured.models / use.name / use.version, version=use.version)
        except ModelError as error:
            self.not_known.append(f"the file of model {use.name}: {error}")
        else:
            signature = bundle.signature
            if bundle.digest != use.digest:
                self.not_known.append(f"the file of model {use.name}: another one lies in its place")
            else:
                known = {
                    "trained_until": signature.train_until,
                    "trained_on": signature.table_versions,
                    "scaler": api.Scaler(said=signature.scaler, **_scaler(bundle)),
                }
        return api.ModelRead(**use.model_dump(exclude={"engine"}), **use.engine.model_dump(exclude={"grain"}), **known)

    def _model_by_row(self) -> list[api.ModelRead]:
        """Return the model that a row without a receipt names."""
        row = self.case.row
        unknown: dict[str, Any] = {"device": "", "provider": "", "threads": 0}
        unknown |= {"trained_until": None, "trained_on": None, "scaler": None}
        names = {"name": row["model_name"], "version": row["model_version"], "digest": row["model_digest"]}
        return [api.ModelRead(weight=1.0, **names, **unknown)]


def _known(window: FloatArray) -> list[list[float | None]]:
    """Values of a window, null where they are not known."""
    return [[None if math.isnan(value) else value for value in row] for row in window.astype(float).tolist()]


def _scaler(bundle: Bundle) -> dict[str, list[float] | None]:
    """Return mean and deviation of each feature, as they stand in the model's own graph."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(bundle.content).graph
    held = {tensor.name: tensor for tensor in graph.initializer if tensor.name in SCALED}
    if set(held) != set(SCALED):
        return dict.fromkeys(SCALED)
    return {name: numpy_helper.to_array(held[name]).astype(float).ravel().tolist() for name in SCALED}
