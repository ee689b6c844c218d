"""The process that delivers alerts: ``python -m serving.supervision.alert_delivery PID`` beside the endpoint.

It needs no worker, no Redis and no table: it looks at the latch and at the book of alerts, and sends what is due.
"""

import itertools
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from lake.disk import close_new_files
from lake.settings import settings
from serving.alerting import channels_of
from serving.processes import end_with_parent
from serving.risk import deliver_round, read_latch, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from lake.settings import Settings

logger = logging.getLogger("quantlake.alerts")

ROUND_SECONDS = 2.0
SETTLE_ROUNDS = 15
"""Rounds between two attempts to bring changes of the switch into the tables."""


def run(configured: "Settings", is_over: "Callable[[], bool]") -> None:
    """Deliver until it is over; whatever goes wrong in a round is logged, and the next round tries again.

    Parameters
    ----------
    is_over
        Waits until the next round, and says whether there is none.
    """
    channels = channels_of(configured)
    if not channels:
        logger.warning("no channel for alerts is declared; `quantlake alerts list` shows them (docs/risk.md)")
    for rounds in itertools.count():
        try:
            deliver_round(configured, channels)
            if rounds % SETTLE_ROUNDS == 0 and read_latch(configured.home).events:
                settle(configured)
        except Exception:
            logger.exception("a round of delivery failed; the next one tries again")
        if is_over():
            return


def main() -> None:
    """Deliver until SIGTERM or SIGINT, or until the process that started this one, the only argument, is gone."""
    end_with_parent()
    close_new_files()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    over, parent = threading.Event(), int(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    run(settings(), lambda: over.wait(ROUND_SECONDS) or os.getppid() != parent)


if __name__ == "__main__":
    main()
