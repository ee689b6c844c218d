"""Every setting with the value in force, where it came from, its default and its meaning; secrets are masked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from lake.errors import UnknownNameError
from lake.settings import FORMER_NAMES, Settings, settings, variable_of, variables_set

Origin = Literal["environment", "former name", "market", "machine", "default"]

MASK = "****"
OF_THE_MARKET = {"source": "source_name"}
"""Settings that the declared market answers where they are unset, by the property that says how."""


@dataclass(frozen=True)
class SettingInForce:
    """One setting as it is now.

    Parameters
    ----------
    variable
        Environment variable that it is read from.
    value
        Value in force, with secrets masked; null where it is unset.
    origin
        Where the value came from: the ``environment``, a ``former name`` of the variable there, the declared
        ``market``, this ``machine``, or the ``default``.
    default
        Value without the variable; null where it has none, or where the machine decides.
    meaning
        What it sets, with its unit.
    """

    variable: str
    value: Any
    origin: Origin
    default: Any
    meaning: str


def settings_in_force(variable: str | None = None) -> list[SettingInForce]:
    """Return every setting in the order of `lake.settings.Settings`, or the one of a variable.

    Raises
    ------
    UnknownNameError
        If no setting is read from that variable, with the nearest names.

    Examples
    --------
    >>> port = settings_in_force("QUANTLAKE_PORT")[0]
    >>> port.variable, port.default, port.meaning
    ('QUANTLAKE_PORT', 3000, 'port of the forecast endpoint')
    """
    given = variables_set()
    found = [_in_force(name, field, given) for name, field in Settings.model_fields.items()]
    if variable is None:
        return found
    chosen = [each for each in found if variable.upper() in {each.variable, each.variable.removeprefix("QUANTLAKE_")}]
    if not chosen:
        raise UnknownNameError("setting", variable, (each.variable for each in found))
    return chosen


def _in_force(name: str, field: FieldInfo, given: Mapping[str, str]) -> SettingInForce:
    variable, value = variable_of(name), getattr(settings(), name)
    origin = _origin(name, field, variable, given)
    if origin == "market":
        value = getattr(settings(), OF_THE_MARKET[name])
    default = None if field.default_factory is not None else field.default
    return SettingInForce(variable, _masked(value), origin, _masked(default), field.description or "")


def _origin(name: str, field: FieldInfo, variable: str, given: Mapping[str, str]) -> Origin:
    if variable in given:
        return "environment"
    if any(former in given and new == name for former, new in FORMER_NAMES.items()):
        return "former name"
    if name in OF_THE_MARKET:
        return "market"
    return "machine" if field.default_factory is not None else "default"


def _masked(value: Any) -> Any:
    """Return a value without what must not be read over a shoulder: secrets, and passwords inside addresses.

    Examples
    --------
    >>> _masked("redis://:hunter2@10.0.0.1:6379/0"), _masked("sqlite:///data/mlflow.db"), _masked(3000)
    ('redis://****@10.0.0.1:6379/0', 'sqlite:///data/mlflow.db', 3000)
    """
    if isinstance(value, SecretStr):
        return MASK
    if not isinstance(value, str):
        return value
    if "://" not in value:
        return value
    parts = urlsplit(value)
    if parts.password is None and parts.username is None:
        return value
    return urlunsplit(parts._replace(netloc=f"{MASK}@{parts.netloc.rpartition('@')[2]}"))
