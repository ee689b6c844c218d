"""Live forecasts: one subscription of the process to the endpoint, handed out to the pages that are open.

- `feed`: the subscription, opened again whenever it is lost
- `fan_out`: who is told of which forecast
- `event_stream`: the response that one page reads, until its session ends or it reads too slowly
"""

from serving.pages.live.event_stream import EventStream
from serving.pages.live.fan_out import LiveForecasts, LiveReader

__all__ = ["EventStream", "LiveForecasts", "LiveReader"]
