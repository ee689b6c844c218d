"""``python -m serving.supervision``: the endpoint of the settings in the environment, until SIGTERM or SIGINT."""

import sys

from lake.errors import ConfigError
from lake.settings import settings
from serving.access import require_safe_address
from serving.monitoring import json_logs
from serving.processes import end_with_parent, pidfile
from serving.supervision.supervisor import Supervisor


def main() -> int:
    """Supervise the workers; the exit code is 1 where none could be started."""
    end_with_parent()
    configured = settings()
    json_logs.install(configured)
    try:
        require_safe_address(configured)
        with pidfile.held(configured):
            return Supervisor(configured).run()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
