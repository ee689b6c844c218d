"""The endpoint's processes: a supervisor, its workers, and the commands that start them.

- `launch`: command and environment of the service
- `supervisor`, `worker`: ``python -m serving.supervision`` and what it starts
"""

from serving.supervision.launch import follow_registry_command, serve_command, serve_environment

__all__ = [
    "follow_registry_command",
    "serve_command",
    "serve_environment",
]
