"""Names over time: which instrument a name stood for on a day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from lake.errors import ConfigError
from lake.names.spelling import canonical_symbol

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Rename:
    """An instrument that began to trade under another name.

    Parameters
    ----------
    old, new
        The names, in any spelling that has a canonical one.
    first_day
        First session under the new name.
    symbol
        What the instrument is called in this market; the last of its names unless declared.
    reason
        For a reader, e.g. ``Facebook became Meta Platforms``.
    listed
        First session under the old name, where it is known; another instrument may have had the name before.

    Raises
    ------
    ConfigError
        If a name has no canonical spelling, or both are the same.
    """

    old: str
    new: str
    first_day: date
    symbol: str | None = None
    reason: str = ""
    listed: date | None = None

    def __post_init__(self) -> None:
        names = {role: name for role in ("old", "new", "symbol") if (name := getattr(self, role)) is not None}
        for role, name in names.items():
            if (canonical := canonical_symbol(name)) is None:
                raise ConfigError(f"A rename says {role}: {name!r}, and that is no symbol. Name it as the source does.")
            object.__setattr__(self, role, canonical)
        if self.old == self.new:
            raise ConfigError(f"A rename of {self.first_day} says '{self.old}' for old and new. Name two symbols.")


class NameSpan(NamedTuple):
    """Days on which a name stood for an instrument of the market.

    Parameters
    ----------
    name
        The name it traded by.
    symbol
        The instrument, as the market calls it.
    valid_from, valid_until
        First day, and the first one that is no more of the span; None where the history does not say.
    reason
        Why the name changed.
    """

    name: str
    symbol: str
    valid_from: date | None
    valid_until: date | None
    reason: str = ""

    def covers(self, day: date) -> bool:
        """Whether the name stood for the instrument on a day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day < self.valid_until
        )


class Resolved(NamedTuple):
    """Instrument of a name, with the span that says so; `span` is None where the market declares none of that name."""

    symbol: str
    span: NameSpan | None


@dataclass(frozen=True)
class NameHistory:
    """Names of a market's instruments over time.

    Examples
    --------
    >>> history = NameHistory.of([Rename("FB", "META", date(2022, 6, 9))])
    >>> history.resolve("FB", date(2022, 6, 8)).symbol, history.resolve("META", date(2022, 6, 9)).symbol
    ('META', 'META')
    >>> history.resolve("META", date(2021, 12, 31)) is None  # another fund had the name
    True
    >>> history.resolve("AAPL", date(2021, 12, 31)).symbol  # nothing is declared of it
    'AAPL'
    """

    spans: tuple[NameSpan, ...] = ()

    @classmethod
    def of(cls, renames: Iterable[Rename]) -> "NameHistory":
        """Return the history that renames amount to; those of one instrument follow each other.

        Raises
        ------
        ConfigError
            If two renames contradict each other: one name is given up, or taken, twice on overlapping days.
        """
        chains: list[list[Rename]] = []
        for rename in sorted(renames, key=lambda each: (each.first_day, each.old, each.new)):
            chain = next((c for c in chains if c[-1].new == rename.old and c[-1].first_day < rename.first_day), None)
            if chain is None:
                chains.append([rename])
            else:
                chain.append(rename)
        spans = [span for chain in chains for span in _spans_of(chain)]
        _require_apart(spans)
        return cls(tuple(sorted(spans, key=lambda span: (span.symbol, span.valid_from or date.min))))

    def resolve(self, name: str, at: date) -> Resolved | None:
        """Return the instrument that a name stood for on a day.

        Parameters
        ----------
        name
            In canonical spelling.
        at
            Day of the row that bears the name.

        Returns
        -------
        Resolved or None
            None where the market declares days of the name and this is none of them: another instrument had it. A name
            that nothing is declared of is its own instrument.
        """
        own = [span for span in self.spans if span.name == name]
        if not own:
            return Resolved(name, None)
        span = next((span for span in own if span.covers(at)), None)
        return None if span is None else Resolved(span.symbol, span)

    def former_names(self, symbol: str) -> list[NameSpan]:
        """Return the spans of an instrument under names that differ from the one the market calls it by, in order."""
        return [span for span in self.spans if span.symbol == symbol and span.name != symbol]

    def is_superseded(self, name: str) -> bool:
        """Whether a name is declared, and never for an instrument that the market calls by it."""
        own = [span for span in self.spans if span.name == name]
        return bool(own) and all(span.symbol != name for span in own)

    def resolved(self, name: str = "symbol", at: str = "event_time") -> "pl.Expr":
        """Return the instrument of each row as an expression over its name and its instant; null where unknown.

        A row's day is the date of its instant in UTC, as the sessions of every calendar here close on the day that they
        are called by, or at the midnight that ends it.
        """
        import polars as pl  # here, as a command's help needs none of it

        column, day = pl.col(name), (pl.col(at) - pl.duration(microseconds=1)).dt.date()
        covered = [pl.when(_covers(span, column, day)).then(pl.lit(span.symbol)) for span in self.spans]
        is_declared = column.is_in(sorted({span.name for span in self.spans}))
        return pl.coalesce(*covered, pl.when(~is_declared).then(column)) if self.spans else column


def _spans_of(chain: Sequence[Rename]) -> list[NameSpan]:
    symbol = next((each.symbol for each in reversed(chain) if each.symbol), chain[-1].new)
    spans = [NameSpan(chain[0].old, symbol, chain[0].listed, chain[0].first_day, chain[0].reason)]
    ends: list[date | None] = [each.first_day for each in chain[1:]]
    for rename, end in zip(chain, [*ends, None], strict=True):
        spans.append(NameSpan(rename.new, symbol, rename.first_day, end, rename.reason))
    return spans


def _require_apart(spans: Sequence[NameSpan]) -> None:
    for i, one in enumerate(spans):
        for other in spans[i + 1 :]:
            starts = [each.valid_from or date.min for each in (one, other)]
            ends = [each.valid_until or date.max for each in (one, other)]
            if one.name == other.name and max(starts) < min(ends):
                raise ConfigError(
                    f"The renames of the market give '{one.name}' to {one.symbol} and to {other.symbol} on the same "
                    f"days, from {max(starts)} on. Correct first_day, or say with `listed` since when it had the name."
                )


def _covers(span: NameSpan, name: "pl.Expr", day: "pl.Expr") -> "pl.Expr":
    is_own = name == span.name
    if span.valid_from is not None:
        is_own &= day >= span.valid_from
    if span.valid_until is not None:
        is_own &= day < span.valid_until
    return is_own
