"""Input row of one symbol's forecast: the latest values of an online read, or of the tables."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from feature_repo.online import BlendWeights, Degradation, Served
    from feature_repo.targets.windows import FloatArray
    from serving.forecasts.corrections import Calibration


@dataclass(frozen=True)
class Row:
    """Inputs of one symbol's forecast; see `feature_repo.online.OnlineBatch` for the fields.

    `table_versions` names every table that was read on the way, those of the window as it was made from them.
    """

    symbol: str
    as_of: "datetime"
    window: "FloatArray"
    reference_price: float | None
    price_basis: str | None
    currency: str | None
    feature_hash: str
    table_versions: dict[str, int]
    regime: str
    selected_strategy: str
    strategies: list[str]
    weights: list[float]
    confidence: float
    blend: "BlendWeights"
    known_time: "datetime"
    served: "Served"
    degraded: "Degradation | None" = None
    calibration: "Calibration | None" = None
    packed: tuple[bytes, bytes] = (b"", b"")
