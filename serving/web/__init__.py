"""The HTTP and WebSocket endpoint.

- `app`: the application over a `Predictor`
- `http`: middleware, problem documents, and the description of the endpoint
- `routes`: what can be asked, a file per topic
- `streaming`: updates for subscribers
- `gauge_sampler`: gauges that no request moves
"""

__all__ = [
    "app",
    "gauge_sampler",
    "http",
    "routes",
    "streaming",
]
