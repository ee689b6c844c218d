"""Which instruments there are, and which index stands for the market."""

from dataclasses import dataclass
from typing import Literal

MARKET = "^GSPC"
"""The S&P 500: context for every feature that needs a market; never forecast."""

Quality = Literal["full", "close_only"]


@dataclass(frozen=True)
class PackagedInstrument:
    """One instrument of the packaged market."""

    symbol: str
    name: str
    quality: Quality


INSTRUMENTS: tuple[PackagedInstrument, ...] = (
    PackagedInstrument("AAPL", "Apple", "full"),
    PackagedInstrument("AMZN", "Amazon.com", "full"),
    PackagedInstrument("GOOG", "Alphabet (class A, then GOOG)", "full"),
    PackagedInstrument("IBM", "IBM", "full"),
    PackagedInstrument("META", "Meta Platforms (then FB)", "full"),
    PackagedInstrument("MSFT", "Microsoft", "full"),
    PackagedInstrument("NVDA", "NVIDIA", "full"),
    PackagedInstrument("AMD", "Advanced Micro Devices", "close_only"),
    PackagedInstrument("BAC", "Bank of America", "close_only"),
    PackagedInstrument("BBY", "Best Buy", "close_only"),
    PackagedInstrument("CVX", "Chevron", "close_only"),
    PackagedInstrument("GE", "General Electric", "close_only"),
    PackagedInstrument("HD", "Home Depot", "close_only"),
    PackagedInstrument("JNJ", "Johnson & Johnson", "close_only"),
    PackagedInstrument("JPM", "JPMorgan Chase", "close_only"),
    PackagedInstrument("KO", "Coca-Cola", "close_only"),
    PackagedInstrument("LLY", "Eli Lilly", "close_only"),
    PackagedInstrument("MRK", "Merck", "close_only"),
    PackagedInstrument("PEP", "PepsiCo", "close_only"),
    PackagedInstrument("PFE", "Pfizer", "close_only"),
    PackagedInstrument("PG", "Procter & Gamble", "close_only"),
    PackagedInstrument("RRC", "Range Resources", "close_only"),
    PackagedInstrument("UNH", "UnitedHealth", "close_only"),
    PackagedInstrument("WMT", "Walmart", "close_only"),
    PackagedInstrument("XOM", "Exxon Mobil", "close_only"),
)

SYMBOLS: tuple[str, ...] = tuple(sorted(instrument.symbol for instrument in INSTRUMENTS))
