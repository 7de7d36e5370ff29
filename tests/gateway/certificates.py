"""Certificates of the test's own, made by `openssl`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

SUBJECT = ["-subj", "/CN=localhost"]


CURVE = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
RSA = ["rsa:2048"]
"""Kinds of keys."""


def make(folder: Path, days: int = 2, kind: Sequence[str] = CURVE) -> tuple[str, str]:
    """Return a certificate for this machine and its key, as files; it ended yesterday where `days` are below 0."""
    certificate, key, request = (folder / f"{days}.{end}" for end in ("crt", "key", "csr"))
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl("req", "-new", "-newkey", *kind, "-nodes", "-keyout", str(key), "-out", str(request), *SUBJECT)
    signed = ["-signkey", str(key), "-days", str(days), "-extfile", str(names)]
    _openssl("x509", "-req", "-in", str(request), *signed, "-out", str(certificate))
    return str(certificate), str(key)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
