"""Processes of one endpoint: shared life, shared sockets and folders, and imports they must not load.

- `lifeline`: ends a process with the one that started it
- `folders`: folders that the processes share
- `private_folder`: folder for unix sockets that no other user reaches
- `imports`: keeps the training libraries out of a process
- `pidfile`, `sockets`: one endpoint per port, and sockets that workers inherit
"""

from serving.processes.folders import bentoml_home, metrics_folder
from serving.processes.imports import keep_out_training
from serving.processes.lifeline import end_with_parent, tied
from serving.processes.private_folder import socket_folder

__all__ = [
    "bentoml_home",
    "end_with_parent",
    "keep_out_training",
    "metrics_folder",
    "pidfile",
    "socket_folder",
    "sockets",
    "tied",
]
