"""Kernels compiled before they are needed, on all cores: ``python -m feature_repo.compiling`` compiles every one.

Every kernel compiles by itself when it is first called. This is for commands that are about to call many, while
somebody waits.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from feature_repo.catalog import GROUPS
from feature_repo.compute.kernel import Kernel, compiled_to
from feature_repo.spec import FeatureGroup


def _unshown(done: Iterable[None], _total: int) -> Iterable[None]:
    return done


def compile_kernels(
    groups: Iterable[FeatureGroup] = GROUPS,
    tell: Callable[[str], object] = lambda _: None,
    shown: Callable[[Iterable[None], int], Iterable[None]] = _unshown,
) -> int:
    """Compile the kernels of some groups that no process has compiled yet; what older sources gave is removed.

    Parameters
    ----------
    tell
        Gets one sentence before the work begins, and none where there is no work.
    shown
        Gets the kernels as they are done and how many there are, and passes them on: a bar, for instance.

    Returns
    -------
    int
        How many were compiled.
    """
    missing = {kernel.name: name for name, kernel in _kernels(groups).items() if not kernel.is_on_disk}
    if not missing:
        return 0
    tell(f"compiling {len(missing)} feature kernels, once (about half a minute for all of them) ...")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        list(shown(processes.map(_compile, missing.values()), len(missing)))
    for older in set(compiled_to().parent.glob("kernels-*")) - {compiled_to()}:
        shutil.rmtree(older, ignore_errors=True)
    return len(missing)


def _kernels(groups: Iterable[FeatureGroup]) -> dict[str, Kernel]:
    """One feature's name and kernel per kernel."""
    return {feature.name: feature.function for feature in {f.function.name: f for g in groups for f in g}.values()}


def _compile(feature: str) -> None:
    _kernels(GROUPS)[feature].compile()


if __name__ == "__main__":
    started = time.perf_counter()
    count = compile_kernels()
    sys.stdout.write(f"Compiled {count} feature kernels in {time.perf_counter() - started:.0f} s.\n")
