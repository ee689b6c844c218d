"""What another user of this machine gets from a list of sockets; run as that user, standard library alone.

Reads JSON, ``[[kind, address, port, [[method, path], ...]], ...]``, and writes what came of each: the name of an error
or, for HTTP without credentials, the status of each request, ``login`` where it is led to one.
"""

import http.client
import json
import socket
import sys


def reach(kind, address, port, requests):
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(60)
                one.connect("\0" + address[1:] if address.startswith("@") else address)
            return "connected"
        return [ask(address, port, *request) for request in requests]
    except OSError as error:
        return type(error).__name__


def ask(address, port, method, path):
    connection = http.client.HTTPConnection(address, port, timeout=120)
    headers = {"content-type": "application/json", "origin": f"http://{address}:{port}"}
    connection.request(method, path, b"{}" if method == "POST" else None, headers)
    answer = connection.getresponse()
    connection.close()
    return "login" if (answer.getheader("location") or "").startswith("/login") else answer.status


json.dump([reach(*each) for each in json.load(sys.stdin)], sys.stdout)
