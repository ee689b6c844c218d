"""Clean tables: one row per fact and time, and the rows that were refused."""

from lake.spec import Column, TableSpec
from lake.tables.columns import (
    CAUSAL,
    COUNT,
    DATE,
    EVENT_TIME,
    KNOWN_BASIS,
    KNOWN_BASIS_IF_SAID,
    KNOWN_TIME,
    PRICE_BASES,
    REAL,
    SERIES,
    SYMBOL,
    TEXT,
)


def _price(name: str, meaning: str, *, nullable: bool = True) -> Column:
    return Column(name, REAL, "currency", meaning, nullable=nullable, positive=True)


BARS = TableSpec(
    name="bars",
    layer="clean",
    meaning="Daily bars on one split- and dividend-adjusted basis per symbol, unadjusted close kept.",
    key=("symbol", "event_time"),
    by_year=True,
    tolerance=1e-12,
    ordered=(CAUSAL, ("low", "open"), ("low", "close"), ("open", "high"), ("close", "high")),
    columns=(
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        _price("open", "adjusted open; null where the source has closes only"),
        _price("high", "adjusted high; null where the source has closes only"),
        _price("low", "adjusted low; null where the source has closes only"),
        _price("close", "close adjusted for splits and dividends", nullable=False),
        Column(
            "volume",
            REAL,
            "shares",
            "volume on the basis of close: close x volume is the money traded",
            nullable=True,
            minimum=0,
        ),
        _price("close_unadjusted", "close as the source states it before adjustment; null for close-only sources"),
        Column(
            "volume_unadjusted",
            REAL,
            "shares",
            "volume of the same basis as close_unadjusted",
            nullable=True,
            minimum=0,
        ),
        Column("quality", TEXT, "", "what the bar can support", allowed=("full", "close_only")),
        Column("source", TEXT, "", "adapter that read it", is_origin=True),
        Column("batch_id", TEXT, "", "delivery the row came in", is_origin=True),
        Column(
            "price_basis",
            TEXT,
            "",
            "what the source did to close_unadjusted; null in rows from before it was kept",
            nullable=True,
            allowed=PRICE_BASES,
        ),
        _price("close_traded", "close at which shares changed hands that day; null where the source does not tell it"),
        KNOWN_BASIS_IF_SAID,
    ),
)


ACTIONS = TableSpec(
    name="actions",
    layer="clean",
    meaning="Splits and dividends, as they show in the adjustment factors.",
    key=("symbol", "event_time", "kind"),
    columns=(
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        Column("kind", TEXT, "", "kind of corporate action", allowed=("split", "dividend")),
        Column("ratio", REAL, "", "new shares per old share; 1 for a dividend or a withdrawn split", positive=True),
        Column(
            "amount",
            REAL,
            "currency",
            "dividend per share of the unadjusted close; 0 if withdrawn, null for a split",
            nullable=True,
        ),
        Column("source", TEXT, "", "where it was seen", is_origin=True),
    ),
)


MACRO = TableSpec(
    name="macro",
    layer="clean",
    meaning="Economic series with every vintage: a revised value is a further row, known from its own release on.",
    key=("series", "event_time"),
    ordered=(CAUSAL,),
    columns=(
        SERIES,
        EVENT_TIME,
        KNOWN_TIME,
        Column(
            "value",
            REAL,
            "as the source states",
            "value of the period; null where the source withdrew it",
            nullable=True,
        ),
        Column("period", DATE, "", "date by which the source names the period: its first day, or the day itself"),
        Column("vintage_date", DATE, "", "date of the release, where there is one", nullable=True, is_origin=True),
        KNOWN_BASIS,
        Column("source", TEXT, "", "adapter that read it", is_origin=True),
        Column("batch_id", TEXT, "", "delivery the row came in", is_origin=True),
    ),
)


QUARANTINE = TableSpec(
    name="quarantine",
    layer="clean",
    meaning="Rows that were refused, as received, with the reason.",
    key=("table", "batch_id", "row"),
    restates=False,
    ordered=(),
    columns=(
        Column("table", TEXT, "", "table the row was meant for"),
        Column("batch_id", TEXT, "", "delivery the row came in"),
        Column("row", COUNT, "", "position in the delivery"),
        Column("reason", TEXT, "", "rule the row breaks, e.g. high_below_low"),
        Column("content", TEXT, "", "the row as received, as JSON"),
        EVENT_TIME,
        KNOWN_TIME,
    ),
)
