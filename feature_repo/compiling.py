"""``python -m feature_repo.compiling``: compile the kernel of every declared feature, so that no run waits for it."""

import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from feature_repo.catalog import GROUPS
from feature_repo.compute.kernel import compiled_to
from feature_repo.engines import compute_group
from lake.sources.generated import tiny_market
from lake.universe import MARKET


def compile_kernels() -> int:
    """Compile each kernel once, on all cores; what is compiled is kept on disk, what older sources gave is not.

    Returns
    -------
    int
        How many there are.
    """
    shapes = {(f.function.name, *map(type, f.parameters)): f.name for group in GROUPS for f in group}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        list(processes.map(_compile, shapes.values()))
    for older in set(compiled_to().parent.glob("kernels-*")) - {compiled_to()}:
        shutil.rmtree(older, ignore_errors=True)
    return len(shapes)


def _compile(name: str) -> None:
    features = [feature for group in GROUPS for feature in group if feature.name == name]
    compute_group(tiny_market(["AAA", MARKET], 3, seed=0), features)


if __name__ == "__main__":
    started = time.perf_counter()
    count = compile_kernels()
    sys.stdout.write(f"Compiled {count} feature kernels in {time.perf_counter() - started:.0f} s.\n")
