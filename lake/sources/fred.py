"""FRED and its archive ALFRED: economic series with every vintage, so that a revision is known from its own day.

`read_vintages` returns the vintages of some series as a frame, `pull` as rows of `raw_macro`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, ClassVar, Literal

import polars as pl

from lake.errors import AuthError, ContractError, SourceError, UnknownSymbolError
from lake.sources.http import VINTAGES, Ask, Auth, Digits, Fetcher, HttpAnswer, HttpRequest, Limit, Page, Terms
from lake.sources.http.fields import day, note_of_ignored, number, required, unknown
from lake.sources.macro import MacroBatch, as_received_series, last_days, released

DATES, OBSERVATIONS = "/fred/series/vintagedates", "/fred/series/observations"
OPEN_END = date(9999, 12, 31)
MOST_DATES, MOST_ROWS = 10_000, 100_000
WINDOW = 1_900
"""Vintages of one query; the service refuses more than 2,000."""
A_DAY = timedelta(days=1)
DOCUMENTED = (
    *("realtime_start", "realtime_end", "observation_start", "observation_end", "units", "output_type", "file_type"),
    *("order_by", "sort_order", "count", "offset", "limit", "vintage_dates", "observations"),
)
"""Fields of an answer; any other is named in the notes of a delivery, and ignored."""
BAD_REQUEST = 400


class Fred:
    """The series service of the Federal Reserve Bank of St. Louis."""

    name: ClassVar[str] = "fred"
    title: ClassVar[str] = "FRED (ALFRED)"
    base_url: ClassVar[str] = "https://api.stlouisfed.org"
    auth: ClassVar[Auth | None] = Auth("FRED_API_KEY", "query", "api_key")
    limits: ClassVar[tuple[Limit, ...]] = (Limit(120, 60, "fred-key"),)
    terms: ClassVar[Terms] = Terms(
        "FRED terms of use", "Its terms restrict storage and the training of models; series of others are theirs."
    )
    basis: ClassVar[Literal["as_traded", "split_adjusted"]] = "as_traded"
    caveats: ClassVar[tuple[str, ...]] = ()
    lookback: ClassVar[timedelta] = timedelta(0)
    delay: ClassVar[timedelta] = timedelta(0)

    def plan(self, ask: Ask) -> Iterator[HttpRequest]:
        """Return the question for the vintage dates of each series; its answer names the questions for the values."""
        for series in ask.symbols:
            yield _dates(series, 0)

    def parse(self, answer: HttpAnswer) -> Page:
        """Return the values of a page of vintages, or the windows of vintages to ask for.

        Windows overlap by one vintage: an answer says of each value that it holds from the window's own start at the
        earliest, so the rows at a seam can be told from revisions only by what the window before says of it.
        """
        content = answer.json()
        params, series = answer.request.params, answer.request.subject
        count, offset = (int(required(content, name, Digits)) for name in ("count", "offset"))
        ignored = unknown(content, DOCUMENTED)
        if answer.request.path == DATES:
            dates = [day(text, "vintage_dates") for text in required(content, "vintage_dates", list)]
            read = _read(offset, len(dates), count)
            following = [*_windows(series, dates, is_last=read >= count)]
            if read < count:
                following.append(_dates(series, read - 1))
            return Page(following=tuple(following), ignored=ignored)
        rows = required(content, "observations", list)
        vintages = [_vintage(series, row, params["realtime_start"]) for row in rows]
        read = _read(offset, len(rows), count)
        further = HttpRequest(series, OBSERVATIONS, {**params, "offset": str(read)}) if read < count else None
        return Page(vintages=pl.DataFrame(vintages, schema=VINTAGES), next=further, ignored=ignored)

    def refusal(self, answer: HttpAnswer) -> SourceError | None:
        """A 400 says in JSON whether the series or the key is the reason."""
        if answer.status != BAD_REQUEST:
            return None
        text = required(answer.json(), "error_message", str)
        if "does not exist" in text:
            return UnknownSymbolError(f"There is no series '{answer.request.subject}': {text}")
        kind = AuthError if "api_key" in text else ContractError
        return kind(f"{answer.request} was answered with: {text}")


def read_vintages(fetcher: Fetcher, series: Sequence[str]) -> pl.DataFrame:
    """Return every vintage of some series.

    Returns
    -------
    pl.DataFrame
        Columns of `VINTAGES`, then ``known_time`` and ``known_basis``, sorted by series, period and vintage. ``value``
        is text as sent, null where a vintage withdrew it. A row that repeats the value before it is left out: it is the
        seam of two windows. Rows of the first vintage are ``assumed``: the archive begins there, the values are older.

    Raises
    ------
    SourceError
        Of any series: nothing is returned in part.
    """
    return _vintages(_gather(fetcher, series))


@dataclass
class _Gathered:
    """What the pages of one delivery said."""

    frames: list[pl.DataFrame] = field(default_factory=lambda: [pl.DataFrame(schema=VINTAGES)])
    ignored: set[str] = field(default_factory=set)
    requests: int = 0


def _gather(fetcher: Fetcher, series: Sequence[str]) -> _Gathered:
    gathered, today = _Gathered(), fetcher.clock.now().date()
    for request in Fred().plan(Ask(tuple(series), date.min, today, today)):
        for answer, page in fetcher.pages(request):
            _require_past(answer, page)
            gathered.frames.append(page.vintages)
            gathered.ignored.update(page.ignored)
            gathered.requests += 1
    return gathered


def _require_past(answer: HttpAnswer, page: Page) -> None:
    """Refuse a release of a day that has not come: by our clock or the vendor's, one of the two is wrong."""
    latest: date | None = page.vintages.select(pl.col("vintage_date").max()).item()
    if latest is not None and latest > (answer.received_at + A_DAY).date():
        raise ContractError(
            f"{Fred.title}: {answer.request} holds a vintage of {latest}, received on "
            f"{answer.received_at:%Y-%m-%d %H:%M} UTC. Check the clock of this machine; if it is right, the vendor's "
            "answer is wrong."
        )


def _vintages(gathered: _Gathered) -> pl.DataFrame:
    frames = gathered.frames
    told = pl.concat(frames).sort("series", "period", "vintage_date", maintain_order=True)
    told = told.unique(["series", "period", "vintage_date"], keep="first", maintain_order=True)
    begins = pl.col("vintage_date").min().over("series")
    place = pl.int_range(pl.len()).over("series", "period")
    is_new = (place == 0) | pl.col("value").ne_missing(pl.col("value").shift(1).over("series", "period"))
    kept = told.with_columns((pl.col("is_clamped") & (pl.col("vintage_date") == begins)).alias("is_first")).filter(
        is_new
    )
    known = [released(name, vintage) for name, vintage in kept["series", "vintage_date"].iter_rows()]
    return kept.with_columns(
        pl.Series("known_time", known, dtype=pl.Datetime("us", "UTC")),
        pl.when("is_first").then(pl.lit("assumed")).otherwise(pl.lit("scheduled")).alias("known_basis"),
    ).drop("is_clamped", "is_first")


def pull(fetcher: Fetcher, series: Sequence[str]) -> MacroBatch:
    """Return every vintage of some series as one delivery of economic values; errors as of `read_vintages`."""
    gathered = _gather(fetcher, series)
    vintages = _vintages(gathered)
    rows = vintages.with_columns(
        pl.col("period", "vintage_date").cast(pl.String),
        pl.lit(fetcher.base_url.host).alias("package"),
        pl.lit(Fred.terms.licence).alias("licence"),
        last_days(vintages["series"], vintages["period"]),
    ).rename({"vintage_date": "vintage"})
    received = fetcher.clock.now()
    batch_id = f"{Fred.name}:{received:%Y%m%dT%H%M%S%f}"
    return MacroBatch(
        batch_id,
        as_received_series(rows, Fred.name, batch_id, received),
        tuple(series),
        gathered.requests,
        tuple(note_of_ignored(Fred.title, gathered.ignored)),
    )


def _read(offset: int, came: int, count: int) -> int:
    """Return how many of the values were read; a page without any of those that remain would lose them unseen."""
    if not came and offset < count:
        raise ContractError(
            f"The answer holds nothing after the first {offset} values, and says that there are {count}."
        )
    return offset + came


def _dates(series: str, offset: int) -> HttpRequest:
    params = {"series_id": series, "limit": str(MOST_DATES), "offset": str(offset), "file_type": "json"}
    return HttpRequest(series, DATES, params)


def _windows(series: str, dates: Sequence[date], *, is_last: bool) -> Iterator[HttpRequest]:
    """Return one question per `WINDOW` vintages, each beginning with the last vintage of the one before."""
    for start in range(0, max(len(dates) - 1, 1) if dates else 0, WINDOW - 1):
        end = min(start + WINDOW - 1, len(dates) - 1)
        until = OPEN_END if is_last and end == len(dates) - 1 else dates[end]
        span = {"realtime_start": str(dates[start]), "realtime_end": str(until)}
        paging = {"limit": str(MOST_ROWS), "offset": "0", "file_type": "json"}
        yield HttpRequest(series, OBSERVATIONS, {"series_id": series, **span, **paging})


def _vintage(series: str, row: dict[str, Any], window_start: str) -> dict[str, object]:
    begins = required(row, "realtime_start", str)
    return {
        "series": series,
        "period": day(required(row, "date", str), "date"),
        "vintage_date": day(begins, "realtime_start"),
        "value": number(row, "value", str),
        "is_clamped": begins == window_start,
    }
