"""How long a certificate is valid, for the log of a daemon that shows it and for `antiphon doctor`."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

SOON_DAYS = 14
"""A certificate that ends so soon should have been renewed."""
NOT_YET = 9
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID."""


def ends(certificate: str, key: str) -> datetime:
    """Return until when a certificate is valid, by showing it to ourselves: a handshake with nobody in between.

    Raises:
        ssl.SSLCertVerificationError: it is not valid now.
        OSError: certificate or key cannot be used.
    """
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate, key or None, password="none")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours.check_hostname = False
    ours.load_verify_locations(certificate)
    ours.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it stands for itself, whoever signed it
    to_them, to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_us, to_them)
    server = theirs.wrap_bio(to_them, to_us, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = client.getpeercert()
    assert shown is not None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def trouble(certificate: str, key: str) -> str:
    """Return what is wrong with a certificate today, or soon; empty: nothing.

    Raises:
        OSError: certificate or key cannot be used.
    """
    try:
        until = ends(certificate, key)
    except ssl.SSLCertVerificationError as error:
        by = f", by this machine's clock ({datetime.now(UTC):%Y-%m-%d})" if error.verify_code == NOT_YET else ""
        return f"is not valid: {error.verify_message}{by}"
    days = (until - datetime.now(UTC)).days
    return f"is valid until {until:%Y-%m-%d}, {days} days from now" if days < SOON_DAYS else ""
