"""A forecast of the caller's own values of features: computed beside the stored forecast, and never stored."""

from typing import TYPE_CHECKING

from feature_repo.targets import FORECAST_V2
from lake.errors import UnknownNameError
from serving import api
from serving.api.explanations import Change, CounterfactualRequest
from serving.web.explaining import changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.datastructures import State


def require_features(names: "Iterable[str]") -> None:
    """Refuse features that are not in the window, before anything is forecast.

    Raises
    ------
    UnknownNameError
        For the first of them, with the nearest names.
    """
    unknown = [name for name in names if name not in FORECAST_V2.features]
    if unknown:
        raise UnknownNameError("feature", unknown[0], FORECAST_V2.features, others=unknown[1:])


async def of_own_values(state: "State", prediction_id: str, values: "Mapping[str, float]") -> api.OwnValuesForecast:
    """Forecast the window of a stored forecast with other values in its last session.

    Raises
    ------
    ImpossibleChangeError
        If a feature cannot have the value.
    NotReadyError
        If a model was exported without typical windows, by which a value is ranked.
    OverloadedError
        If too many such questions wait.
    """
    changes = {name: Change(to=value) for name, value in values.items()}
    question = CounterfactualRequest(prediction_id=prediction_id, changes=changes)
    answer = await changed(state, question)
    assert answer.changed is not None
    assert answer.delta is not None
    return api.OwnValuesForecast(
        forecast=answer.changed,
        delta=answer.delta,
        moved=answer.moved,
        is_inside_range=bool(answer.is_inside_range),
        seconds=answer.seconds,
    )
