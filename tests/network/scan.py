"""Tries every TCP port of an address, and prints those that answer: `scan.py ADDRESS`."""

from __future__ import annotations

import errno
import socket
import sys

WAIT_S = 2.0


def answers(host: str, port: int) -> bool:
    """Return whether a port takes a connection.

    Raises:
        OSError: neither that nor a refusal comes: the address cannot be reached, or something swallows what is sent.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.settimeout(WAIT_S)
        code = one.connect_ex((host, port))
    if code not in (0, errno.ECONNREFUSED):
        raise OSError(code, f"port {port}: {errno.errorcode.get(code, code)}")
    return code == 0


print(*(port for port in range(1, 65536) if answers(sys.argv[1], port)))
