"""Processes and sockets of the endpoint: lifeline pipes, pid files, inherited sockets."""

from serving.processes.folders import bentoml_home, metrics_folder
from serving.processes.imports import keep_out_training
from serving.processes.lifeline import end_with_parent, tied

__all__ = [
    "bentoml_home",
    "end_with_parent",
    "keep_out_training",
    "metrics_folder",
    "pidfile",
    "sockets",
    "tied",
]
