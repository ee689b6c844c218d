"""Rules that overrule votes by name: the switch, stale data, a stop, restricted symbols, an earnings blackout."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lake.errors import ConfigError
from serving.desk.situation import DeskSituation

Effect = Literal["silent", "hold", "flat", "reduce"]
"""`silent`: nothing to say. `hold`: no order. `flat`: nothing is held. `reduce`: a position may only become smaller."""
RULES_VERSION = "1"


@dataclass(frozen=True)
class DeskRules:
    """Declared rules of an account. They are declared, not fitted: no result of the past chose them.

    Parameters
    ----------
    restricted
        Symbols of which nothing may be bought or sold short; what is held may be sold.
    stop_loss
        Loss of a position against its average cost, as a fraction, from which on it is closed; None for no stop.
    most_stale_sessions
        Sessions without a bar up to which a symbol is still traded.
    earnings_blackout_sessions
        Sessions before and after an announcement of earnings in which no position is opened or enlarged.
    """

    restricted: tuple[str, ...] = ()
    stop_loss: float | None = 0.15
    most_stale_sessions: int = 0
    earnings_blackout_sessions: int = 1

    def __post_init__(self) -> None:
        """Refuse rules that cannot be kept."""
        if self.stop_loss is not None and not 0 < self.stop_loss < 1:
            raise ConfigError(f"stop_loss is {self.stop_loss}; it is a fraction between 0 and 1, or none.")
        if min(self.most_stale_sessions, self.earnings_blackout_sessions) < 0:
            raise ConfigError("most_stale_sessions and earnings_blackout_sessions are 0 or more.")


class Ruling(NamedTuple):
    """What a rule says of a situation."""

    name: str
    effect: Effect
    reason: str


def rulings(rules: DeskRules, now: DeskSituation) -> list[Ruling]:
    """Return what every rule says, the one that outranks the others first.

    Returns
    -------
    list of Ruling
        One per rule, in the order of their rank; a rule that does not apply is `silent` and says so.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> close = datetime(2013, 1, 2, 21, tzinfo=UTC)
    >>> now = DeskSituation("paper", "AAA", close, close, 10.0, 50.0, 40.0, 1_000.0, 1.0, 0.5)
    >>> [(each.name, each.effect) for each in rulings(DeskRules(), now) if each.effect != "silent"]
    [('stop', 'flat')]
    """
    return [Ruling(name, *rule(rules, now)) for name, rule in _RANKED]


def _halted(_: DeskRules, now: DeskSituation) -> tuple[Effect, str]:
    if now.switch == "halted":
        return "hold", f"Trading is halted: {now.switch_reason}"
    return "silent", "Trading is not halted."


def _stale(rules: DeskRules, now: DeskSituation) -> tuple[Effect, str]:
    if now.stale_sessions > rules.most_stale_sessions:
        return "hold", f"Its last bar is {now.stale_sessions} sessions old, {rules.most_stale_sessions} are allowed."
    return "silent", "Its bar is current."


def _stop(rules: DeskRules, now: DeskSituation) -> tuple[Effect, str]:
    if rules.stop_loss is None or now.held == 0:
        return "silent", "Nothing is held, or no stop is declared."
    change = now.price / now.average_cost - 1
    loss = -change if now.held > 0 else change
    if loss >= rules.stop_loss:
        return "flat", f"It lost {loss:.1%} against its average cost, {rules.stop_loss:.1%} is the stop."
    return "silent", "Its loss is within the stop."


def _restricted(rules: DeskRules, now: DeskSituation) -> tuple[Effect, str]:
    if now.symbol in rules.restricted:
        return "reduce", f"{now.symbol} is on the restricted list: it may only be reduced."
    return "silent", "It is not restricted."


def _reducing(_: DeskRules, now: DeskSituation) -> tuple[Effect, str]:
    if now.switch == "reducing":
        return "reduce", f"Trading may only reduce: {now.switch_reason}"
    return "silent", "Trading is not limited to reductions."


def _earnings(rules: DeskRules, now: DeskSituation) -> tuple[Effect, str]:
    if not now.has_earnings_calendar:
        return "silent", "There is no earnings calendar, so no blackout was looked for."
    if now.earnings_in_sessions is None:
        return "silent", "No date of earnings is known."
    if abs(now.earnings_in_sessions) <= rules.earnings_blackout_sessions:
        return "reduce", f"Earnings are {now.earnings_in_sessions:+d} sessions away."
    return "silent", "No earnings are near."


_Rule = Callable[[DeskRules, DeskSituation], tuple[Effect, str]]
_RANKED: tuple[tuple[str, _Rule], ...] = (
    ("halted", _halted),
    ("stale_data", _stale),
    ("stop", _stop),
    ("restricted", _restricted),
    ("reducing", _reducing),
    ("earnings_blackout", _earnings),
)
"""Rules by rank: where nothing can be sent or no price is known, nothing else matters."""
RULE_NAMES = tuple(name for name, _ in _RANKED)
