"""Writes the files of the boards: ``python -m serving.monitoring.grafana_dashboard``."""

from serving.monitoring.grafana_dashboard import write_boards

if __name__ == "__main__":
    write_boards()
