"""Rows of an online read, one per symbol that can be forecast, and the reasons for the symbols that cannot."""

from typing import TYPE_CHECKING

from lake.errors import UnknownNameError
from serving.forecasts import Calibration, Row
from serving.receipts import tables_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_repo.online import OnlineBatch

NO_WEIGHTS = (
    "the online store holds no weights of models that are current. Materialise the asset `blend_weights`, which learns "
    "them from the forecasts that have matured, or run the market's next session."
)


def require_known(symbols: "Sequence[str]", known: "Sequence[str]") -> None:
    """Refuse symbols that are not known, naming each."""
    names = set(known)
    unknown = [symbol for symbol in symbols if symbol not in names]
    if unknown:
        raise UnknownNameError("symbol", unknown[0], known, others=unknown[1:])


def split_ready(batch: "OnlineBatch") -> tuple[list[Row], list[tuple[str, str]]]:
    """Split a read into rows that can be forecast, and symbols that cannot, each with its reason."""
    rows: list[Row] = []
    unavailable = [
        (symbol, f"{symbol} has no model input yet: it needs 30 sessions of features.") for symbol in batch.missing
    ]
    calibration = None if batch.regime is None else Calibration.of(batch.calibration, batch.regime)
    tables = tables_read(batch.served)
    for i, symbol in enumerate(batch.symbols):
        selected, confidence = batch.selected_strategy[i], batch.confidence[i]
        if selected is None or confidence is None or not batch.strategies[i]:
            unavailable.append((symbol, f"No strategy has been selected for {symbol} yet."))
        elif batch.regime is None:
            unavailable.append((symbol, f"The market's regime is not known yet, so {symbol} has no forecast."))
        elif batch.expired[i]:
            old = ", ".join(batch.expired[i])
            unavailable.append((symbol, f"{symbol} has no current values: {old} expired, last of {batch.as_of[i]}."))
        elif batch.blend is None:
            unavailable.append((symbol, f"{symbol} has no forecast: {NO_WEIGHTS}"))
        else:
            rows.append(
                Row(
                    symbol=symbol,
                    as_of=batch.as_of[i],
                    window=batch.window[i],
                    reference_price=batch.reference_price[i],
                    price_basis=batch.price_basis[i],
                    currency=batch.currency[i],
                    feature_hash=batch.feature_hash[i],
                    table_versions=tables | batch.table_versions[i],
                    regime=batch.regime,
                    selected_strategy=selected,
                    strategies=batch.strategies[i],
                    weights=batch.weights[i],
                    confidence=confidence,
                    blend=batch.blend,
                    known_time=batch.known_time[i],
                    served=batch.served,
                    degraded=batch.served.degradation,
                    calibration=calibration,
                    packed=batch.packed[i],
                )
            )
    return rows, unavailable
