"""The receipt of one forecast: its inputs, as stored in the log and in the table `receipts`."""

import operator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lake.errors import SchemaError
from serving.receipts.code import Code

if TYPE_CHECKING:
    from serving.engines import Engine

BATCH = "replay:"
"""What the id of a receipt begins with that stands for all forecasts a model replayed together."""


class _ReceiptPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EngineSettings(_ReceiptPart):
    """Engine settings of one model.

    Parameters
    ----------
    device
        Where, e.g. ``cpu`` or ``tensorrt fp16 on ...``.
    provider
        ONNX Runtime's name of what computed; empty where the engine does not say.
    threads
        Threads inside one call.
    grain
        Batches were filled up to a multiple of it; see `serving.engines.batch_granularity`.
    """

    device: str
    provider: str = ""
    threads: int = 0
    grain: int = 1

    @classmethod
    def of(cls, engine: "Engine") -> "EngineSettings":
        """Read them from an engine."""
        return cls(
            device=engine.device,
            provider=getattr(engine, "provider", ""),
            threads=getattr(engine, "threads", 0),
            grain=getattr(engine, "grain", 1),
        )

    @property
    def is_exact(self) -> bool:
        """Whether the same input gives the same bits again: on the processor."""
        return self.provider == "CPUExecutionProvider"


class ModelUse(_ReceiptPart):
    """One model's part in the forecast."""

    name: str
    version: str
    digest: str
    weight: float
    engine: EngineSettings


class Online(_ReceiptPart):
    """The state of the online store that the forecast was read from.

    Parameters
    ----------
    generation
        Its number: microseconds since 1970 at which it was written.
    until
        Market time up to which it was filled; None where the writer did not say.
    source
        Who answered: ``redis``, or ``snapshot``, the copy in memory.
    """

    generation: int
    until: datetime | None
    source: Literal["redis", "snapshot"]


class StrategyInForce(_ReceiptPart):
    """The strategy in force."""

    selected: str
    strategies: tuple[str, ...]
    weights: tuple[float, ...]
    confidence: float


class Receipt(_ReceiptPart):
    """Inputs of one forecast.

    Parameters
    ----------
    format
        Of this receipt.
    forecast_id
        Forecast it belongs to; one beginning with ``replay:`` for all that a model replayed together.
    correlation_id
        Correlation id of the request, also in the service's log; empty for an internal request.
    row
        SHA-256 of the row in `forecasts`, see `serving.receipts.seals`; empty for those replayed together.
    answer
        SHA-256 of the answer as it was sent; empty where none was sent.
    window_known_time
        When the model's input was known: with symbol, session and signature this names its row in `model_windows`.
    tables
        Delta versions of all tables that were read.
    online
        Where the input was read from; None for a replay, which reads the tables.
    strategy
        The strategy in force; None for a replay, made for every model.
    blend
        The weights of models in force, as `feature_repo.online.BlendWeights.to_dict` gives them. None for a replay, and
        in receipts from before there were any: there the models' weights follow from the strategy.
    models
        Every model that took part, with its weight.
    calibration
        Correction that was applied, or None.
    code
        What computed.
    untrained
        Models that had a weight over the horizon and were not trained for it, whose weight the others share; written
        only where there are any.
    """

    format: Literal[1] = 1
    forecast_id: str
    correlation_id: str = ""
    row: str = ""
    answer: str = ""
    window_known_time: datetime | None = None
    tables: dict[str, int]
    online: Online | None = None
    strategy: StrategyInForce | None = None
    blend: dict[str, Any] | None = None
    models: tuple[ModelUse, ...]
    calibration: dict[str, Any] | None = None
    code: Code
    untrained: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)

    @classmethod
    def from_json(cls, content: str) -> "Receipt":
        """Read a receipt.

        Raises
        ------
        SchemaError
            If it is none.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SchemaError(
                f"A receipt cannot be read: {where or 'it'}: {first['msg']}. It was altered, or written by a later "
                "version of quantlake."
            ) from error
