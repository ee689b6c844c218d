"""Symbols as they are asked for: present names, former ones, and near ones for a name that does not exist."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from lake.errors import UnknownNameError
from lake.names.history import NameHistory, NameSpan
from lake.names.spelling import canonical_symbol


class AskedSymbol(NamedTuple):
    """A name that was asked for, and the symbol that answers.

    Parameters
    ----------
    asked
        As it was asked.
    symbol
        As the market calls the instrument.
    span
        Days of the asked name, where it is not what the market calls the instrument; None where it is.
    """

    asked: str
    symbol: str
    span: NameSpan | None = None

    @property
    def changed_on(self) -> date | None:
        """First day under another name; where the asked name still stands, the first day under it; None if the same."""
        return None if self.span is None else self.span.valid_until or self.span.valid_from

    @property
    def sentence(self) -> str:
        """What a reader is told; empty where nothing is to be told.

        Examples
        --------
        >>> span = NameSpan("FB", "META", None, date(2022, 6, 9), "Facebook became Meta Platforms")
        >>> AskedSymbol("FB", "META", span).sentence
        'FB is META since 2022-06-09 (Facebook became Meta Platforms).'
        >>> AskedSymbol("META", "META").sentence
        ''
        """
        if self.span is None:
            return ""
        why = f" ({self.span.reason})" if self.span.reason else ""
        if self.span.valid_until is None:
            return f"{self.symbol} trades as {self.asked} since {self.span.valid_from}{why}; here it is {self.symbol}."
        return f"{self.asked} is {self.symbol} since {self.span.valid_until}{why}."


class KnownSymbols:
    """The symbols that can be asked for.

    Parameters
    ----------
    symbols
        As the market calls them.
    history
        Their names over time. A name that one of `symbols` bears today is that one's, whoever had it before.

    Examples
    --------
    >>> from lake.names.history import Rename
    >>> known = KnownSymbols(["AAPL", "META"], NameHistory.of([Rename("FB", "META", date(2022, 6, 9))]))
    >>> known.find("FB").symbol, known.find("META").span
    ('META', None)
    >>> known.find("aapl") is None, known.find("aapl", any_spelling=True).symbol
    (True, 'AAPL')
    """

    def __init__(self, symbols: Iterable[str], history: NameHistory) -> None:
        self.symbols = frozenset(symbols)
        newest_last = sorted(history.spans, key=lambda span: span.valid_until or date.max)
        self._former = {span.name: span for span in newest_last if span.symbol in self.symbols}

    def find(self, asked: str, *, any_spelling: bool = False) -> AskedSymbol | None:
        """Return the symbol of a name, or None if there is none.

        Parameters
        ----------
        any_spelling
            Also find a name in lower case, or otherwise not in canonical spelling.
        """
        if asked in self.symbols:
            return AskedSymbol(asked, asked)
        if asked in self._former:
            span = self._former[asked]
            return AskedSymbol(asked, span.symbol, span)
        canonical = canonical_symbol(asked) if any_spelling else None
        return self.find(canonical) if canonical is not None and canonical != asked else None

    def require(self, asked: Sequence[str]) -> list[AskedSymbol]:
        """Return the symbol of each name.

        Raises
        ------
        UnknownNameError
            Naming every one that there is not.
        """
        found = [self.find(name) for name in asked]
        unknown = [name for name, each in zip(asked, found, strict=True) if each is None]
        if unknown:
            raise UnknownNameError("symbol", unknown[0], self.symbols, others=unknown[1:])
        return [each for each in found if each is not None]
