"""What every request passes through, what it is told when it is refused, and how the endpoint is described."""

from serving.web.http.hosts import Hosts

__all__ = ["Hosts", "connections"]
