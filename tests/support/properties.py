"""How many examples a property is tried with: few in `make test`, many in `make test-slow`."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUICK, WIDE = "quick", "wide"
"""Profiles; that of a run is `QUICK` unless it is started with ``--hypothesis-profile wide``."""
WIDER = 12
"""Times as many examples in the wide run."""


def register_profiles() -> None:
    """Register both profiles and load the quick one; an option of the command line is applied after that.

    The same examples on every machine and every run: a red test can be repeated, a green one is no luck.
    """
    for name, examples in ((QUICK, 25), (WIDE, 25 * WIDER)):
        settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            derandomize=True,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile(QUICK)


def examples(quick: int, *, wide: int | None = None, **options: Any) -> settings:
    """Return a decorator that says how often a property is tried.

    Parameters
    ----------
    quick
        Examples in `make test`: as many as it takes for the mutants of the property to fail.
    wide
        Examples in `make test-slow`; `WIDER` times as many where it is not said.
    options
        Other settings of Hypothesis, where they differ from those of the profile.
    """
    is_wide = settings.get_current_profile_name() == WIDE
    return settings(max_examples=(wide or quick * WIDER) if is_wide else quick, **options)


def judge_scripts(steps: st.SearchStrategy[Any], run: Callable[[list[Any]], None], *, tries: int, longest: int) -> None:
    """Run scripts of up to `longest` steps; a script that fails is cut down to the steps it takes."""

    @settings(max_examples=tries)
    @given(st.lists(steps, max_size=longest))
    def judge(script: list[Any]) -> None:
        run(script)

    judge()
