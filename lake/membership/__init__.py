"""Who belongs to a market when, under which names, and what a reader of its figures has to know of that.

- `universe_at`: the members of a market as of an instant; `spells_of`: the same over time
- `update_membership`: brings the tables `universe` and `symbols` up to the stored bars
- `survivorship_of`: how many symbols ever left, as a sentence
- `roster_of`: each symbol with its first and last bar and its former names, for a reader
"""

from lake.membership.declared import read_members
from lake.membership.reading import spells_of, universe_at
from lake.membership.roster import RosterEntry, roster_of
from lake.membership.survivorship import survivorship_of
from lake.membership.updating import update_membership

__all__ = [
    "RosterEntry",
    "read_members",
    "roster_of",
    "spells_of",
    "survivorship_of",
    "universe_at",
    "update_membership",
]
