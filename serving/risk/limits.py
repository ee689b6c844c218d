"""Limits of an account: each with a soft value that alerts and a hard one that refuses, and its unit in its name.

They are declared in `risk/limits.yaml` of the home, one line per limit that is not to have its default::

    gross_of_equity: {soft: 1.0, hard: 1.5}
    var_99_of_equity: off
    restricted: [KO]
    sectors: {XOM: energy, CVX: energy}
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lake.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from lake.settings import Settings

FOLDER, FILE = "risk", "limits.yaml"


@dataclass(frozen=True)
class Bound:
    """Soft and hard value of one limit, in the unit that the limit's name says; infinite where it is off.

    Raises
    ------
    ConfigError
        If the values are no numbers, negative, or the soft one is above the hard one.
    """

    soft: float
    hard: float

    def __post_init__(self) -> None:
        for value in (self.soft, self.hard):
            if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value) or value < 0:
                raise ConfigError(f"A limit has the value {value!r}; expected a number of 0 or more, or `off`.")
        if self.soft > self.hard:
            raise ConfigError(f"A limit warns at {self.soft} and refuses at {self.hard}; expected soft <= hard.")

    @property
    def is_off(self) -> bool:
        """Whether nothing is refused."""
        return math.isinf(self.hard)


OFF = Bound(math.inf, math.inf)


@dataclass(frozen=True)
class Limits:
    """Every limit of an account. Of equity: as a share of it, so that a limit holds whatever the currency and size.

    Parameters
    ----------
    order_of_equity
        Notional of one order.
    position_of_equity
        Notional of one symbol, with every open order that could open it filled.
    sector_of_equity
        The same, summed over the symbols of a sector; symbols without a declared sector are in none.
    gross_of_equity, net_of_equity
        Sum of absolute positions, and absolute sum of signed ones, at the worst of what open orders can do.
    leverage
        Gross over equity: the same figure under the name that regulators ask for; the tighter one holds.
    turnover_a_day_of_equity
        Notional of all orders of a session.
    orders_a_second, open_orders
        Counts; replaces, legs of brackets and children count.
    participation_of_volume
        Shares ordered in a session, as a share of the symbol's mean daily volume.
    price_collar_of_price
        Distance of a limit or stop price from the last price.
    price_age_seconds
        Age of the last price, in seconds of the market's clock.
    daily_loss_of_equity, drawdown_of_peak
        Loss since the session began, and since equity was highest.
    var_95_of_equity, var_99_of_equity, es_95_of_equity, es_99_of_equity
        Value at risk and expected shortfall of one session, with every open order filled.
    restricted
        Symbols in which no position may be opened or enlarged.
    sectors
        Symbol to sector, where it is known.
    lot_shares
        Quantities are shrunk to multiples of this.
    """

    order_of_equity: Bound = Bound(0.10, 0.20)
    position_of_equity: Bound = Bound(0.20, 0.30)
    sector_of_equity: Bound = Bound(0.40, 0.60)
    gross_of_equity: Bound = Bound(1.00, 1.25)
    net_of_equity: Bound = Bound(1.00, 1.25)
    leverage: Bound = Bound(1.00, 1.50)
    turnover_a_day_of_equity: Bound = Bound(1.00, 2.00)
    orders_a_second: Bound = Bound(25, 50)
    open_orders: Bound = Bound(250, 500)
    participation_of_volume: Bound = Bound(0.02, 0.05)
    price_collar_of_price: Bound = Bound(0.05, 0.10)
    price_age_seconds: Bound = Bound(86_400.0, 432_000.0)
    daily_loss_of_equity: Bound = Bound(0.02, 0.04)
    drawdown_of_peak: Bound = Bound(0.10, 0.20)
    var_95_of_equity: Bound = Bound(0.020, 0.030)
    var_99_of_equity: Bound = Bound(0.030, 0.045)
    es_95_of_equity: Bound = Bound(0.030, 0.045)
    es_99_of_equity: Bound = Bound(0.045, 0.070)
    restricted: frozenset[str] = frozenset()
    sectors: Mapping[str, str] = field(default_factory=dict)
    lot_shares: float = 1.0

    def bound(self, name: str) -> Bound:
        """Return a limit by its name.

        Raises
        ------
        UnknownNameError
            If there is no such limit, with those that there are.
        """
        if name not in LIMIT_NAMES:
            raise UnknownNameError("limit", name, LIMIT_NAMES)
        found: Bound = getattr(self, name)
        return found


LIMIT_NAMES = tuple(each.name for each in fields(Limits) if isinstance(each.default, Bound))
"""Names of the limits that have a soft and a hard value."""
OTHER_KEYS = ("restricted", "sectors", "lot_shares")


def limits_path(home: Path) -> Path:
    """Return where a home declares its limits."""
    return home / FOLDER / FILE


def limits_of(configured: "Settings") -> Limits:
    """Read the limits that a home declares; the defaults where it declares none.

    Raises
    ------
    ConfigError, UnknownNameError
        If the file cannot be read, or holds what is no limit.
    """
    path = limits_path(configured.home)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Limits()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}, which declares the limits, cannot be read: {error}.") from error
    return parse_limits(text, str(path))


def parse_limits(text: str, origin: str = "limits") -> Limits:
    """Read declared limits from YAML; a limit that is not named keeps its default.

    Parameters
    ----------
    origin
        Where the text is from, for messages.

    Raises
    ------
    UnknownNameError
        If a key is no limit, with those that there are.
    ConfigError
        If a value is not what its key takes.

    Examples
    --------
    >>> parse_limits("gross_of_equity: {soft: 0.5, hard: 0.8}").gross_of_equity
    Bound(soft=0.5, hard=0.8)
    >>> parse_limits("var_99_of_equity: off").var_99_of_equity.is_off
    True
    """
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{origin} is no YAML: {error}. Write one `name: {{soft: 1.0, hard: 1.5}}` a line."
        ) from error
    if given is None:
        return Limits()
    if not isinstance(given, dict):
        raise ConfigError(f"{origin} holds {type(given).__name__}; expected limits by name.")
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in (*LIMIT_NAMES, *OTHER_KEYS):
            raise UnknownNameError("limit", str(name), [*LIMIT_NAMES, *OTHER_KEYS])
        try:
            values[name] = _bound(value) if name in LIMIT_NAMES else _other(name, value)
        except (ConfigError, TypeError, ValueError) as error:
            raise ConfigError(f"{origin}: {name}: {error}") from error
    return Limits(**values)


def _bound(value: object) -> Bound:
    if value is False:  # YAML reads a bare `off` so
        return OFF
    if not isinstance(value, dict) or set(value) - {"soft", "hard"} or "hard" not in value:
        raise ConfigError(f"expected {{soft: number, hard: number}} or `off`, found {value!r}.")
    hard = value["hard"]
    soft: Any = value.get("soft", hard)
    return Bound(soft, hard)


def _other(name: str, value: Any) -> object:
    if name == "restricted" and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return frozenset(value)
    if name == "sectors" and isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return {str(symbol): sector for symbol, sector in value.items()}
    if name == "lot_shares" and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    expected = {"restricted": "a list of symbols", "sectors": "sectors by symbol", "lot_shares": "a number above 0"}
    raise ConfigError(f"expected {expected[name]}, found {value!r}. Symbols such as NO or ON are written in quotes.")
