"""How a price file is read, as a value that is written into a market's YAML."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lake.errors import ConfigError, SourceError, UnknownNameError
from lake.horizons import INTERVALS as LOADED
from lake.horizons import MINUTES, grid_name

LAYOUTS = ("long", "wide")
BASES = ("as_traded", "split_adjusted", "fully_adjusted")
INTERVALS = ("1m", "5m", "15m", "30m", "60m", "4h", "1d", "1w", "1mo", "irregular")
STAMPS = ("open", "close")
PRICES = ("open", "high", "low", "close", "adj_close")
NUMBERS = (*PRICES, "volume")
DECIMALS, THOUSANDS = (".", ","), (",", ".", " ", "'")
EQUAL_WEIGHT = "^EQUAL_WEIGHT"


@dataclass(frozen=True)
class FileMapping:
    """What each column of a price file is, and how its dates and numbers are written.

    Parameters
    ----------
    path
        The file: CSV or another delimited text, gzipped or not, or Parquet.
    layout
        ``long``: one row per symbol and bar. ``wide``: one row per bar and one column of closes per symbol.
    time
        Column of the date, or of the time of bars of minutes.
    time_format
        Of the date, in the letters of ``strptime``, e.g. ``%d/%m/%Y``; a time and an offset behind it need none. Or
        ``excel`` (days since 1899-12-30), ``epoch_s``, ``epoch_ms``, ``epoch_us``, ``epoch_ns``.
    price_basis
        What was done to the prices: ``as_traded``, ``split_adjusted`` or ``fully_adjusted`` (splits and dividends).
    interval, calendar
        ``1d``, ``60m``, ``15m``, ``5m`` and ``1m`` are loaded. A calendar of exchange_calendars says when each day
        closed: ``XNYS``, ``XTKS``, ``24/7``.
    symbol, open, high, low, close, adj_close, volume
        Columns of a long file; None where it has none. A long file has a close, an adjusted close, or both.
    only_symbol
        The symbol of a long file that names none.
    zone
        Zone in which the day of a time with an offset is read; None takes the date as written. Of bars of minutes the
        zone of times without an offset.
    delimiter
        None for Parquet.
    decimal_mark, thousands_mark
        As in ``1.234,5``: a comma and a point. A thousands mark of None says that there is none.
    index
        Symbol that stands for the market; None has an equal-weight index made, under `index_name`.
    index_name
        Of the index that is made.
    stamp
        Of bars of minutes: whether a time is the ``open`` or the ``close`` of its bar.
    package
        Installed package that carries the file; `path` is then as the package lists it.
    licence
        Of the file, where it is known.
    splits
        CSV file of the splits that ``split_adjusted`` prices are adjusted for, with the columns ``symbol``, ``ex_date``
        and ``ratio`` (new shares per old share); relative to the folder of `path`. With it prices as traded are known.

    Raises
    ------
    ConfigError
        If a value is not one of those allowed, or two contradict each other.
    UnknownNameError
        If there is no calendar of that name.
    """

    path: str
    layout: str
    time: str
    time_format: str
    price_basis: str
    interval: str
    calendar: str
    symbol: str | None = None
    only_symbol: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    close: str | None = None
    adj_close: str | None = None
    volume: str | None = None
    zone: str | None = None
    delimiter: str | None = None
    decimal_mark: str = "."
    thousands_mark: str | None = None
    index: str | None = None
    index_name: str = EQUAL_WEIGHT
    stamp: str | None = None
    package: str | None = None
    licence: str | None = None
    splits: str | None = None

    def __post_init__(self) -> None:
        _require_types(self)
        _require_one_of("layout", self.layout, LAYOUTS)
        _require_one_of("price_basis", self.price_basis, BASES)
        _require_one_of("interval", self.interval, INTERVALS)
        _require_one_of("decimal_mark", self.decimal_mark, DECIMALS)
        if self.thousands_mark is not None:
            _require_one_of("thousands_mark", self.thousands_mark, THOUSANDS)
        if self.thousands_mark == self.decimal_mark:
            raise ConfigError(
                f"The decimal mark and the thousands mark are both '{self.decimal_mark}'. "
                "Give thousands_mark another value, or none."
            )
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ConfigError(f"delimiter is '{self.delimiter}'; it is one character, e.g. ; or a tab.")
        if self.calendar not in calendar_names():
            raise UnknownNameError("calendar", self.calendar, calendar_names())
        _require_zone(self.zone)
        if self.splits is not None and self.price_basis != "split_adjusted":
            raise ConfigError(
                f"splits names {self.splits}, and price_basis is '{self.price_basis}'. Only of prices that are "
                "split_adjusted do the splits tell those as traded: leave splits out, or say split_adjusted."
            )
        if self.stamp is not None:
            _require_one_of("stamp", self.stamp, STAMPS)
        if self.stamp is None and self.interval in MINUTES:
            raise ConfigError(
                f"The bars are of {self.interval}, and whether a time is the open or the close of its bar is not said. "
                "Set stamp to open or close."
            )
        _require_columns(self)

    @property
    def grid(self) -> str:
        """Where the closes of the bars lie, see `lake.calendars`."""
        return grid_name(self.calendar, self.interval) if self.interval in LOADED else self.calendar

    @property
    def file(self) -> Path:
        """Where the file lies.

        Raises
        ------
        SourceError
            If the package that carries it is not installed.
        """
        if self.package is None:
            return Path(self.path)
        try:
            return Path(str(distribution(self.package).locate_file(self.path)))
        except PackageNotFoundError as error:
            raise SourceError(
                f"The data package '{self.package}' is not installed. Install it with `pip install {self.package}`."
            ) from error

    @property
    def splits_file(self) -> Path | None:
        """Where the splits lie; None where none are declared."""
        return None if self.splits is None else self.file.parent / self.splits

    @property
    def columns(self) -> dict[str, str]:
        """Column of each number that a long file has, by what it is."""
        return {role: column for role in NUMBERS if (column := getattr(self, role)) is not None}

    @property
    def market_index(self) -> str:
        """Symbol of the index: the one named, or that of the index which is made."""
        return self.index or self.index_name

    def to_dict(self) -> dict[str, str]:
        """Return the values that are not null, in the order of the fields, for YAML."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FileMapping":
        """Return the mapping of a plain dict.

        Raises
        ------
        ConfigError
            If a key is unknown or missing, with the nearest name.

        Examples
        --------
        >>> values = dict(path="p.csv", layout="wide", time="Date", time_format="%Y-%m-%d", calendar="XNYS",
        ...               price_basis="fully_adjusted", interval="1d")
        >>> FileMapping.from_dict(values).market_index
        '^EQUAL_WEIGHT'
        >>> FileMapping.from_dict(FileMapping.from_dict(values).to_dict()) == FileMapping.from_dict(values)
        True
        """
        require_fields(values)
        missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in values]
        if missing:
            raise ConfigError(f"The file's mapping has no {', no '.join(missing)}. Every mapping says these.")
        return cls(**values)


def require_fields(names: "Mapping[str, Any]", further: tuple[str, ...] = ()) -> None:
    """Refuse a name that is no field of a mapping and none of `further`, with the nearest one."""
    known = [*(field.name for field in fields(FileMapping)), *further]
    for name in names:
        if name not in known:
            nearest = get_close_matches(str(name), known, n=1, cutoff=0.0)[0]
            raise ConfigError(f"A file's mapping has no '{name}'. The nearest name is '{nearest}'.")


@cache
def calendar_names() -> tuple[str, ...]:
    """Names of the calendars of exchange_calendars, aliases left out."""
    import exchange_calendars

    return tuple(exchange_calendars.get_calendar_names(include_aliases=False))


def _require_types(mapping: FileMapping) -> None:
    for field in fields(mapping):
        value = getattr(mapping, field.name)
        if value is None and field.default is None:
            continue
        if not isinstance(value, str) or not value:
            raise ConfigError(
                f"{field.name} of the file's mapping is {value!r}, and it is a text. Quote it in the YAML, "
                f'e.g. {field.name}: "{value or "..."}".'
            )


def _require_one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{field} is '{value}', and it is one of: {', '.join(repr(one) for one in allowed)}.")


def _require_zone(zone: str | None) -> None:
    try:
        if zone is not None:
            ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"There is no time zone '{zone}'. Name one as in Europe/London, or UTC.") from error


def _require_columns(mapping: FileMapping) -> None:
    named = [*mapping.columns.values(), mapping.time, *([mapping.symbol] if mapping.symbol else [])]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise ConfigError(f"The column '{twice[0]}' is named for two things. Each column is one thing.")
    if mapping.layout == "wide":
        if mapping.columns or mapping.symbol or mapping.only_symbol:
            raise ConfigError(
                "A wide file has a column per symbol: leave symbol and the prices out, or say layout long."
            )
        return
    if not {"close", "adj_close"} & set(mapping.columns):
        raise ConfigError("A long file needs its column of closes: set close, adj_close, or both.")
    if (mapping.symbol is None) == (mapping.only_symbol is None):
        raise ConfigError("A long file names its symbols in a column (symbol) or has only one (only_symbol): set one.")
