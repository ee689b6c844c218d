"""View model of a receipt: what one forecast was made from, and the command that makes it again."""

from dataclasses import dataclass
from typing import Any

from serving.api import CalibrationAnswer, LoggedRecommendation
from serving.api.receipts import LoggedExplanation, ReceiptAnswer
from serving.pages import formats
from serving.pages.views.bands import ShownBand, return_band

SHOWN_DIGEST = 12


@dataclass(frozen=True)
class ReceiptFact:
    """One line: what, its value, and the whole value where the line shows a part of it."""

    name: str
    value: str
    whole: str = ""


@dataclass(frozen=True)
class ReceiptView:
    """A receipt, as it is printed.

    Parameters
    ----------
    seal, seal_kind
        What the seal says in a sentence, and ``intact``, ``broken`` or ``unsealed``.
    command
        Makes the number again and compares it.
    tables, models, weights
        Rows of three tables.
    correction, blend
        What the calibration did to the band of this horizon, and what each model counted in it; rows of two tables.
    explanations, recommendations
        What was said about it, and what was advised on it; rows of two tables.
    inputs
        Of each feature the values of the last sessions that the models read; empty where they are not known.
    not_known
        What was never written down.
    """

    prediction_id: str
    symbol: str
    seal: str
    seal_kind: str
    command: str
    band: ShownBand | None
    forecast: tuple[ReceiptFact, ...]
    data: tuple[ReceiptFact, ...]
    tables: tuple[tuple[str, ...], ...]
    models: tuple[tuple[str, ...], ...]
    strategy: tuple[ReceiptFact, ...]
    weights: tuple[tuple[str, ...], ...]
    correction: tuple[tuple[str, ...], ...]
    blend: tuple[tuple[str, ...], ...]
    code: tuple[ReceiptFact, ...]
    explanations: tuple[tuple[str, ...], ...]
    recommendations: tuple[tuple[str, ...], ...]
    inputs: tuple[tuple[str, ...], ...]
    not_known: tuple[str, ...]


def receipt_view(receipt: ReceiptAnswer, record: CalibrationAnswer, horizon: int) -> ReceiptView:
    """Return the page of a receipt.

    Parameters
    ----------
    record
        How the bands of such forecasts held.
    horizon
        As the tables count it.
    """
    seal, kind = _seal(receipt)
    return ReceiptView(
        prediction_id=receipt.prediction_id,
        symbol=receipt.symbol,
        seal=seal,
        seal_kind=kind,
        command=f"quantlake replay {receipt.prediction_id}",
        band=return_band(receipt.p10, receipt.p90, record.overall.band, record.band_in_replay),
        forecast=_forecast(receipt),
        data=_data(receipt),
        tables=tuple(
            (
                row.table,
                str(row.version),
                f"{row.rows:,}",
                formats.instant(row.first),
                formats.instant(row.last),
                row.meaning,
            )
            for row in receipt.rows
        ),
        models=tuple(
            (
                model.name,
                model.version,
                formats.percent(model.weight),
                model.digest[:SHOWN_DIGEST],
                formats.day(model.trained_until),
                " ".join(filter(None, (model.device, model.provider))),
            )
            for model in receipt.models
        ),
        strategy=_strategy(receipt),
        weights=tuple((name, formats.percent(weight)) for name, weight in (receipt.strategy.weights or {}).items()),
        correction=_of_horizon(receipt.calibration, ("lower", "upper", "trust", "sessions"), horizon),
        blend=_of_horizon(receipt.blend, ("models", "weights"), horizon),
        code=_code(receipt),
        explanations=tuple(_explanation(each) for each in receipt.explanations),
        recommendations=tuple(_recommendation(each) for each in receipt.recommendations),
        inputs=_inputs(receipt),
        not_known=tuple(receipt.not_known),
    )


def _forecast(receipt: ReceiptAnswer) -> tuple[ReceiptFact, ...]:
    ahead = receipt.horizon_minutes or receipt.horizon_sessions or 0
    unit = "minute" if receipt.horizon_minutes else "session"
    return (
        ReceiptFact("median", formats.signed(receipt.p50, 2)),
        ReceiptFact("horizon", formats.count(ahead, unit)),
        ReceiptFact("ends with the session", formats.day(receipt.target_session)),
        ReceiptFact("reference price", f"{formats.price(receipt.reference_price)} {receipt.currency or ''}".strip()),
        ReceiptFact("price basis", formats.words(receipt.price_basis or formats.UNKNOWN)),
        ReceiptFact("last close it knew", formats.instant(receipt.as_of)),
        ReceiptFact("made at (wall clock)", formats.instant(receipt.made_at)),
        ReceiptFact("how it came about", receipt.kind),
        ReceiptFact("stored in", receipt.stored_in),
    )


def _data(receipt: ReceiptAnswer) -> tuple[ReceiptFact, ...]:
    vector = receipt.feature_vector
    facts = [
        ReceiptFact("feature hash", vector.hash[:SHOWN_DIGEST], vector.hash),
        ReceiptFact("features known at", formats.instant(vector.known_time)),
    ]
    if receipt.knowledge is not None:
        facts.append(ReceiptFact("how the bars were known", receipt.knowledge.said))
    return (*facts, *_facts(receipt.online))


def _strategy(receipt: ReceiptAnswer) -> tuple[ReceiptFact, ...]:
    strategy = receipt.strategy
    facts = [
        ReceiptFact("regime", formats.words(strategy.regime)),
        ReceiptFact("strategy in force", formats.words(strategy.selected_strategy or formats.UNKNOWN)),
        ReceiptFact("confidence", formats.percent(strategy.confidence, 0)),
    ]
    if strategy.decision is not None:
        facts += [
            ReceiptFact("decided at", formats.instant(strategy.decision.decided_at)),
            ReceiptFact("why", strategy.decision.reason),
            ReceiptFact("evidence (e-value)", formats.number(strategy.decision.e_value)),
        ]
    return tuple(facts)


def _code(receipt: ReceiptAnswer) -> tuple[ReceiptFact, ...]:
    code = receipt.code
    if code is None:
        return ()
    return (
        ReceiptFact("version", code.version),
        ReceiptFact("commit", code.commit[:SHOWN_DIGEST], code.commit),
        ReceiptFact("sources", code.sources[:SHOWN_DIGEST], code.sources),
        ReceiptFact("Python, NumPy, ONNX Runtime", f"{code.python}, {code.numpy}, {code.onnxruntime}"),
        ReceiptFact("processor", code.processor),
    )


def _recommendation(each: LoggedRecommendation) -> tuple[str, ...]:
    return (
        formats.instant(each.made_at),
        each.action,
        formats.words(each.reason),
        formats.percent(each.confidence),
        each.gate_state,
        each.recommendation_id,
    )


def _explanation(said: LoggedExplanation) -> tuple[str, ...]:
    if said.text is None:
        told = f"base value {formats.signed(said.values['p50']['base_value'], 2)} for the median"
    else:
        told = said.text
    kind = ", ".join(filter(None, (said.method, said.depth, said.grain, said.writer)))
    return formats.instant(said.made_at), formats.words(kind), told, said.explanation_id


def _inputs(receipt: ReceiptAnswer) -> tuple[tuple[str, ...], ...]:
    """Each feature with its oldest, mean and newest value in the window, which is [session][feature]."""
    vector = receipt.feature_vector
    if not vector.values:
        return ()
    rows = []
    for place, name in enumerate(vector.features):
        series = [session[place] for session in vector.values]
        known = [value for value in series if value is not None]
        mean = sum(known) / len(known) if known else None
        told = (series[0], mean, series[-1])
        rows.append((name, *(formats.number(value) for value in told), f"{len(known)} of {len(series)}"))
    return tuple(rows)


def _seal(receipt: ReceiptAnswer) -> tuple[str, str]:
    if receipt.seal.is_intact is None:
        return "This forecast was never sealed: whether it was changed since cannot be said.", "unsealed"
    if receipt.seal.is_intact:
        return "Row, answer and receipt are those that were written when the forecast was made.", "intact"
    return f"Altered since the forecast was made: {'; '.join(receipt.seal.altered)}.", "broken"


def _of_horizon(values: dict[str, Any] | None, names: tuple[str, ...], horizon: int) -> tuple[tuple[str, ...], ...]:
    """Return rows of lists that run in parallel to one of horizons, those of one horizon."""
    if not values or "horizons" not in values:
        return ()
    places = [place for place, bars in enumerate(values["horizons"]) if bars == horizon]
    return tuple(tuple(_told(values[name][place]) for name in names if name in values) for place in places)


def _facts(values: dict[str, Any] | None) -> tuple[ReceiptFact, ...]:
    """Lines of a part of the receipt whose members are told as they are."""
    return tuple(ReceiptFact(formats.words(name), _told(value)) for name, value in (values or {}).items())


def _told(value: Any) -> str:
    if isinstance(value, float):
        return formats.number(value)
    if isinstance(value, dict):
        return ", ".join(f"{formats.words(str(name))} {_told(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    return formats.UNKNOWN if value is None else str(value)
