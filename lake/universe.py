"""Which instruments there are, and which index stands for the market."""

from dataclasses import dataclass
from typing import Literal

MARKET = "^GSPC"
"""The S&P 500: context for every feature that needs a market; never forecast."""

Quality = Literal["full", "close_only"]


@dataclass(frozen=True)
class Instrument:
    """One instrument of the packaged market."""

    symbol: str
    name: str
    quality: Quality


INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("AAPL", "Apple", "full"),
    Instrument("AMZN", "Amazon.com", "full"),
    Instrument("GOOG", "Alphabet (class A, then GOOG)", "full"),
    Instrument("IBM", "IBM", "full"),
    Instrument("META", "Meta Platforms (then FB)", "full"),
    Instrument("MSFT", "Microsoft", "full"),
    Instrument("NVDA", "NVIDIA", "full"),
    Instrument("AMD", "Advanced Micro Devices", "close_only"),
    Instrument("BAC", "Bank of America", "close_only"),
    Instrument("BBY", "Best Buy", "close_only"),
    Instrument("CVX", "Chevron", "close_only"),
    Instrument("GE", "General Electric", "close_only"),
    Instrument("HD", "Home Depot", "close_only"),
    Instrument("JNJ", "Johnson & Johnson", "close_only"),
    Instrument("JPM", "JPMorgan Chase", "close_only"),
    Instrument("KO", "Coca-Cola", "close_only"),
    Instrument("LLY", "Eli Lilly", "close_only"),
    Instrument("MRK", "Merck", "close_only"),
    Instrument("PEP", "PepsiCo", "close_only"),
    Instrument("PFE", "Pfizer", "close_only"),
    Instrument("PG", "Procter & Gamble", "close_only"),
    Instrument("RRC", "Range Resources", "close_only"),
    Instrument("UNH", "UnitedHealth", "close_only"),
    Instrument("WMT", "Walmart", "close_only"),
    Instrument("XOM", "Exxon Mobil", "close_only"),
)

SYMBOLS: tuple[str, ...] = tuple(sorted(instrument.symbol for instrument in INSTRUMENTS))
