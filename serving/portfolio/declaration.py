"""Portfolios as declared values: the packaged ones, and those of a home's ``portfolios.yaml``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from lake.errors import ConfigError, UnknownNameError
from serving.strategies import SelectionRule

FILE = "portfolios.yaml"
"""File of a home that declares its portfolios; without it a market has the packaged ones."""
COST_BPS = SelectionRule().cost_bps
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
MOST_LETTERS = 40


@dataclass(frozen=True)
class RebalancingRule:
    """When targets are made anew.

    Parameters
    ----------
    review_bars
        By the calendar: every so many bars of the market, sessions of a daily one.
    drift_points
        Before that, where a weight has left the one after the last review by more than this fraction of equity.
    drift_share
        Or by more than this share of itself, where it was at least `LEAST_WEIGHT`.
    volatility_share
        Or where the volatility of what is held has left that of the last review by more than this share of it.
    """

    review_bars: int = 21
    drift_points: float = 0.05
    drift_share: float = 0.20
    volatility_share: float = 0.20

    def __post_init__(self) -> None:
        if self.review_bars < 1 or min(self.drift_points, self.drift_share, self.volatility_share) <= 0:
            raise ConfigError(
                f"A rebalancing rule has review_bars {self.review_bars}, drift_points {self.drift_points}, drift_share "
                f"{self.drift_share} and volatility_share {self.volatility_share}. Expected at least one bar, and "
                "fractions above 0, e.g. 0.05 for five points."
            )


@dataclass(frozen=True)
class DeclaredPortfolio:
    """One portfolio: fully invested, no short positions.

    Parameters
    ----------
    name
        Lower-case letters, digits and ``_``.
    method
        A name of `serving.portfolio.METHODS`.
    lookback_bars
        Newest bars that moments are estimated from.
    least_bars
        Bars without which nothing is estimated.
    most_weight
        Largest weight of a symbol; where there are too few symbols for it, one over their number.
    risk_aversion
        ``delta`` of a mean-variance investor: an expected return of ``delta / 2`` times a variance makes up for it.
    tau
        Of Black-Litterman: uncertainty of the equilibrium as a part of the covariance of returns.
    cost_bps
        Cost of trading, one way, in basis points of the value traded.
    rebalancing
        When targets are made anew.

    Examples
    --------
    >>> DeclaredPortfolio("calm", "inverse_volatility").most_weight
    0.25
    """

    name: str
    method: str
    lookback_bars: int = 250
    least_bars: int = 60
    most_weight: float = 0.25
    risk_aversion: float = 2.5
    tau: float = 0.05
    cost_bps: float = COST_BPS
    rebalancing: RebalancingRule = field(default_factory=RebalancingRule)

    def __post_init__(self) -> None:
        from serving.portfolio.methods import method_named  # which has the methods of these values

        method_named(self.method)
        if not self.name or len(self.name) > MOST_LETTERS or set(self.name) - NAME_CHARACTERS:
            raise ConfigError(
                f"A portfolio cannot be called {self.name!r}. Use at most {MOST_LETTERS} lower-case letters, digits "
                "and '_', e.g. 'core'."
            )
        is_sane = 2 <= self.least_bars <= self.lookback_bars and 0 < self.most_weight <= 1 and self.cost_bps >= 0  # noqa: PLR2004 - a variance needs two
        if not is_sane or min(self.risk_aversion, self.tau) <= 0:
            raise ConfigError(
                f"The portfolio '{self.name}' has lookback_bars {self.lookback_bars}, least_bars {self.least_bars}, "
                f"most_weight {self.most_weight}, risk_aversion {self.risk_aversion}, tau {self.tau} and cost_bps "
                f"{self.cost_bps}. Expected least_bars from 2 up to lookback_bars, most_weight above 0 and at most 1, "
                "risk_aversion and tau above 0, and cost_bps of 0 or more."
            )

    def to_json(self) -> str:
        """Return what is declared as JSON, with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)


PACKAGED_PORTFOLIOS: tuple[DeclaredPortfolio, ...] = tuple(
    DeclaredPortfolio(name, name)
    for name in (
        "equal",
        "inverse_volatility",
        "mean_variance",
        "mean_variance_with_costs",
        "black_litterman",
        "equal_risk",
        "hierarchical_risk_parity",
        "factor",
    )
)
"""What a market has that declares none: each method once, with the same limits, costs and reviews."""


def declared_portfolios(home: Path) -> tuple[DeclaredPortfolio, ...]:
    """Return the portfolios of a home: those of its ``portfolios.yaml``, else the packaged ones.

    Raises
    ------
    ConfigError
        If the file is not YAML, declares nothing, or a portfolio holds a key or value that it cannot have.
    UnknownNameError
        If a method is named that there is not.

    Examples
    --------
    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> text = "core: {method: equal_risk, most_weight: 0.1, rebalancing: {review_bars: 5}}"
    >>> _ = (home / FILE).write_text(text)
    >>> [(each.name, each.method, each.rebalancing.review_bars) for each in declared_portfolios(home)]
    [('core', 'equal_risk', 5)]
    """
    path = home / FILE
    if not path.exists():
        return PACKAGED_PORTFOLIOS
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"The declaration of portfolios {path} is not YAML: {error}.") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(
            f"The declaration of portfolios {path} declares none. Expected a name with what it holds, e.g. "
            "'core: {method: equal_risk}', or no such file for the packaged portfolios."
        )
    return tuple(_declared(path, str(name), values) for name, values in content.items())


def _declared(path: Path, name: str, values: object) -> DeclaredPortfolio:
    from pydantic import TypeAdapter, ValidationError

    if not isinstance(values, Mapping) or "method" not in values:
        raise ConfigError(f"The portfolio '{name}' of {path} has no method. Expected e.g. '{name}: {{method: equal}}'.")
    _require_known("part of a portfolio", values, DeclaredPortfolio)
    rule = values.get("rebalancing", {})
    if isinstance(rule, Mapping):
        _require_known("part of a rebalancing rule", rule, RebalancingRule)
    try:
        found: DeclaredPortfolio = TypeAdapter(DeclaredPortfolio).validate_python({"name": name, **values})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors())
        raise ConfigError(
            f"The portfolio '{name}' of {path} cannot be used. {wrong}. See docs/portfolio.md."
        ) from error
    return found


def _require_known(kind: str, values: Mapping[Any, Any], of: type) -> None:
    names = [each.name for each in fields(of) if each.name != "name"]
    for unknown in (name for name in values if name not in names):
        raise UnknownNameError(kind, str(unknown), names)
