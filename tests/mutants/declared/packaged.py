"""Packaged markets and economic series: no seam is a return or an action, and no value is known before it is out."""

from mutant import Mutant

LONG, WIDE, MACRO = (f"tests/test_lake/test_{name}.py" for name in ("packaged_long", "packaged_wide", "macro"))
SEAM = f"{LONG}::test_returns_over_the_seam_are_those_of_a_file_that_has_no_seam"

MUTANTS = (
    Mutant(
        "later-file-goes-on-unlinked",
        "Where a later file goes on an earlier one, the return over the seam is the market's.",
        "lake/sources/packaged/segments.py",
        'factors = {"adj_close": 1 / self.link}',
        'factors = {"adj_close": 1.0}',
        (f"{SEAM}[MSFT-file1]",),
    ),
    Mutant(
        "seam-shows-as-a-split",
        "Where a symbol's prices go on in another basis, the change of basis is no split.",
        "lake/refine/actions.py",
        'for name in ("symbol", "price_basis")',
        'for name in ("symbol",)',
        (f"{LONG}::test_no_seam_shows_as_an_action",),
    ),
    Mutant(
        "declared-split-passed-over",
        "A split that a source does not tell is declared, and is no crash.",
        "lake/sources/packaged/wide.py",
        "pl.when(is_after).then(rise)",
        "pl.when(is_after).then(1.0)",
        (f"{WIDE}::test_no_action_is_left_undeclared",),
    ),
    Mutant(
        "vix-known-at-the-close",
        "The VIX and the curve of a day are not known at the close of its session.",
        "lake/sources/packaged/macro.py",
        "VIX_AT, CURVE_AT, CURVE_KNOWN = time(16, 15), time(15, 30), time(18)",
        "VIX_AT, CURVE_AT, CURVE_KNOWN = time(16), time(15, 30), time(16)",
        (f"{MACRO}::test_the_vix_and_the_curve_of_a_day_are_not_known_at_its_close",),
    ),
    Mutant(
        "revision-replaces-the-first-print",
        "A revised value is known from its own release; before it, the first print stands.",
        "lake/refine/macro.py",
        'good.unique(["series", "event_time", "known_time"], keep="first", maintain_order=True)',
        'good.unique(["series", "event_time"], keep="last", maintain_order=True)',
        (f"{MACRO}::test_a_quarter_is_known_as_it_was_told_at_each_instant",),
    ),
    Mutant(
        "series-told-before-the-market-knows",
        "A value that the market does not know yet waits in the raw table.",
        "lake/ingest/macro.py",
        'fresh = lake.read(RAW_MACRO, where=pl.col("known_time") <= read.now, version=read.version)',
        "fresh = lake.read(RAW_MACRO, version=read.version)",
        (f"{MACRO}::test_what_is_not_known_yet_waits_in_the_raw_table",),
    ),
)
