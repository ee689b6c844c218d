"""The HTTP and WebSocket endpoint."""
