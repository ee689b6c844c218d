"""Everything in this room that must not look ahead: every feature of every group, the labels and the regimes."""

from collections.abc import Iterable
from functools import partial
from pkgutil import resolve_name

import polars as pl

from feature_repo.catalog import GROUPS
from feature_repo.engines import compile_context, compute_group
from feature_repo.leaks.subject import REPLAYED, LeakSubject
from feature_repo.leaks.world import World
from feature_repo.regimes import compute_regimes
from feature_repo.spec import FeatureGroup
from feature_repo.targets import compute_labels
from lake.market import DEMO, Market
from lake.tables import LABELS, REGIMES

BEYOND = 60
"""Sessions beyond the longest warm-up, so that every value is there in some of them."""
TRAINING = 100
"""Sessions that the hidden Markov models of a trial market are fitted on; they end before its first cut."""


def subjects() -> tuple[LeakSubject, ...]:
    """Return every subject of this room; the rooms above add theirs."""
    return (*(group_subject(group) for group in GROUPS), label_subject(), regime_subject())


def declared_subjects(lists: Iterable[str]) -> tuple[LeakSubject, ...]:
    """Return what functions that are named by module return, one after another; another process can be told of them so.

    Examples
    --------
    >>> [subject.name for subject in declared_subjects(["feature_repo.leaks:subjects"])][-2:]
    ['labels', 'regimes']
    """
    return tuple(subject for name in lists for subject in resolve_name(name)())


def group_subject(group: FeatureGroup, market: Market = DEMO) -> LeakSubject:
    """Every feature of a group, its warm-up and whether it is free of the price level as declared.

    Examples
    --------
    >>> from feature_repo.catalog import CALENDAR
    >>> from feature_repo.leaks import check
    >>> found = check(group_subject(CALENDAR), replayed=2)
    >>> found.name, found.passed, len(found.columns) == len(CALENDAR.features)
    ('features_calendar', True, True)
    """
    return LeakSubject(
        kind="feature",
        name=group.table.name,
        compute=partial(_features, group, market),
        key=group.table.key,
        sessions=group.warm_up + BEYOND,
        warm_ups={feature.name: feature.warm_up for feature in group},
        levels=frozenset(feature.name for feature in group if not feature.is_scale_free),
        prepare=partial(_compile, group),
    )


def label_subject() -> LeakSubject:
    """The labels, which see the future: but no further than to their `known_time`."""
    return LeakSubject("label", LABELS.name, lambda world: compute_labels(world.bars), LABELS.key, time="known_time")


def regime_subject() -> LeakSubject:
    """The regimes by rule and by hidden Markov models, these fitted on the first sessions of the trial market."""
    sessions = REPLAYED + 2 * TRAINING
    return LeakSubject("regime", REGIMES.name, _regimes, REGIMES.key, sessions=sessions, prepare=_import_models)


def _compile(group: FeatureGroup) -> None:
    compile_context()
    for feature in group:
        feature.function.compile()


def _import_models() -> None:
    import hmmlearn.hmm  # noqa: F401 - seconds, which each fork would spend anew


def _features(group: FeatureGroup, market: Market, world: World) -> pl.DataFrame:
    return compute_group(world.bars, group, market=market)


def _regimes(world: World) -> pl.DataFrame:
    return compute_regimes(world.bars, training_sessions=TRAINING)
