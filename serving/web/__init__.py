"""The HTTP and WebSocket endpoint."""

__all__ = [
    "app",
    "http",
    "routes",
    "watching",
]
