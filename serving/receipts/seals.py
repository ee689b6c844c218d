"""Seals: hashes that show whether a forecast's row, answer or receipt was edited."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from lake.errors import SchemaError
from lake.spec import INSTANT
from lake.tables import FORECASTS
from serving.forecasts import PRICED

_in_order = itemgetter(*(name for name in FORECASTS.names if name not in PRICED))
_INSTANTS = tuple(place for place, dtype in enumerate(FORECASTS.schema.values()) if dtype == INSTANT)
UNPRICED = (None,) * len(PRICED)
SEAL = ',"seal":"'
DIGITS = 64


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def row_digest(row: Mapping[str, Any]) -> str:
    """SHA-256 of a row of `forecasts`: its values in the order of the table, as Python writes them, one per line.

    The same from the service, from the log and from the lake: numbers keep every bit on the way, and instants are
    written in UTC. The columns `PRICED` are part of it where the row says any of them: rows of before they were
    declared keep their digest, and one to which they were written afterwards has another.
    """
    values = list(_in_order(row))
    for place in _INSTANTS:
        values[place] = _written(values[place])
    priced = tuple(map(row.get, PRICED))
    if priced != UNPRICED:
        values += priced
    return digest_of("\n".join(map(repr, values)))


def sealed(content: str) -> str:
    """Put a seal on a JSON object: its own SHA-256 as its last entry."""
    return f'{content[:-1]}{SEAL}{digest_of(content)}"}}'


def opened(text: str) -> tuple[str, str]:
    """Part what `sealed` wrote into the content and the seal, whether they belong together or not.

    Raises
    ------
    SchemaError
        If there is no seal.
    """
    body, mark, rest = text[: -DIGITS - 2], text[-DIGITS - 2 - len(SEAL) : -DIGITS - 2], text[-DIGITS - 2 :]
    if mark != SEAL or not rest.endswith('"}'):
        raise SchemaError("A receipt carries no seal: it was cut off, or written by something else. Ask the lake.")
    return body[: -len(SEAL)] + "}", rest[:-2]


def is_intact(content: str, seal: str) -> bool:
    """Whether a seal is that of the content."""
    return digest_of(content) == seal


@lru_cache(maxsize=1_024)
def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
