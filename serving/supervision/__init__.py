"""The endpoint's processes: a supervisor, its workers, and how each of them ends with the process that started it."""

from serving.supervision.launch import follow_registry_command, serve_command, serve_environment

__all__ = [
    "follow_registry_command",
    "serve_command",
    "serve_environment",
]
