"""Names in requests to symbols: a former name is answered for the symbol that it became, and the answer says so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lake.names import AskedSymbol, KnownSymbols
from serving import api

if TYPE_CHECKING:
    from lake.market import Market
    from serving.predict import Predictor


class AskedNames:
    """Names that the instruments of a market had, or have elsewhere, besides what the market calls them.

    Parameters
    ----------
    predictor
        Says which symbols there are; asked only where one of those names is.
    """

    def __init__(self, predictor: "Predictor") -> None:
        market: Market = predictor.logged.configured.declared_market
        self._predictor, self._history = predictor, market.names
        self._others = frozenset(span.name for span in self._history.spans)

    def may_be_another(self, name: str) -> bool:
        """Whether a name may be another symbol's; no answer is looked up for that."""
        return name in self._others

    def find(self, names: Sequence[str]) -> list[AskedSymbol]:
        """Return the symbol of each name; a name that there is not stays as it is, for others to refuse."""
        if self._others.isdisjoint(names):
            return [AskedSymbol(name, name) for name in names]
        known = KnownSymbols(self._predictor.symbols(), self._history)
        return [known.find(name) or AskedSymbol(name, name) for name in names]


def told(text: str, asked: AskedSymbol) -> str:
    """Return the text of an answer with what is told of the asked name.

    The name belongs to the question: the forecast that is logged, its receipt and its replay know the symbol alone.
    """
    found = api.AskedName.of(asked)
    return text if found is None else f'{text[:-1]},"asked":{found.model_dump_json()}}}'
