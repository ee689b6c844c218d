"""The dashboard: pages over the endpoint and the tables, as a process of its own (docs/dashboard.md).

- `dashboard_command`, `dashboard_address`: how it is started, and where it is served
- `login_link`: a link that logs a browser in, once
- `app`: the ASGI application of a home, which loads the libraries

Within the folder: `views` are pure functions from values to what is printed, `routes` read and render, `templates` hold
every text, `login` says who is logged in, `guard` and `headers` stand in front of it all.
"""

from serving.pages.launch import dashboard_address, dashboard_command, login_link

__all__ = ["app", "dashboard_address", "dashboard_command", "login_link"]
