"""What another user of this machine gets from a list of sockets; run as that user, standard library alone.

Reads JSON, ``[[kind, address, port, [[method, path], ...]], ...]``, and writes what came of each: the name of an error
or, for HTTP without credentials, the status of each request.
"""

import http.client
import json
import socket
import sys


def reach(kind, address, port, requests):
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(10)
                one.connect("\0" + address[1:] if address.startswith("@") else address)
            return "connected"
        return [ask(address, port, *request) for request in requests]
    except OSError as error:
        return type(error).__name__


def ask(address, port, method, path):
    connection = http.client.HTTPConnection(address, port, timeout=30)
    headers = {"content-type": "application/json", "origin": f"http://{address}:{port}"}
    connection.request(method, path, b"{}" if method == "POST" else None, headers)
    status = connection.getresponse().status
    connection.close()
    return status


json.dump([reach(*each) for each in json.load(sys.stdin)], sys.stdout)
