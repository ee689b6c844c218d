"""Declarations: a YAML file of a home as the frozen value that it declares, and what is wrong with one that is none."""

from dataclasses import fields
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from lake.errors import ConfigError

Declared = TypeVar("Declared")
REQUIRED = ("name", "source", "index", "calendar", "first_year")
"""Keys that a declaration has: what it leaves out would be the packaged market's."""


def read_declaration(path: Path, kind: type[Declared]) -> Declared:
    """Return what the declaration of a market says.

    Parameters
    ----------
    kind
        Dataclass whose fields are the keys, `REQUIRED` among them.

    Raises
    ------
    ConfigError
        If the file is not YAML, lacks a key, holds one that there is not, or a value of another type.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"The market declaration {path} is not YAML: {error}.") from error
    missing = [name for name in REQUIRED if not isinstance(content, dict) or name not in content]
    if missing:
        raise ConfigError(f"The market declaration {path} must hold keys and values, {', '.join(missing)} among them.")
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # a dataclass, as said
    for unknown in (name for name in content if name not in names):
        near = get_close_matches(str(unknown), names, 1)
        raise ConfigError(
            f"The market declaration {path} holds '{unknown}', which is no part of a market. "
            + (f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(names)}.")
        )
    values: dict[str, Any] = {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in content.items()  # YAML's own form of an instant is UTC
    }
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors())
        raise ConfigError(f"The market declaration {path} cannot be used. {wrong}. See docs/markets.md.") from error
