"""From the forecast log to the lake, and what can be proved of a forecast afterwards."""

from mutant import Mutant

QUARANTINE = "tests/test_serving/test_log_quarantine.py"
PRUNING = "tests/test_serving/test_log_pruning.py"
DIGEST = "tests/test_serving/test_drain_digest.py"
DAMAGED = "tests/test_serving_feedback/test_damaged_forecasts.py"
FORGED = "tests/test_serving/test_receipts_forged.py"

MUTANTS = (
    Mutant(
        "drain-lets-damaged-rows-in",
        "A logged forecast that does not fit its seal never reaches the lake.",
        "serving/forecast_log/draining.py",
        "verdicts = [(row, verify_logged(row)) for row in rows]",
        'verdicts = [(row, verify_logged(row)._replace(fault="")) for row in rows]',
        (f"{QUARANTINE}::test_a_flipped_bit_on_the_disk_is_noticed_and_stops_no_other_row",),
    ),
    Mutant(
        "drain-drops-refused-rows",
        "A logged forecast that is not let into the lake is kept in quarantine with the reason.",
        "serving/forecast_log/draining.py",
        "    quarantine.put(configured, file, refused)\n",
        "",
        (f"{QUARANTINE}::test_a_flipped_bit_on_the_disk_is_noticed_and_stops_no_other_row",),
    ),
    Mutant(
        "drain-ignores-seal-of-row",
        "Every bit of a logged row is covered by the seal of its receipt.",
        "serving/forecast_log/verifying.py",
        'if receipt["row"] != row_digest(row):',
        "if False:",
        (f"{QUARANTINE}::test_every_bit_of_row_answer_and_receipt_is_covered",),
    ),
    Mutant(
        "prune-without-asking-the-lake",
        "A forecast leaves the log only where the lake holds it.",
        "serving/forecast_log/pruning.py",
        "held = _held(lake, stored)",
        "held = {row.forecast_id for row in stored}",
        (f"{PRUNING}::test_a_row_that_the_lake_does_not_hold_waits_again_instead_of_being_deleted",),
    ),
    Mutant(
        "prune-loses-receipts",
        "A forecast leaves the log only where the lake holds its receipt, too.",
        "serving/forecast_log/pruning.py",
        "if row.forecast_id in forecasts and (row.forecast_id in receipts or not row.has_receipt)",
        "if row.forecast_id in forecasts",
        (f"{PRUNING}::test_a_row_that_the_lake_does_not_hold_waits_again_instead_of_being_deleted",),
    ),
    Mutant(
        "withdrawn-forecast-still-read",
        "A withdrawn forecast is part of no figure.",
        "lake/store/withdrawals.py",
        "if not spec.withdrawable:",
        "if True:",
        (f"{DAMAGED}::test_a_withdrawn_forecast_is_out_of_every_figure_also_after_its_outcome",),
    ),
    Mutant(
        "drain-not-on-the-chain",
        "What was drained is written down on the audit chain.",
        "serving/forecast_log/draining.py",
        "    drain_digest.record(lake, rows, receipts)\n",
        "",
        (f"{DIGEST}::test_each_drain_leaves_a_row_on_the_audit_chain",),
    ),
    Mutant(
        "drained-row-unchecked",
        "A forecast that was replaced after it was drained is named.",
        "serving/receipts/drain_digest.py",
        """return _digest(content) == line and f'"row":"{row_digest(row)}"' in content""",
        "return _digest(content) == line",
        (f"{DIGEST}::test_a_row_replaced_alone_is_named",),
    ),
    Mutant(
        "drained-batch-unchecked",
        "The list of a drained batch is held to its digest on the audit chain.",
        "serving/receipts/drain_digest.py",
        "if digest_of(text) != self.digest:",
        "if False:",
        (f"{DIGEST}::test_a_spoilt_file_of_a_batch_is_named",),
    ),
    Mutant(
        "answer-not-derived",
        "A replay derives the answer from row and receipt, and names every field that differs.",
        "serving/replay/answered.py",
        "    if not (isinstance(derived, dict) and isinstance(sent, dict)):\n        if derived != sent:",
        "    if not (isinstance(derived, dict) and isinstance(sent, dict)):\n        if not sent:",
        (f"{FORGED}::test_every_field_of_an_answer_is_compared",),
    ),
)
