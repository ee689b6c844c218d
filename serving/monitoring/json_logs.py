"""JSON logs of the service: one object a line, with time and, where there is one, the correlation id.

The lines go to standard error, which `quantlake serve` keeps in ``logs/endpoint.log``.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from serving.api import KEY_PREFIX
from serving.monitoring.request_context import current_correlation_id

if TYPE_CHECKING:
    from lake.settings import Settings

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""Attributes of every log record; any other was passed by the caller as ``extra``."""
SECRET = re.compile(rf"\b{KEY_PREFIX}_[0-9A-Za-z-]+_[0-9A-Za-z_-]+|\beyJ[0-9A-Za-z_.-]{{8,}}")
"""Keys and tokens, cut short or whole. Nothing of ours logs one; a message of a library could."""
HIDDEN = "[secret]"
FOLLOWED = ("bentoml", "uvicorn", "uvicorn.error", "uvicorn.access", "circus")
"""Loggers whose own handlers would write another format; they are removed."""


class JsonLines(logging.Formatter):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger, event, extra fields, and the traceback of an error."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if correlation_id := current_correlation_id.get():
            fields["correlation_id"] = correlation_id
        fields |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return SECRET.sub(HIDDEN, json.dumps(fields, default=str, separators=(",", ":")))


def install(configured: "Settings") -> None:
    """Make every logger of this process write JSON lines to standard error, from the settings' level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("quantlake").setLevel(configured.log_level.upper())
    for name in FOLLOWED:
        followed = logging.getLogger(name)
        followed.handlers.clear()
        followed.propagate = True
