"""The dashboard: pages over the endpoint and the tables, see docs/dashboard.md.

- `dashboard_command`, `dashboard_address`: how it is started, and where it is served
- `login_link`: a link that logs a browser in, once
- `MOUNTED_ROOT`: the path of the endpoint below which it is served where it is mounted
- `app`, `dashboard`: the ASGI application of a home, and what its pages read; both load the libraries

Within the folder: `views` are pure functions from values to what is printed, `routes` read and render, `templates` hold
every text, `login` says who is logged in, `guard` and `headers` stand in front of it all.
"""

from serving.pages.launch import MOUNTED_ROOT, dashboard_address, dashboard_command, login_link

__all__ = ["MOUNTED_ROOT", "app", "dashboard", "dashboard_address", "dashboard_command", "login_link"]
