"""Questions of the endpoint about stored forecasts, which the explanation process answers."""

import logging
from typing import TYPE_CHECKING

from lake.errors import QuantlakeError
from serving.explain.worker import DEEP, DRIVERS, SHORT, WHAT_IF, AboutDeepPart, AboutForecast

if TYPE_CHECKING:
    from starlette.datastructures import State

    from serving.api.explanations import CounterfactualAnswer, CounterfactualRequest, ForecastExplanation
    from serving.explain.narrative import DeepFindings, DeepPart, Drivers
    from serving.explain.worker import Explanations

logger = logging.getLogger("quantlake.serving")


def explanations_of(state: "State") -> "Explanations":
    """Return what answers the questions of an application."""
    explanations: Explanations = state.explanations
    return explanations


async def changed(state: "State", question: "CounterfactualRequest") -> "CounterfactualAnswer":
    """Return the forecast of a changed input; for the errors see `Explanations`."""
    return WHAT_IF.answered.validate_json(await explanations_of(state).ask(WHAT_IF, question))


async def told_beside(state: "State", prediction_id: str) -> "tuple[ForecastExplanation | None, str]":
    """Return the short explanation of a forecast that was just given; or None, and why there is none."""
    try:
        answer = await explanations_of(state).ask(SHORT, AboutForecast(prediction_id=prediction_id))
    except QuantlakeError as error:
        return None, str(error)
    return SHORT.answered.validate_json(answer), ""


def drivers_of(state: "State", prediction_id: str) -> "Drivers | None":
    """Return the contributions that a written explanation states; None where they cannot be computed, which is logged.

    It is called by the thread that writes explanations, and waits for its turn among those that are computed.
    """
    try:
        answer = explanations_of(state).ask_from_thread(DRIVERS, AboutForecast(prediction_id=prediction_id))
    except QuantlakeError as error:
        logger.info("no contributions for an explanation in words: %s", error)
        return None
    return DRIVERS.answered.validate_json(answer)


def deep_part_of(state: "State", prediction_id: str, part: "DeepPart") -> "DeepFindings":
    """Return one part of a deep explanation in words; called as `drivers_of` is, for the errors see `Explanations`."""
    asked = AboutDeepPart(prediction_id=prediction_id, part=part)
    return DEEP.answered.validate_json(explanations_of(state).ask_from_thread(DEEP, asked))
