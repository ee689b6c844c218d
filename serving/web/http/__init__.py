"""HTTP layer: middleware, problem documents, and the OpenAPI description."""

from serving.web.http.hosts import Hosts

__all__ = ["Hosts", "connections"]
