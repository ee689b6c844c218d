"""Raw tables: what a source sent, as it was received, and what each was asked and answered."""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import (
    COUNT,
    EVENT_TIME,
    KNOWN_BASIS,
    KNOWN_BASIS_IF_SAID,
    KNOWN_TIME,
    PRICE_BASES,
    SERIES,
    TEXT,
)

ANSWERS = (
    "answered",
    "silent",
    "outage",
    "throttled",
    "quota",
    "auth",
    "entitlement",
    "unknown_symbol",
    "contract",
    "failed",
)
"""What may come of asking a source: rows, none of a span that was covered, or a kind of `lake.errors.SourceError`."""

AS_DELIVERED = (
    Column("source", TEXT, "", "adapter that read it"),
    Column("package", TEXT, "", "data package and version, or the address asked"),
    Column("licence", TEXT, "", "licence the data came under"),
    Column("batch_id", TEXT, "", "delivery the row came in"),
    Column("row", COUNT, "", "position in the delivery"),
    Column("received_at", INSTANT, "UTC", "wall-clock time of receipt"),
)
"""Where a row came from."""

RAW_BARS = TableSpec(
    name="raw_bars",
    layer="raw",
    meaning="Daily bars exactly as a source sent them, values as text.",
    key=("batch_id", "row"),
    restates=False,
    by_year=True,
    ordered=(),
    columns=(
        Column("symbol", TEXT, "", "symbol as received", nullable=True),
        Column("stamp", TEXT, "", "ISO time of the close as received, with its zone", nullable=True),
        *(
            Column(name, TEXT, "", f"{name} as received", nullable=True)
            for name in ("open", "high", "low", "close", "adj_close", "volume")
        ),
        Column(
            "price_basis",
            TEXT,
            "",
            "what the source did to its prices",
            allowed=PRICE_BASES,
        ),
        *AS_DELIVERED,
        EVENT_TIME,
        KNOWN_TIME,
        Column(
            "later_splits",
            TEXT,
            "",
            "new shares per share of that session by all splits since, in whose shares the prices are stated; null "
            "where the source does not say",
            nullable=True,
        ),
        KNOWN_BASIS_IF_SAID,
    ),
)

RAW_ACTIONS = TableSpec(
    name="raw_actions",
    layer="raw",
    meaning="Splits and dividends exactly as a source stated them, values as text.",
    key=("batch_id", "row"),
    restates=False,
    ordered=(),
    columns=(
        Column("symbol", TEXT, "", "symbol as received"),
        Column("ex_date", TEXT, "", "first session without the right to it, as ISO date"),
        Column("kind", TEXT, "", "what it is", allowed=("split", "dividend", "capital_gain")),
        Column("ratio", TEXT, "", "new shares per old share of a split, as received", nullable=True),
        Column("amount", TEXT, "currency", "per share of a payment, as received", nullable=True),
        Column("currency", TEXT, "", "of the amount, where it is stated", nullable=True),
        Column(
            "price_basis",
            TEXT,
            "",
            "shares that the amount is per, in the words of raw_bars",
            allowed=("as_traded", "split_adjusted"),
        ),
        Column("source", TEXT, "", "adapter that read it"),
        Column("batch_id", TEXT, "", "delivery it came in"),
        Column("row", COUNT, "", "position in the delivery"),
        Column("received_at", INSTANT, "UTC", "wall-clock time of receipt"),
        Column("event_time", INSTANT, "UTC", "midnight UTC at which the ex-date begins"),
        KNOWN_TIME,
        KNOWN_BASIS_IF_SAID,
    ),
)

RAW_MACRO = TableSpec(
    name="raw_macro",
    layer="raw",
    meaning="Values of economic series exactly as a source sent them, every vintage a row, values as text.",
    key=("batch_id", "row"),
    restates=False,
    ordered=(),
    columns=(
        SERIES,
        Column("period", TEXT, "", "date by which the source names the period, as received"),
        Column("value", TEXT, "", "value as received; null where the source says that there is none", nullable=True),
        Column("vintage", TEXT, "", "date of the release that told it, where the source says", nullable=True),
        KNOWN_BASIS,
        *AS_DELIVERED,
        EVENT_TIME,
        KNOWN_TIME,
    ),
)

DELIVERIES = TableSpec(
    name="deliveries",
    layer="raw",
    meaning=(
        "What each source was asked and what came of it: tells a span that was covered and silent from one that nobody "
        "asked for. No cursor: whatever is lost of it is asked again, and nothing else is."
    ),
    key=("source", "table", "subject", "event_time", "received_at"),
    restates=False,
    columns=(
        Column("source", TEXT, "", "source that was asked"),
        Column("table", TEXT, "", "table that the rows were meant for"),
        Column("subject", TEXT, "", "symbol that was asked for; `*` for all that the source has, in one question"),
        Column("since", INSTANT, "UTC", "begin of the span, excluded; null: the source's beginning", nullable=True),
        Column("outcome", TEXT, "", "what came of it", allowed=ANSWERS),
        Column("reason", TEXT, "", "sentence of the failure; null where there is none", nullable=True),
        Column("rows", COUNT, "", "rows that came", minimum=0),
        Column("stored", COUNT, "", "rows of them that said something new and were stored", minimum=0),
        Column(
            "requests",
            COUNT,
            "",
            "requests of the whole delivery, all its subjects together; null where no network is asked",
            nullable=True,
            minimum=0,
        ),
        Column("batch_id", TEXT, "", "delivery that the stored rows came in", nullable=True),
        Column("received_at", INSTANT, "UTC", "wall-clock time of receipt"),
        Column("event_time", INSTANT, "UTC", "end of the span that was asked for"),
        Column("known_time", INSTANT, "UTC", "market time at which it was asked"),
    ),
)
