"""Figures beside their rivals: `make bench`. The helpers of the tests, in tests/support, serve here too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
