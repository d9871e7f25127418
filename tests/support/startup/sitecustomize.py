"""Python imports this when it starts, if its folder is on PYTHONPATH: what a test asks of it.

AUDIT_LOG names a file, to which each process adds a line of JSON for all that is about to leave it;
ABSENT names modules, parted by commas, that are not to be found; FATAL the end of a file's name,
and whoever opens such a file is killed.
"""

import json
import os
import signal
import sys

LEAVING = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
    "socket.sendto", "socket.sendmsg", "urllib.Request", "http.client.connect", "ftplib.connect",
    "smtplib.connect", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _told(event, args):
    """Return the event and what it is about, or None if that is of no interest."""
    if event == "open":
        path, _, flags = args
        writing = isinstance(path, (str, bytes)) and isinstance(flags, int) and flags & WRITING
        return ["write", os.path.abspath(os.fsdecode(path))] if writing else None
    if event == "os.mkdir":
        return ["write", os.path.abspath(os.fsdecode(args[0]))]
    if event in LEAVING:
        return [event, " ".join(map(repr, args))[:300]]
    return None


def _watch(log):
    busy = []  # what is written down is not itself to be written down

    def hook(event, args):
        if busy:
            return
        busy.append(1)
        try:
            told = _told(event, args)
            if told:
                os.write(log, (json.dumps(told) + "\n").encode())
        finally:
            busy.pop()

    sys.addaudithook(hook)


def _die(name):
    def hook(event, args):
        if event == "open" and isinstance(args[0], str) and args[0].endswith(name):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if "FATAL" in os.environ:
    _die(os.environ["FATAL"])

if "AUDIT_LOG" in os.environ:
    _watch(os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666))


class _Absent:
    """Stands before what finds modules, and finds none of some."""

    names = frozenset(os.environ.get("ABSENT", "").split(","))

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, _Absent())
