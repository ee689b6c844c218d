"""Tables of what is traded: the names of each instrument over time, and who belongs to the market when."""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import EVENT_TIME, FLAG, KNOWN_TIME, SYMBOL, TEXT

SYMBOLS = TableSpec(
    name="symbols",
    layer="clean",
    meaning="Names of each instrument over time: whose a name was on a day.",
    key=("source", "their_symbol", "valid_from"),
    columns=(
        Column(
            "source", TEXT, "", "who uses the name: an adapter, or `declared` for names of the market's declaration"
        ),
        Column("their_symbol", TEXT, "", "the name, in canonical spelling"),
        Column("valid_from", INSTANT, "UTC", "midnight that begins the first day of the name"),
        Column("valid_until", INSTANT, "UTC", "midnight that ends its last day; null while it lasts", nullable=True),
        SYMBOL,
        Column("venue", TEXT, "", "calendar of its sessions"),
        Column("reason", TEXT, "", "why there is a row", allowed=("first_bar", "renamed")),
        EVENT_TIME,
        KNOWN_TIME,
    ),
)


UNIVERSE = TableSpec(
    name="universe",
    layer="clean",
    meaning="Who belongs to a market when. A symbol is a member from a row on that says so, up to one that denies it.",
    key=("universe", "symbol", "event_time", "basis"),
    columns=(
        Column("universe", TEXT, "", "name of the market"),
        SYMBOL,
        EVENT_TIME,
        Column("is_member", FLAG, "", "whether the symbol belongs to the market from then on"),
        KNOWN_TIME,
        Column(
            "basis",
            TEXT,
            "",
            "`coverage`: bars came, or came no more; `declared`: the market says so. Where both speak both must agree",
            allowed=("coverage", "declared"),
        ),
        Column(
            "reason",
            TEXT,
            "",
            "what happened; coverage that ended is no delisting",
            allowed=("first_bar", "coverage_ended", "coverage_resumed", "renamed", "listed", "removed"),
        ),
        Column("source", TEXT, "", "adapter of the bars, or file of the declaration", is_origin=True),
    ),
)
