"""Sentences as writers hand them in, before any check."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Draft:
    """One sentence that claims to follow from cited facts and passages.

    Parameters
    ----------
    text
        One sentence. Words of a passage stand in double quotation marks.
    fact_ids, source_ids
        Facts and passages that it cites.
    """

    text: str
    fact_ids: tuple[str, ...] = ()
    source_ids: tuple[str, ...] = ()
