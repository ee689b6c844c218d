"""Raw tables: what a source sent, as it was received."""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import COUNT, EVENT_TIME, KNOWN_BASIS, KNOWN_TIME, SERIES, TEXT

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
            allowed=("as_traded", "split_adjusted", "adjusted_close_only"),
        ),
        Column("source", TEXT, "", "adapter that read it"),
        Column("package", TEXT, "", "data package and version, or the address asked"),
        Column("licence", TEXT, "", "licence the data came under"),
        Column("batch_id", TEXT, "", "delivery the row came in"),
        Column("row", COUNT, "", "position in the delivery"),
        Column("received_at", INSTANT, "UTC", "wall-clock time of receipt"),
        EVENT_TIME,
        KNOWN_TIME,
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
        Column("source", TEXT, "", "adapter that read it"),
        Column("package", TEXT, "", "data package and version, or the address asked"),
        Column("licence", TEXT, "", "licence the data came under"),
        Column("batch_id", TEXT, "", "delivery the row came in"),
        Column("row", COUNT, "", "position in the delivery"),
        Column("received_at", INSTANT, "UTC", "wall-clock time of receipt"),
        EVENT_TIME,
        KNOWN_TIME,
    ),
)
