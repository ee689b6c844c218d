"""The routes of the endpoint, a file per topic, each with `add_routes(app)`."""
