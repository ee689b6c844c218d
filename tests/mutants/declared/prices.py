"""Prices that forecasts are quoted in: as traded, or none; sealed, and made again."""

from mutant import Mutant

PRICES = "tests/test_lake/test_prices_as_traded.py"
RECEIPTS = "tests/test_serving/test_prices_in_receipts.py"

MUTANTS = (
    Mutant(
        "price-in-later-shares",
        "A price stated in the shares of later splits is brought back to the shares of its day.",
        "lake/refine/bars.py",
        ".then(close * later)",
        ".then(close)",
        ("tests/test_lake/test_vintages.py::test_prices_as_traded_are_those_of_the_market_at_any_pace",),
    ),
    Mutant(
        "price-split-on-its-own-day",
        "A split counts for the sessions before its ex-date, not for that of the ex-date.",
        "lake/sources/splits.py",
        'pl.col("ex_date") > pl.col("session")',
        'pl.col("ex_date") >= pl.col("session")',
        (f"{PRICES}::test_shares_of_a_session_multiply_by_the_splits_after_it_alone",),
    ),
    Mutant(
        "price-without-todays-splits",
        "Of a vendor in today's shares the splits are asked for up to today, also where the bars end earlier.",
        "lake/sources/http/pulling.py",
        'if self._connector.basis == "split_adjusted" else last',
        "if False else last",
        ("tests/test_lake/test_http_sources.py::test_prices_of_the_past_are_brought_back_by_the_splits_up_to_today",),
    ),
    Mutant(
        "price-of-adjusted-close",
        "A forecast has no price where the source tells adjusted closes only.",
        "feature_repo/targets/prices.py",
        'price = pl.col("close_traded")',
        'price = pl.coalesce("close_traded", "close")',
        (f"{PRICES}::test_a_forecast_starts_from_a_price_as_traded_or_from_none",),
    ),
    Mutant(
        "target-session-of-days",
        "The session in which a horizon ends is the calendar's, not so many days or bars later.",
        "lake/calendars.py",
        "    return dates[place] if place < len(dates) else None",
        "    return (close + timedelta(days=horizon)).date()",
        (f"{PRICES}::test_a_target_session_is_the_calendars",),
    ),
    Mutant(
        "stated-actions-again",
        "A split or dividend that is stated again in the same words is stored once.",
        "lake/ingest/stating.py",
        'stored, on=STATED, how="anti", nulls_equal=True',
        'stored.clear(), on=STATED, how="anti", nulls_equal=True',
        (f"{PRICES}::test_an_action_told_again_is_no_news",),
    ),
    Mutant(
        "seal-without-prices",
        "What a forecast says of its prices is under its seal.",
        "serving/receipts/seals.py",
        "if priced != UNPRICED:",
        "if False:",
        (f"{RECEIPTS}::test_what_is_said_of_prices_is_under_the_seal",),
    ),
    Mutant(
        "replay-target-session-unchecked",
        "A replay holds the session in which the horizon ends to the calendar.",
        "serving/replay/recompute.py",
        'if stored != remade["target_session"]:',
        "if False:",
        (f"{RECEIPTS}::test_a_replay_names_a_session_that_is_not_the_calendars",),
    ),
    Mutant(
        "replay-price-unchecked",
        "A replay holds the price of a forecast to the bar as it was traded.",
        "serving/replay/recompute.py",
        'if price != row["reference_price"]:',
        "if False:",
        (f"{RECEIPTS}::test_the_price_of_a_forecast_is_judged_by_the_rule_of_its_time",),
    ),
)
