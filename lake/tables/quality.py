"""Tables of data quality: how far sources agree, what looks odd, and a score for each source and session."""

from lake.spec import Column, TableSpec
from lake.tables.columns import CAUSAL, COUNT, EVENT_TIME, KNOWN_TIME, REAL, SYMBOL, TEXT

AGREEMENT = TableSpec(
    name="agreement",
    layer="clean",
    meaning=(
        "How far the sources of a bar agree, on changes from the bar before, which no price basis enters: returns "
        "within 5 bp, ratios of volumes within 2 %. Only bars that several sources have."
    ),
    key=("symbol", "event_time", "field"),
    by_year=True,
    tolerance=1e-9,
    ordered=(CAUSAL, ("agreeing", "sources")),
    columns=(
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        Column("field", TEXT, "", "what is compared", allowed=("close", "volume")),
        Column("sources", COUNT, "", "sources that have this bar and the one before it", minimum=2),
        Column("agreeing", COUNT, "", "of these, within the bound of the chosen one, which counts itself", minimum=1),
        Column("spread_bp", REAL, "bp", "between the largest and the smallest change", minimum=0),
        Column("chosen", TEXT, "", "source that gives the bar"),
    ),
)

FINDINGS = TableSpec(
    name="findings",
    layer="clean",
    meaning="Bars that look odd, flagged and kept as they are: a finding changes no value.",
    key=("table", "symbol", "event_time", "rule"),
    by_year=True,
    tolerance=1e-9,
    ordered=(CAUSAL,),
    columns=(
        Column("table", TEXT, "", "table of the row"),
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        Column("rule", TEXT, "", "what is odd", allowed=("extreme_return", "extreme_volume", "stale_close")),
        Column(
            "value",
            REAL,
            "",
            "distance from the median in scaled median deviations; multiple of the median volume; closes in a row that "
            "are equal",
        ),
        Column("source", TEXT, "", "source that gave the bar", is_origin=True),
    ),
)

QUALITY_SCORES = TableSpec(
    name="quality_scores",
    layer="clean",
    meaning="How good what each source delivered for a session is, from 0 to 1: the product of its parts.",
    key=("source", "table", "event_time"),
    by_year=True,
    tolerance=1e-9,
    ordered=(CAUSAL,),
    columns=(
        Column("source", TEXT, "", "source of the rows"),
        Column("table", TEXT, "", "table that they were meant for"),
        Column("event_time", EVENT_TIME.dtype, "UTC", "close of the session"),
        Column("known_time", KNOWN_TIME.dtype, "UTC", "when the last of its rows was known"),
        Column(
            "expected", COUNT, "symbols", "symbols that the source had in this or the 20 sessions before", minimum=0
        ),
        Column("came", COUNT, "symbols", "symbols of which it has a row of the session", minimum=0),
        Column("refused", COUNT, "rows", "rows of the session in quarantine", minimum=0),
        *(
            Column(name, REAL, "fraction", meaning, minimum=0, maximum=1, nullable=nullable)
            for name, meaning, nullable in (
                ("completeness", "came / expected", False),
                ("validity", "share of its rows that were not refused", False),
                (
                    "timeliness",
                    "share of its symbols known within a day of the close, or what the market says; 0 where none came",
                    False,
                ),
                ("agreement", "share of the bars on which all sources agree; null for one source", True),
                ("score", "product of the parts that there are", False),
            )
        ),
    ),
)
