"""The endpoint's processes: a supervisor, what it starts, and the commands that start it.

- `launch`: command and environment of the service
- `supervisor`, `slots`: ``python -m serving.supervision``, and when a process of it is started again
- `alert_delivery`: what delivers alerts beside the service
- `worker`: what answers requests; `serving.explain.worker` is what computes explanations
"""

from serving.supervision.launch import (
    deliver_alerts_command,
    follow_registry_command,
    serve_command,
    serve_environment,
)

__all__ = [
    "deliver_alerts_command",
    "follow_registry_command",
    "serve_command",
    "serve_environment",
]
