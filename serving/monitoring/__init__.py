"""What an operator's tools read: a Grafana dashboard, alert rules, how Prometheus scrapes, and the page about them."""
