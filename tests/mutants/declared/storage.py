"""What is stored: once, when it was known, or set aside with its reason; durably, and kept while it is referred to."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        "ingest-year-past-now",
        "Ingest of a named year reads up to the market's now and no further.",
        "lake/ingest.py",
        "after, min(until, clock.now()))",
        "after, until)",
        ("tests/test_lake/test_ingest.py::test_a_named_year_is_read_up_to_now_and_no_further",),
    ),
)
