"""``python -m feature_repo.compute``: compile the kernel of every declared feature, so that no run waits for it."""

import sys
import time

from feature_repo.catalog import GROUPS
from feature_repo.panel import compute_group
from lake.testing import tiny_market
from lake.universe import MARKET


def compile_kernels() -> None:
    """Compute every feature of a tiny market once; what is compiled is kept on disk."""
    bars = tiny_market(["AAA", MARKET], 3, seed=0)
    for group in GROUPS:
        compute_group(bars, group)


if __name__ == "__main__":
    started = time.perf_counter()
    compile_kernels()
    features = sum(len(group.features) for group in GROUPS)
    sys.stdout.write(
        f"Compiled {features} features of {len(GROUPS)} groups in {time.perf_counter() - started:.0f} s.\n"
    )
