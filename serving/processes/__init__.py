"""Processes and sockets of the endpoint: lifeline pipes, pid files, inherited sockets."""
