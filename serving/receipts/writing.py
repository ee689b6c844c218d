"""Writes receipts on the request path: parts common to many forecasts are rendered once."""

import json
from typing import TYPE_CHECKING, Any

from lake.tables import BLEND_WEIGHTS, CALIBRATIONS, MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from serving.receipts.code import running_code
from serving.receipts.receipt import BATCH, EngineSettings, ModelUse, Online, Receipt, StrategyInForce
from serving.receipts.seals import digest_of, row_digest, sealed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from feature_repo.online import Served
    from serving.deployment import LoadedModels
    from serving.engines import Engine
    from serving.forecasts import Member, Row

ONLINE_TABLES = tuple(spec.name for spec in (MODEL_WINDOWS, STRATEGY_ASSIGNMENTS, REGIMES, BLEND_WEIGHTS, CALIBRATIONS))
"""Tables behind a forecast beside those its window was made from."""

OWN = {"format", "forecast_id", "correlation_id", "row", "answer", "window_known_time"}
"""What is a forecast's own."""
MOST_TEXTS = 256

_texts: dict[tuple[Any, ...], str] = {}
"""What forecasts have in common, by what it is made from."""


def tables_read(served: "Served") -> dict[str, int]:
    """Versions of the tables behind a forecast, as the online store was filled from them."""
    versions = served.versions
    return {name: versions[name] for name in ONLINE_TABLES if name in versions}


def receipt_text(shared: str, known: str, logged: "Mapping[str, Any]", answer: str, correlation_id: str = "") -> str:
    """Compose the receipt of one forecast, sealed, as JSON.

    Parameters
    ----------
    shared
        What it has in common with others, see `shared_part`.
    known
        When its window was known.
    logged
        Its row in `forecasts`, complete.
    answer
        The answer as it will be sent.
    correlation_id
        Of the request, letters, digits and hyphens alone.
    """
    return sealed(
        f'{{"format":1,"forecast_id":"{logged["forecast_id"]}","correlation_id":"{correlation_id}",'
        f'"row":"{row_digest(logged)}","answer":"{digest_of(answer)}","window_known_time":"{known}",{shared}}}'
    )


def shared_part(row: "Row", members: "Sequence[Member]", models: "LoadedModels", horizon: int) -> str:
    """Return the shared entries of a receipt as the inside of a JSON object.

    Parameters
    ----------
    row
        What it was made from.
    members
        Models that took part.
    models
        The set they were taken from.
    horizon
        Horizon of the forecast: a model with a weight there that takes no part was not trained for it.
    """
    part = {member.name for member in members}
    untrained = tuple(name for name in row.blend.of_horizon(horizon) if name not in part)
    key = (
        row.served.source,
        row.served.generation.number,
        tuple(row.table_versions.items()),
        tuple(members),
        untrained,
        row.selected_strategy,
        tuple(row.weights),
        row.confidence,
        row.blend,
        row.calibration,
    )
    shared = _texts.get(key)
    if shared is None:
        if len(_texts) >= MOST_TEXTS:
            _texts.clear()
        shared = _texts[key] = _shared(row, members, models, untrained)
    return shared


def batch_receipt(engine: "Engine", made_at: "datetime", tables: "Mapping[str, int]") -> Receipt:
    """Return the receipt of all that a model forecast together in a walk-forward, as champion or on trial."""
    use = ModelUse(
        name=engine.signature.name,
        version=engine.version,
        digest=engine.digest,
        weight=1.0,
        engine=EngineSettings.of(engine),
    )
    return Receipt(
        forecast_id=batch_id(engine.digest, made_at), tables=dict(tables), models=(use,), code=running_code()
    )


def batch_id(digest: str, made_at: "datetime") -> str:
    """Id of the receipt that stands for all that a model replayed together."""
    return BATCH + digest_of(json.dumps([digest, made_at.isoformat()]))[:32]


def _shared(row: "Row", members: "Sequence[Member]", models: "LoadedModels", untrained: tuple[str, ...]) -> str:
    generation = row.served.generation
    whole = Receipt(
        forecast_id="",
        tables=dict(sorted(row.table_versions.items())),
        online=Online(generation=generation.number, until=generation.until, source=row.served.source),
        strategy=StrategyInForce(
            selected=row.selected_strategy,
            strategies=tuple(row.strategies),
            weights=tuple(row.weights),
            confidence=row.confidence,
        ),
        blend=row.blend.to_dict(),
        models=tuple(ModelUse(**member._asdict(), engine=_settings_of(member, models)) for member in members),
        calibration=None if row.calibration is None else row.calibration.to_dict(),
        code=running_code(),
        untrained=untrained,
    )
    return whole.model_dump_json(exclude=OWN)[1:-1]


def _settings_of(member: "Member", models: "LoadedModels") -> EngineSettings:
    """How the engine of a member is set, champion or challenger."""
    engine = models.engines.get(member.name)
    if engine is None or engine.digest != member.digest:
        challenged = (challenger.loaded.engine for challenger in models.challengers)
        engine = next(engine for engine in challenged if engine.digest == member.digest)
    return EngineSettings.of(engine)
