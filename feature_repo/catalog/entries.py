"""What makes a feature group whole, and groups that are declared outside of this package.

`QUANTLAKE_FEATURE_GROUPS` names importable modules, with commas between. Every `FeatureGroup` in such a module becomes
an entry of the catalog: a table, a Feast view, an asset, leak checks and, if it says so, a row in the online store.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from feature_repo.spec import FeatureGroup
from lake.errors import ConfigError
from lake.tables import TABLES

VARIABLE = "QUANTLAKE_FEATURE_GROUPS"
NEEDED = ("unit", "formula", "meaning")
"""Texts of a feature that the docs, the Feast schema and the column of the table are made of."""


def groups_of(modules: Iterable[str]) -> tuple[FeatureGroup, ...]:
    """Import modules and return the feature groups in them, in the order of their definition.

    Raises
    ------
    ConfigError
        If a module cannot be imported, or holds no feature group.

    Examples
    --------
    >>> [group.name for group in groups_of(["feature_repo.catalog.fractal"])]
    ['fractal']
    """
    return tuple(group for name in modules for group in _groups_of(name))


def require_whole(groups: Sequence[FeatureGroup]) -> tuple[FeatureGroup, ...]:
    """Return the groups if every entry is whole and every name is there once.

    Raises
    ------
    ConfigError
        Naming each group and feature with what it lacks.

    Examples
    --------
    >>> require_whole([FeatureGroup("mine", "what they have in common", features=())])
    Traceback (most recent call last):
        ...
    lake.errors.ConfigError: The feature catalog is not whole: group 'mine' has no features. ...
    """
    problems = [problem for group in groups for problem in _missing(group)]
    problems += [f"two groups are called '{name}'" for name in _twice(group.name for group in groups)]
    taken = {table.name for table in TABLES}
    problems += [f"group '{g.name}' would take the table '{g.table.name}'" for g in groups if g.table.name in taken]
    names = (feature.name for group in groups for feature in group)
    problems += [f"two features are called '{name}'" for name in _twice(names)]
    if problems:
        raise ConfigError(
            f"The feature catalog is not whole: {'; '.join(problems)}. Complete the declaration where it is made; "
            "`feature_repo.spec` says what each part means."
        )
    return tuple(groups)


def _groups_of(name: str) -> Iterator[FeatureGroup]:
    try:
        module = import_module(name)
    except Exception as error:
        raise ConfigError(
            f"{VARIABLE} names the module '{name}', which cannot be imported: {type(error).__name__}: {error}. It must "
            "lie on the path of this Python, and import `feature_repo.spec` and `feature_repo.compute` only."
        ) from error
    found = [value for value in vars(module).values() if isinstance(value, FeatureGroup)]
    if not found:
        raise ConfigError(
            f"{VARIABLE} names the module '{name}' ({getattr(sys.modules[name], '__file__', 'no file')}), and there is "
            "no FeatureGroup in it. Assign one to a name of the module."
        )
    yield from found


def _missing(group: FeatureGroup) -> Iterator[str]:
    if not _is_name(group.name):
        yield f"group '{group.name}' needs a name of lower-case letters, digits and underscores"
    if not group.meaning:
        yield f"group '{group.name}' has no meaning"
    if not group.features:
        yield f"group '{group.name}' has no features"
    for feature in group:
        lacking = [name for name in NEEDED if not getattr(feature, name)]
        if not _is_name(feature.name):
            lacking.append("name of lower-case letters, digits and underscores")
        if lacking:
            yield f"feature '{feature.name}' of group '{group.name}' has no {', no '.join(lacking)}"


def _is_name(name: str) -> bool:
    return name.isidentifier() and name == name.lower()


def _twice(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return sorted({name for name in listed if listed.count(name) > 1})
