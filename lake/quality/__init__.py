"""Whether the rows of a table satisfy what its spec declares.

- `TableRule`, `rules_of`, `broken_rules`: the rules of a table as values, and those that some rows break
- `check_table`, `check_frame`: all of them as a suite of Great Expectations, with examples of what breaks them
- `QualityReport`, `ExpectationResult`: what was found
- `CheckPass`, `last_pass`, `note_pass`, `forget_passes`: what passed before
- `unchecked_rows`, `unchanged_pass`: what is new since then
"""

from lake.quality.findings import ExpectationResult, QualityReport
from lake.quality.passes import CheckPass, forget_passes, last_pass, note_pass, unchanged_pass, unchecked_rows
from lake.quality.rules import TableRule, broken_rules, rules_of
from lake.quality.suites import check_frame, check_table

__all__ = [
    "CheckPass",
    "ExpectationResult",
    "QualityReport",
    "TableRule",
    "broken_rules",
    "check_frame",
    "check_table",
    "forget_passes",
    "last_pass",
    "note_pass",
    "rules_of",
    "unchanged_pass",
    "unchecked_rows",
]
