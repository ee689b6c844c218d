"""Common parts of answers and receipts, stored once in each log file.

An answer differs from others of the same row in its id and its instant; a receipt in its first entries and its seal.
The rest, nine tenths of both, is one row of the table `parts`, found by its SHA-256. The view `logged` puts every text
together again, byte for byte, so a reader sees whole answers and receipts.
"""

import hashlib
from functools import lru_cache
from typing import NamedTuple

from serving.receipts import DIGITS, SEAL

ID, INSTANT = "\x01", "\x02"
"""Stand for an answer's own in its part; JSON never holds a control character."""
MADE_AT = '"made_at":"'
SHARED = ',"tables":'
"""Where what a receipt shares with others begins."""
TAIL = len(SEAL) + DIGITS + 2
"""Length of the seal at the end of a receipt, the bracket included."""

WHOLE = f"""
CREATE VIEW logged AS SELECT sequence, forecast_id, row, is_in_lake, symbol, horizon_sessions, kind, made_at,
    CASE WHEN answer_part IS NULL THEN answer ELSE
        (SELECT replace(replace(content, char(1), forecast_id), char(2), answer) FROM parts WHERE id = answer_part)
    END AS answer,
    CASE WHEN receipt_part IS NULL THEN receipt ELSE
        substr(receipt, 1, length(receipt) - {TAIL})
        || (SELECT content FROM parts WHERE id = receipt_part) || substr(receipt, -{TAIL})
    END AS receipt
FROM forecasts"""  # noqa: S608 - numbers of this module
"""The forecasts of a file with their whole answers and receipts; null where a part is missing."""

KEEP = "INSERT OR IGNORE INTO parts (digest, content) VALUES (?, ?)"
INSERT = """
INSERT INTO forecasts (forecast_id, row, answer, receipt, answer_part, receipt_part) VALUES (
    ?, ?, ?, ?, (SELECT id FROM parts WHERE digest = ?), (SELECT id FROM parts WHERE digest = ?)
)"""
FORGET = """
DELETE FROM parts WHERE id IN (
    SELECT id FROM parts AS p WHERE NOT EXISTS (SELECT 1 FROM forecasts WHERE answer_part = p.id)
    AND NOT EXISTS (SELECT 1 FROM forecasts WHERE receipt_part = p.id) LIMIT ?
)
"""
"""Parts of no forecast. A writer keeps the parts it needs within its own transaction, so none goes under its hands."""
MANY = 512


class Parted(NamedTuple):
    """One forecast as the log stores it: its own texts, and the digests of its parts; None where a text is whole."""

    forecast_id: str
    row: str
    answer: str
    receipt: str
    answer_part: bytes | None
    receipt_part: bytes | None


def parted(forecast_id: str, row: str, answer: str, receipt: str, parts: dict[bytes, str]) -> Parted:
    """Divide a forecast into its own and its shared parts.

    Parameters
    ----------
    parts
        Takes what is shared, by its SHA-256.
    """
    answer, of_answer = _divide_answer(answer, forecast_id)
    receipt, of_receipt = _divide_receipt(receipt)
    return Parted(forecast_id, row, answer, receipt, _keep(of_answer, parts), _keep(of_receipt, parts))


def _divide_answer(answer: str, forecast_id: str) -> tuple[str, str]:
    """The instant of an answer and its part; the whole answer and no part where it is not as the service writes it."""
    before, found, rest = answer.partition(forecast_id)
    between, mark, rest = rest.partition(MADE_AT)
    made_at, quote, after = rest.partition('"')
    part = f"{before}{ID}{between}{mark}{INSTANT}{quote}{after}"
    is_divisible = found and mark and part.replace(ID, forecast_id).replace(INSTANT, made_at) == answer
    return (made_at, part) if is_divisible else (answer, "")


def _divide_receipt(receipt: str) -> tuple[str, str]:
    own, mark, rest = receipt.partition(SHARED)
    is_divisible = mark and len(rest) > TAIL and rest[-TAIL:].startswith(SEAL)
    return (own + rest[-TAIL:], mark + rest[:-TAIL]) if is_divisible else (receipt, "")


def _keep(part: str, parts: dict[bytes, str]) -> bytes | None:
    if not part:
        return None
    digest = _digest(part)
    parts[digest] = part
    return digest


@lru_cache(maxsize=MANY)
def _digest(part: str) -> bytes:
    return hashlib.sha256(part.encode()).digest()
