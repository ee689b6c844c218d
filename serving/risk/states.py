"""Values of the switch: its states, whom a restriction concerns, and what one look at the latch found."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from lake.errors import ConfigError, UnknownNameError

SwitchState = Literal["active", "reducing", "halted"]
STATES: tuple[SwitchState, ...] = ("active", "reducing", "halted")
"""From the least to the most restrictive: `reducing` lets only what lowers exposure through, `halted` nothing."""
ScopeKind = Literal["account", "strategy", "symbol"]
SCOPE_KINDS: tuple[ScopeKind, ...] = ("account", "strategy", "symbol")
EVERY = "*"
NAME_LETTERS, REASON_LETTERS = 64, 500


@dataclass(frozen=True)
class Scope:
    """Whom a restriction concerns: nobody outside it is stopped.

    Parameters
    ----------
    kind
        ``account``, ``strategy`` or ``symbol``.
    name
        Its name; ``*`` for every account, which is everything.

    Examples
    --------
    >>> Scope.parse("symbol:KO")
    Scope(kind='symbol', name='KO')
    >>> Scope.parse("symbol:KO").covers("paper", "trend", "KO"), EVERYTHING.covers("paper", "trend", "KO")
    (True, True)
    """

    kind: ScopeKind = "account"
    name: str = EVERY

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read a scope as a command or a form writes it.

        Raises
        ------
        UnknownNameError
            If the kind is none of account, strategy, symbol.
        ConfigError
            If there is no name after it.
        """
        kind, _, name = text.strip().partition(":")
        for known in SCOPE_KINDS:
            if kind == known:
                return cls(known, printed("name of the scope", name or (EVERY if known == "account" else "")))
        raise UnknownNameError("scope", kind, [*SCOPE_KINDS])

    def covers(self, account: str, strategy: str, symbol: str) -> bool:
        """Whether an order of this account and strategy in this symbol is concerned."""
        own = {"account": account, "strategy": strategy, "symbol": symbol}[self.kind]
        return self.name in {EVERY, own}

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


EVERYTHING = Scope()
"""Every account, and so every order."""


@dataclass(frozen=True)
class Restriction:
    """One scope that may not trade freely.

    Parameters
    ----------
    scope, state
        Whom it concerns, and what they may do.
    by, reason
        Who set it, a person or a part of the platform, and why.
    since
        Wall-clock instant of the change.
    confirmations
        Distinct quotes that confirmed a trip; 0 where a person set it.
    """

    scope: Scope
    state: SwitchState
    by: str
    reason: str
    since: datetime
    confirmations: int = 0


@dataclass(frozen=True)
class SwitchReading:
    """What one look at the latch found.

    Parameters
    ----------
    restrictions
        In force, the oldest first.
    problem
        Why the latch cannot be believed; everything is halted then. Empty where it can.
    is_new
        Whether this home has never had a latch: halted too, until a named person resumes.
    events
        Changes that are not in the tables yet, the oldest first.
    """

    restrictions: tuple[Restriction, ...] = ()
    problem: str = ""
    is_new: bool = False
    events: tuple[dict[str, Any], ...] = field(default=(), compare=False)

    @property
    def is_closed(self) -> bool:
        """Whether everything is halted because the latch does not say otherwise."""
        return bool(self.problem)

    @property
    def state(self) -> SwitchState:
        """State of everything: the most restrictive one that concerns every account."""
        return self._worst([each for each in self.restrictions if each.scope == EVERYTHING])

    @property
    def worst(self) -> SwitchState:
        """The most restrictive state of any scope."""
        return self._worst(self.restrictions)

    def state_of(self, account: str, strategy: str, symbol: str) -> SwitchState:
        """State for the orders of one account and strategy in one symbol."""
        return self._worst([each for each in self.restrictions if each.scope.covers(account, strategy, symbol)])

    def _worst(self, concerned: "list[Restriction] | tuple[Restriction, ...]") -> SwitchState:
        if self.is_closed:
            return "halted"
        return max((each.state for each in concerned), key=STATES.index, default="active")


def printed(what: str, text: str, most: int = NAME_LETTERS) -> str:
    """Return a name or a reason as it is stored.

    Raises
    ------
    ConfigError
        If it is empty, too long, or has letters that cannot be printed.

    Examples
    --------
    >>> printed("name", " A. Reviewer ")
    'A. Reviewer'
    """
    kept = text.strip()
    if not kept or len(kept) > most or not kept.isprintable():
        raise ConfigError(
            f"The {what} is {text[:40]!r}; expected 1 to {most} printable letters on one line, because the audit trail "
            "keeps it. Say it again."
        )
    return kept
