"""A certificate that is renewed while the gateway runs: authorities give them for weeks, and a daemon runs for months.

The files are looked at, as those of the settings are. Two that do not belong together, of which one is still to be
written, leave in place what is shown. One that nobody renews is told of in the log before it ends, and when it has:
browsers shut out a gateway that is otherwise well.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from dataclasses import dataclass
from functools import partial

import structlog

from antiphon.places import Stamp, stamp
from antiphon_daemon.gateway.validity import trouble

LOOK_S = 60.0
VALID_S = 3600.0
"""How often it is looked at whether what is shown is valid still."""
NO_PASSWORD = "none"
"""A key that has a password would be asked for on the terminal."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Files:
    """Where a certificate and its key are; the key may be in the certificate's file."""

    certificate: str
    key: str

    def look(self) -> tuple[Stamp | None, ...]:
        """Return what their content is known by."""
        return tuple(stamp(path) for path in (self.certificate, self.key) if path)

    def read(self) -> ssl.SSLContext:
        """Return a context that shows the certificate.

        Raises:
            OSError: they cannot be read, or do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key or None, NO_PASSWORD)
        return context

    def tell_trouble(self, told: str) -> str:
        """Log what is wrong with the certificate today, or soon, unless that was `told`; return it."""
        try:
            wrong = trouble(self.certificate, self.key)
        except OSError:  # files that do not belong together yet are not what is shown
            return told
        if wrong and wrong != told:
            log.warning(f"the gateway's certificate {wrong}: renew it in its place", path=self.certificate)
        return wrong


async def renew(context: ssl.SSLContext, files: Files, seen: tuple[Stamp | None, ...]) -> None:
    """Keep what those are shown who connect by `context` to the files until cancelled.

    A certificate whose key is of another kind (RSA, elliptic curves) would not take the place of the one before in
    the same context: it would stand beside it, and most would still be shown the old one.

    Args:
        seen: what they were known by before they were read.
    """
    loop = asyncio.get_running_loop()
    told, looked_at = "", -math.inf
    while True:
        if loop.time() - looked_at >= VALID_S:
            told, looked_at = await asyncio.to_thread(files.tell_trouble, told), loop.time()
        await asyncio.sleep(LOOK_S)
        before, seen = seen, await asyncio.to_thread(files.look)
        if seen == before:
            continue
        try:
            renewed = await asyncio.to_thread(files.read)
        except OSError as error:
            log.warning("the gateway's new certificate cannot be used", why=error.strerror or str(error))
        else:
            context.sni_callback = partial(_show, renewed)  # called without a name, too
            log.info("the gateway shows the renewed certificate")
            told, looked_at = "", -math.inf  # it has troubles of its own


def _show(renewed: ssl.SSLContext, connection: ssl.SSLObject | ssl.SSLSocket, *_: object) -> None:
    connection.context = renewed
