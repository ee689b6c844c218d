"""Forecasts as they are answered and logged, written down once but for what is each answer's own.

Of all that an answer, its row and its receipt say, two answers from the same row differ in an id, an instant, a latency
and who asked. The rest is made once, as text, and every further answer fills in the blanks.
"""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from serving.forecast_log import LogEntry, row_as_json
from serving.predict.answers import compose, log_row
from serving.receipts import receipt_text, shared_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.deployment import LoadedModels
    from serving.forecasts import Row
    from serving.predict.forecasting import RowForecast, Said
    from serving.predict.predictor import Question

BLANK_ID, BLANK_AT = "blank", datetime(1970, 1, 1, tzinfo=UTC)
BLANKS = ('"prediction_id":"blank"', '"made_at":"1970-01-01T00:00:00Z"')
"""As an answer that is filled with them says it; a quotation mark within a text of ours is escaped."""
OWN = ("forecast_id", "kind", "made_at", "latency_ms")
MOST = 8
"""Drafts of one forecast that are kept; the reason why Redis does not answer is part of them, and names times."""


class Moment(NamedTuple):
    """When the answers of a micro-batch are made, by the wall clock and in the market."""

    made_at: datetime
    now: datetime


class Draft(NamedTuple):
    """One forecast over one horizon.

    Parameters
    ----------
    answer
        The answer around its id and its instant.
    row
        Row of `forecasts`, complete but for `OWN`.
    row_text
        The same as the inside of a JSON object.
    receipt
        What the receipt shares with others.
    known
        When the window was known.
    """

    answer: tuple[str, str, str]
    row: Mapping[str, Any]
    row_text: str
    receipt: str
    known: str

    @classmethod
    def of(cls, row: "Row", said: "Said", models: "LoadedModels", horizon: int, now: datetime) -> Self:
        """Write down what the models say of a row.

        Raises
        ------
        ValueError
            If it is no forecast: a number is missing, or a price is not positive.
        """
        quantiles = said.quantiles[models.horizons.index(horizon)]
        answer = compose(
            row, quantiles, said.members, prediction_id=BLANK_ID, horizon=horizon, made_at=BLANK_AT, now=now
        )
        before, _, rest = answer.model_dump_json().partition(BLANKS[0])
        between, _, after = rest.partition(BLANKS[1])
        logged = {name: value for name, value in log_row(answer, now).items() if name not in OWN}
        return cls(
            (before + '"prediction_id":"', '"' + between + '"made_at":"', '"' + after),
            logged,
            row_as_json(logged)[1:-1],
            shared_part(row, said.members, models),
            row.known_time.isoformat(),
        )

    def filled(self, question: "Question", moment: Moment, kind: str) -> LogEntry:
        """Return the forecast as one answer to a question."""
        identifier, made_at = str(uuid.uuid4()), moment.made_at.isoformat()
        before, between, after = self.answer
        text = f"{before}{identifier}{between}{made_at.removesuffix('+00:00')}Z{after}"
        latency_ms = (time.perf_counter() - question.asked_at) * 1e3
        own = {"forecast_id": identifier, "kind": kind, "made_at": moment.made_at, "latency_ms": latency_ms}
        row = {**own, **self.row}
        return LogEntry(
            row,
            text,
            receipt_text(self.receipt, self.known, row, text, question.correlation_id),
            "" if kind == "shadow" else question.key_id,
            f'{{"forecast_id":"{identifier}","kind":"{kind}","made_at":"{made_at}","latency_ms":{latency_ms!r},{self.row_text}}}',
        )


class Drafts(NamedTuple):
    """What is answered of a row, and what is logged in its shadow."""

    answered: Draft
    shadows: "Sequence[Draft]"

    @classmethod
    def of(cls, forecast: "RowForecast", row: "Row", models: "LoadedModels", horizon: int, now: datetime) -> Self:
        """Return the drafts of a forecast, written down if they are asked for the first time; see `Draft.of`."""
        # Of a row that is read again everything but this is known to be the same.
        key = horizon, now, row.degraded, row.served.source, row.served.generation.number
        held: Self | None = forecast.drafts.get(key)
        if held is None:
            if len(forecast.drafts) >= MOST:
                forecast.drafts.clear()
            written = [Draft.of(row, said, models, horizon, now) for said in (forecast.said, *forecast.shadows)]
            held = forecast.drafts[key] = cls(written[0], written[1:])
        return held
