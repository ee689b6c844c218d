"""Reading decoded JSON strictly: what is missing or of another type is an error that names the field."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lake.errors import ContractError
from lake.sources.http.values import Digits

Kind = TypeVar("Kind")
WORDS: dict[type, str] = {dict: "an object", list: "a list", str: "text", Digits: "a number"}
NO_VALUE = frozenset({"", ".", "-", "None", "null"})
"""Texts by which vendors say that there is no value."""


def required(holder: object, name: str, kind: type[Kind]) -> Kind:
    """Return a field that the vendor documents.

    Raises
    ------
    ContractError
        If the field is missing or of another type, with its name.

    Examples
    --------
    >>> required({"results": [1]}, "results", list)
    [1]
    """
    if not isinstance(holder, Mapping):
        raise ContractError(f"The answer holds {_word(holder)} where an object with '{name}' is documented.")
    if name not in holder:
        found = ", ".join(map(str, holder)) or "nothing"
        raise ContractError(f"The answer lacks the documented field '{name}'; it holds {found[:200]}.")
    value = holder[name]
    if isinstance(value, kind) and not (kind is str and isinstance(value, Digits)):
        return value
    raise ContractError(f"The field '{name}' is {_word(value)}, documented is {WORDS.get(kind, kind.__name__)}.")


def first_of(holder: object, name: str) -> Mapping[str, Any]:
    """Return the first object of a list that the vendor documents to hold at least one."""
    values = required(holder, name, list)
    if not values or not isinstance(values[0], Mapping):
        raise ContractError(f"The field '{name}' is a list without an object, documented is at least one.")
    return values[0]


def number(holder: Mapping[str, Any], name: str, kind: type[str] = Digits) -> str | None:
    """Return a documented number as the text that was sent; None where the vendor says that there is no value.

    A field that is gone is an error: a null for it would be taken for the vendor's own word.

    Parameters
    ----------
    kind
        `Digits` for a JSON number, ``str`` for a number that the vendor sends as text.
    """
    if name not in holder:
        raise ContractError(f"The answer lacks the documented field '{name}'; it holds {', '.join(holder)[:200]}.")
    return as_number(holder[name], name, kind)


def as_number(value: object, name: str, kind: type[str] = Digits) -> str | None:
    """Return a value as `number` does."""
    if value is None or (isinstance(value, str) and value in NO_VALUE):
        return None
    is_kind = isinstance(value, str) and isinstance(value, Digits) == (kind is Digits)
    if not is_kind:
        raise ContractError(f"The field '{name}' is {_word(value)}, documented is {WORDS[kind]}.")
    return str(value)


def day(text: object, name: str) -> date:
    """Return an ISO date."""
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ContractError(f"The field '{name}' is '{text}', documented is a date such as 2012-12-31.") from None


def day_at(seconds: float, zone: ZoneInfo) -> date:
    """Return the date that an instant, in seconds since 1970, has on the clocks of a zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).date()


def time_zone(name: str) -> ZoneInfo:
    """Return a zone of the IANA database."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ContractError(f"The zone '{name}' is not in the database of time zones.") from None


def unknown(holder: Mapping[str, Any], known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of fields that are not documented; they are counted and ignored."""
    return tuple(sorted(set(holder) - set(known)))


def note_of_ignored(title: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the sentence about the undocumented fields of a vendor; nothing where there are none."""
    if ignored := ", ".join(sorted(names)):
        yield f"{title} sends fields that this release does not know, and ignores: {ignored}."


def same_symbol(asked: str, told: str) -> None:
    """Refuse an answer about another symbol: its rows would become a foreign history."""
    if asked and asked.casefold() != told.casefold():
        raise ContractError(f"'{asked}' was asked, and the answer is about '{told}'.")


def _word(value: object) -> str:
    if value is None:
        return "null"
    return WORDS.get(type(value), type(value).__name__)
