"""Care of a lake: what is wrong with it, what may be deleted, which versions stay, and copies of the home.

- `examine`, `repair`, `undigested`: damaged files of a table, and the way back to its last good version
- `vacuum`, `clean_log`, `maintain_tables`: delete the files of old versions that nobody uses
- `history`, `difference`: the versions of a table, and what changed between two of them
- `pin`, `set_pins`, `unpin`, `pins_in_use`: versions that are in use and stay readable
- `backup`: consistent copies of a home, verified before they are restored; loaded by ``from lake.care import backup``
"""

from lake.care.doctor import Repair, TableFault, examine, repair, undigested
from lake.care.maintenance import (
    Commit,
    VersionDifference,
    clean_log,
    difference,
    history,
    maintain_tables,
    vacuum,
)
from lake.care.pins import InUse, pin, pins_in_use, set_pins, unpin

__all__ = [
    "Commit",
    "InUse",
    "Repair",
    "TableFault",
    "VersionDifference",
    "backup",
    "clean_log",
    "difference",
    "examine",
    "history",
    "maintain_tables",
    "pin",
    "pins_in_use",
    "repair",
    "set_pins",
    "undigested",
    "unpin",
    "vacuum",
]
