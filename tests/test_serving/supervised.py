"""An endpoint for the tests of the supervisor: real processes and sockets, and workers that start at once.

``supervised.py supervise`` is a supervisor of such workers, ``supervised.py parent`` a process that starts one,
``supervised.py worker SOCKET`` a worker: it answers each byte with its process id, and ``supervised.py explaining`` the
process that would compute explanations. With ``ORPHAN`` in the environment a worker does not notice the end of its
parent, with ``SICK`` it ends at once.
"""

import os
import signal
import socket
import subprocess
import sys
import threading

from serving.processes import end_with_parent, tied

THIS = (sys.executable, __file__)


def work(inherited: socket.socket) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    inherited.listen()
    while True:
        connection, _ = inherited.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    with connection:
        while connection.recv(1):
            connection.sendall(f"{os.getpid()}\n".encode())


def main() -> int:
    what = sys.argv[1]
    if what == "parent":
        return subprocess.Popen([*THIS, "supervise"], start_new_session=True, **tied(os.environ)).wait()
    if what == "supervise":
        from lake.settings import settings
        from serving.processes import pidfile
        from serving.supervision.supervisor import Supervisor

        end_with_parent()
        with pidfile.held(settings()):
            return Supervisor(settings(), command=(*THIS, "worker"), explaining=(*THIS, "explaining")).run()
    if "ORPHAN" not in os.environ:
        end_with_parent()
    if what == "explaining":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        while True:
            signal.pause()
    if "SICK" in os.environ:
        return 3
    return work(socket.socket(fileno=int(sys.argv[2])))


if __name__ == "__main__":
    sys.exit(main())
