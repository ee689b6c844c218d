"""A client that asks for one detailed explanation after the other until it is ended; then it prints how many it got.

It runs as a process of its own, so that it takes nothing from the client whose times are measured. It reads the ids of
the forecasts from standard input, and the home from the environment.
"""

import signal
import sys

import httpx

from lake.settings import settings
from serving.access import local_address, local_key

EXPLAIN = "/api/v1/public/explain/prediction"


def main() -> None:
    """Ask until SIGTERM."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    done, configured = 0, settings()
    with httpx.Client(
        base_url=local_address(configured), headers={"x-api-key": local_key(configured)}, timeout=60
    ) as client:
        for forecast_id in sys.stdin.read().split():
            if ended:
                break
            body = {"prediction_id": forecast_id, "explanation_type": "detailed"}
            client.post(EXPLAIN, json=body).raise_for_status()
            done += 1
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main()
