"""A user's own file: which of its functions and features can be checked, and how they are called."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import polars as pl

from feature_repo.leaks.subject import LeakSubject
from feature_repo.leaks.subjects import group_subject
from feature_repo.leaks.world import World
from feature_repo.spec import Feature, FeatureGroup
from lake.errors import ConfigError, QuantlakeError, SchemaError

KEY = ("symbol", "event_time")
CONVENTION = (
    "A function is checked when its name has no leading underscore and its first parameter is called 'bars' (a second "
    "may be called 'releases'); it returns a Polars frame with symbol, event_time and its columns, or a Series with a "
    "value per bar. Values of type Feature and FeatureGroup are checked as well. See docs/leaks.md."
)
LEVELS = "PRICE_LEVELS"
"""Name in the file of the columns that are meant to be in units of price."""


def subjects_of_file(path: Path) -> tuple[LeakSubject, ...]:
    """Import a file and return a subject for each of its functions, features and feature groups.

    A function computes in the process that calls it, and may keep state there: `check_file` gives it fresh ones.

    Raises
    ------
    ConfigError
        If there is no such file, it cannot be imported, or nothing in it follows the convention.
    """
    module = _imported(path)
    levels = frozenset(getattr(module, LEVELS, ()))
    found = [_function_subject(name, function, levels) for name, function in _functions(module)]
    found += [group_subject(group) for group in _groups(module)]
    if not found:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(f"{path} holds nothing to check (found: {', '.join(public) or 'no names'}). {CONVENTION}")
    return tuple(found)


class _SourceLoader(SourceFileLoader):
    """Compiles the file each time; a compilation cached beside it is told from it by size and second alone."""

    def get_code(self, fullname: str) -> CodeType:
        """Return what the file says now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _imported(path: Path) -> ModuleType:
    name = f"checked_{path.stem}"
    loader = _SourceLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader) if path.suffix == ".py" else None
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"There is no Python file at {path}. Give the path of a file such as my_features.py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(value) or value.__module__ != module.__name__:
            continue
        if [*inspect.signature(value).parameters][:1] == ["bars"]:
            yield name, value


def _groups(module: ModuleType) -> Iterator[FeatureGroup]:
    values = [(name, value) for name, value in vars(module).items() if not name.startswith("_")]
    groups = [value for _, value in values if isinstance(value, FeatureGroup)]
    yield from groups
    grouped = {feature.name for group in groups for feature in group}
    single = tuple(value for _, value in values if isinstance(value, Feature) and value.name not in grouped)
    if single:
        yield FeatureGroup("of_the_file", "single features of the file", single)


def _function_subject(name: str, function: Callable[..., Any], levels: frozenset[str]) -> LeakSubject:
    parameters = inspect.signature(function).parameters
    wants_releases = [*parameters][1:2] == ["releases"]

    def compute(world: World) -> pl.DataFrame:
        bars = world.in_order
        try:
            answer = function(bars, world.releases) if wants_releases else function(bars)
        except QuantlakeError:
            raise
        except Exception as error:
            sessions = bars["event_time"].n_unique()
            raise ConfigError(
                f"{name} fails on {sessions} session{'s' * (sessions > 1)} of {bars['symbol'].n_unique()} symbols: "
                f"{type(error).__name__}: {error}. It is replayed from the first session on: give null where there is "
                "too little history."
            ) from error
        return _as_frame(name, answer, bars)

    return LeakSubject("user", name, compute, levels=levels)


def _as_frame(name: str, answer: object, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the answer with its key, or say what is wrong with it."""
    if isinstance(answer, pl.LazyFrame):
        answer = answer.collect()
    if isinstance(answer, pl.Series):
        if len(answer) != bars.height:
            raise SchemaError(
                f"{name} returns a Series of {len(answer)} values for {bars.height} bars. Give one per bar, in order."
            )
        return bars.select(KEY).with_columns(answer.alias(name))
    if not isinstance(answer, pl.DataFrame):
        raise SchemaError(f"{name} returns a {type(answer).__name__}, expected a Polars frame or Series. {CONVENTION}")
    _require_key(name, answer)
    return answer


def _require_key(name: str, answer: pl.DataFrame) -> None:
    missing: Iterable[str] = [column for column in KEY if column not in answer.columns]
    if missing:
        raise SchemaError(f"{name} returns no column {' and '.join(missing)}; it has {', '.join(answer.columns)}.")
    if len(answer.columns) == len(KEY):
        raise SchemaError(f"{name} returns only {' and '.join(KEY)}: there is no value to check.")
    doubled = answer.height - answer.select(KEY).n_unique()
    if doubled:
        raise SchemaError(f"{name} returns {doubled} rows whose symbol and event_time are there twice.")
