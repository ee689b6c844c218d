"""For tests that embed: the packaged embedder, or the reason why there is none."""

import os
from functools import cache

import pytest

from lake.settings import Settings
from serving.embedding import Embedder, find_files, open_embedder

MISSING = "no embedder is installed: make embedder"


def require_embedder() -> None:
    """Skip the test with the reason where no embedder is installed; under ``CI=true`` it fails.

    Whether the files are whole is not asked: that is what the tests are about.
    """
    if find_files(Settings()) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)


@cache
def packaged_embedder() -> Embedder:
    """Return the packaged embedder, opened once; see `require_embedder`."""
    require_embedder()
    made = open_embedder(Settings())
    assert made is not None
    return made
