"""The gateway's part of `antiphon doctor`: its port, who may come in, and its certificate.

Whatever is wrong here, voice goes on without it.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

import httpx2

from antiphon.checks import Check
from antiphon.configuration import state_dir
from antiphon.settings import Gateway, Settings
from antiphon.wire.server import ListenError, listen
from antiphon_daemon.gateway.validity import ends, trouble

NEEDED = ("fastapi", "uvicorn", "websockets", "prometheus_client", "python_multipart", "av")
"""What the extra `gateway` brings."""
ANSWER_S = 5.0
RENEW = "Renew it in its place: within a minute a daemon that runs shows the new one."


async def run(settings: Settings) -> list[Check]:
    """Check the gateway."""
    wanted = settings.gateway
    title = f"port {wanted.port} (gateway)"
    if not wanted.enabled:
        return [Check(title, None, "is switched off")]
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        return [Check(title, None, f"{missing[0]} is not installed", "Install antiphon-daemon[gateway].")]
    found = [await _port(wanted, title)]
    if wanted.certificate:
        found.append(await asyncio.to_thread(_certificate, wanted))
    return found


async def _port(wanted: Gateway, title: str) -> Check:
    from antiphon_daemon.gateway.doors import is_loopback, known_token

    try:
        token = await asyncio.to_thread(known_token, wanted, state_dir())
    except (OSError, UnicodeDecodeError):
        mend = "Run this as whom the daemon runs as, or set gateway.token_file."
        return Check(title, None, f"the token in {state_dir()} cannot be read", mend)
    needs = "for who shows the token" if token or not is_loopback(wanted.host) else "for this machine alone, no token"
    try:
        listen("gateway", wanted.host, wanted.port).close()
    except ListenError as error:
        return await _answer(wanted, title, token, needs) or Check(
            title, None, str(error), "Set gateway.port to another, or stop that program: browsers are not served."
        )
    return Check(title, True, f"is free; {needs}")


async def _answer(wanted: Gateway, title: str, token: str | None, needs: str) -> Check | None:
    """Ask the daemon that may be there; None: something else is."""
    host = wanted.host if wanted.host not in ("", "0.0.0.0", "::") else "127.0.0.1"
    at = f"{'https' if wanted.certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{wanted.port}/health"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        # Whoever listens on this machine need not prove who it is; the certificate is looked at by itself.
        async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=ANSWER_S) as http:
            answer = await http.get(at, headers=headers)
        said = answer.json()
    except (httpx2.HTTPError, ValueError):
        return None
    if answer.status_code == 200 and said == {"status": "ready"}:
        return Check(title, True, f"the daemon answers and is ready; {needs}")
    if answer.status_code == 503 and isinstance(said, dict) and "reason" in said:
        return Check(title, None, f"the daemon answers: {said['reason']}", "Try again in a moment.")
    if answer.status_code == 401:
        mend = "Run this as whom the daemon runs as, with its settings; or restart it, if its settings have changed."
        return Check(title, None, "the daemon answers, and wants another token than is known here", mend)
    return None


def _certificate(wanted: Gateway) -> Check:
    title = "certificate (gateway)"
    try:
        if wrong := trouble(wanted.certificate, wanted.key):
            return Check(title, None, wrong, RENEW)
        return Check(title, True, f"is valid until {ends(wanted.certificate, wanted.key):%Y-%m-%d}")
    except OSError as error:  # SSLError is one
        mend = "Set gateway.certificate and gateway.key to PEM files that belong together: until then it stays closed."
        return Check(title, None, f"cannot be used: {error.strerror or error}", mend)
