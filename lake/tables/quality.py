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
