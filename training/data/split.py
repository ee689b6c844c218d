"""Which rows train, validate and test: the type that cuts windows in `dataset` and is made in `splits`."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np


@dataclass(frozen=True)
class Split:
    """Rows by number in the frame of keys that was split.

    Parameters
    ----------
    name
        The test interval, e.g. ``2009``, or ``champion`` for the split that judges nothing.
    train, valid, test
        Row numbers, ascending. `valid` is the tail of the training interval, for early stopping.
    valid_start, test_start
        First instants of validation and test; `test_start` is the end of knowledge where there is no test.
    cuts
        Instants before which labels of training, validation and test end. A window with a label on either side of its
        cut is in its part with the earlier one: `WindowSet.parts_of`.
    """

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    valid_start: datetime
    test_start: datetime
    cuts: tuple[datetime, datetime, datetime]
