"""What a forecast is made from, and what an answer says."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        "expired-input-forecast",
        "A row past its time to live is no input of a forecast.",
        "serving/rows.py",
        "elif batch.expired[i]:",
        "elif False:",
        ("tests/test_serving/test_rows.py::test_a_row_past_its_time_to_live_is_no_input_of_a_forecast",),
    ),
)
