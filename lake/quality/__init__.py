"""Whether the rows of a table satisfy what its spec declares.

- `TableRule`, `RuleKind`, `rules_of`, `kinds_of`: the rules of a table as values, and their kinds
- `broken_rules`, `rows_that_break`: the rules that some rows break, and those rows in words
- `is_outside`: whether a value breaks the bounds of its column
- `command_of`: the command that shows a row
- `check_table`, `check_frame`: all of them as a suite of Great Expectations, with examples of what breaks them
- `QualityReport`, `ExpectationResult`: what was found
- `CheckPass`, `last_pass`, `note_pass`, `forget_passes`: what passed before
- `unchecked_rows`, `unchanged_pass`: what is new since then
"""

from lake.quality.broken_rows import command_of, rows_that_break
from lake.quality.findings import ExpectationResult, QualityReport
from lake.quality.passes import CheckPass, forget_passes, last_pass, note_pass, unchanged_pass, unchecked_rows
from lake.quality.rules import RuleKind, TableRule, broken_rules, is_outside, kinds_of, rules_of
from lake.quality.suites import check_frame, check_table

__all__ = [
    "CheckPass",
    "ExpectationResult",
    "QualityReport",
    "RuleKind",
    "TableRule",
    "broken_rules",
    "check_frame",
    "check_table",
    "command_of",
    "forget_passes",
    "is_outside",
    "kinds_of",
    "last_pass",
    "note_pass",
    "rows_that_break",
    "rules_of",
    "unchanged_pass",
    "unchecked_rows",
]
