"""Strict JSON: refuses other encodings than UTF-8 and duplicate keys, which Python's parser accepts."""

import json
from typing import Any

MARK = b"\xef\xbb\xbf"
SHOWN_LETTERS = 40


class _RepeatedKeyError(ValueError):
    """A key that an object holds twice; which of its values counts is not guessed."""


def oddity_of(body: bytes) -> str:
    """Return the rule of JSON between strangers (RFC 8259, RFC 7493) that a body breaks; empty if it breaks none.

    What is no JSON at all is left to the parser, which says where.
    """
    if body.startswith(MARK):
        return "The body begins with a byte order mark. JSON is sent as UTF-8 without one."
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return f"The body is not UTF-8: {error.reason} at byte {error.start}."
    if "\0" in text:
        return "The body holds a zero byte. JSON is sent as UTF-8."
    try:
        json.loads(text, object_pairs_hook=_require_distinct)
    except _RepeatedKeyError as error:
        return str(error)
    except (ValueError, RecursionError):
        return ""
    return ""


def _require_distinct(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            shown = name.encode("ascii", "replace").decode()[:SHOWN_LETTERS]
            raise _RepeatedKeyError(f"The key '{shown}' is there twice, and which of its values counts is not guessed.")
        seen.add(name)
