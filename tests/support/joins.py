"""A point-in-time join that leaks: the mutant that oracles of the join have to notice."""

from typing import Any

import numpy as np

from feature_repo.feast_store import point_in_time

HONEST = point_in_time._newest_usable


def without_the_known_time(asked_code: Any, asked_at: Any, rows: Any) -> Any:
    """Use every row from its event time on, whenever it was known: the mutant."""
    newest = rows.take(np.lexsort((rows.known, rows.event, rows.code)))
    is_last = np.append((np.diff(newest.code) != 0) | (np.diff(newest.event) != 0), True)
    newest = newest.take(is_last)
    return HONEST(asked_code, asked_at, newest._replace(known=newest.event))
