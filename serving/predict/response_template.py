"""Response templates: the text of a forecast for answer and log, rendered once and filled per answer.

Two answers from the same row differ in an id, an instant, a latency and who asked. The rest of the answer, of its row
and of its receipt is made once, and every further answer fills in the blanks.
"""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from lake import calendars
from serving.forecast_log import LogEntry, row_as_json
from serving.forecasts import name_blend
from serving.predict.answers import AnswerTerms, compose, versions_text
from serving.predict.making import ForecastContext, ForecastStamp, forecast_row
from serving.receipts import receipt_text, shared_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.deployment import LoadedModels
    from serving.forecasts import Row
    from serving.predict.forecasting import BlendedForecast, RowForecast
    from serving.predict.questions import Question

BLANK_ID, BLANK_AT = "blank", datetime(1970, 1, 1, tzinfo=UTC)
BLANKS = ('"prediction_id":"blank"', '"made_at":"1970-01-01T00:00:00Z"')
"""The blanks in the text of an answer; a quotation mark within one of its values is escaped."""
OWN = ("forecast_id", "kind", "made_at", "latency_ms")
MOST = 8
"""Templates kept of one forecast; the reason why Redis does not answer is part of them, and names times."""


class AnswerTime(NamedTuple):
    """When the answers of a micro-batch are made, by the wall clock and in the market."""

    made_at: datetime
    now: datetime


class ResponseTemplate(NamedTuple):
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
    def of(cls, row: "Row", forecast: "BlendedForecast", models: "LoadedModels", horizon: int, now: datetime) -> Self:
        """Make the row, the answer and the receipt of a forecast.

        Raises
        ------
        ValueError
            If it is no forecast: a number is missing, or a price is not positive.
        """
        place = models.horizons.index(horizon)
        members = forecast.members[place]
        made = forecast_row(
            _context(row),
            ForecastStamp(BLANK_ID, "served", now, BLANK_AT),
            [float(value) for value in forecast.quantiles[place]],
            name_blend(members),
            horizon,
            calendars.session_after(row.as_of, horizon, row.served.calendar),
        )
        answer = compose(made, AnswerTerms.of(row, members))
        before, _, rest = answer.model_dump_json().partition(BLANKS[0])
        between, _, after = rest.partition(BLANKS[1])
        logged = {name: value for name, value in made.items() if name not in OWN}
        return cls(
            (before + '"prediction_id":"', '"' + between + '"made_at":"', '"' + after),
            logged,
            row_as_json(logged)[1:-1],
            shared_part(row, members, models, horizon),
            row.known_time.isoformat(),
        )

    def filled(self, question: "Question", moment: AnswerTime, kind: str) -> LogEntry:
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


class ResponseTemplates(NamedTuple):
    """Templates of the answer from a row, and of its shadow forecasts in the log."""

    answered: ResponseTemplate
    shadows: "Sequence[ResponseTemplate]"

    @classmethod
    def of(cls, forecast: "RowForecast", row: "Row", models: "LoadedModels", horizon: int, now: datetime) -> Self:
        """Return the templates of a forecast, made when they are first asked for; see `ResponseTemplate.of`."""
        # Everything else that a template says is the same for every read of a row that the forecast cache knows.
        key = horizon, now, row.degraded, row.served.source, row.served.generation.number
        known: Self | None = forecast.templates.get(key)
        if known is None:
            if len(forecast.templates) >= MOST:
                forecast.templates.clear()
            place = models.horizons.index(horizon)
            # Where a challenger's model has no weight at the horizon, its forecast is the answer itself.
            others = [each for each in forecast.shadows if each.members[place] != forecast.answered.members[place]]
            made = [ResponseTemplate.of(row, each, models, horizon, now) for each in (forecast.answered, *others)]
            known = forecast.templates[key] = cls(made[0], made[1:])
        return known


def _context(row: "Row") -> ForecastContext:
    return ForecastContext(
        symbol=row.symbol,
        event_time=row.as_of,
        # A window of before its price basis was kept has a price that nobody may have traded at.
        reference_price=None if row.price_basis is None else row.reference_price,
        regime=row.regime,
        feature_hash=row.feature_hash,
        feature_table_versions=versions_text(row.table_versions),
        strategy=row.selected_strategy,
        degraded=bool(row.degraded),
        price_basis=row.price_basis,
        currency=row.currency,
    )
