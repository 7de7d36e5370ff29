"""What language models on a server have in common: the way there, and what is said when it is blocked."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx2

from antiphon.places import at_home
from antiphon.settings import HomeAssistant, Llm, Stt, Tts
from antiphon.text import whole
from antiphon_daemon.engines.contracts import EngineError, Fault, Stage

LOAD_S = 300.0
"""A server may take so long to load a large model from a slow disk."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
OF_THE_HOUSE = (".local", ".localhost", ".lan", ".home.arpa", ".internal")
"""Domains that are nobody's on the Internet; nor is a name without a dot, such as a container's."""


def is_near(url: str) -> bool:
    """Return whether the server is this machine or in this network: no proxy stands between, and asking is free."""
    host = urlsplit(url if "//" in url else f"//{url}").hostname or "localhost"
    try:
        return ip_address(host).is_private
    except ValueError:
        name = host.rstrip(".")
        return "." not in name or name.endswith(OF_THE_HOUSE)


def shown(url: str) -> str:
    """Return a server's address as it may be shown: without the name and password that may stand in it."""
    scheme, slashes, rest = url.partition("//") if "//" in url else ("", "", url)
    place, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{place.rpartition('@')[2]}{slash}{path}"


def proxied(url: str, stage: Stage) -> bool:
    """Return whether the proxies of the environment stand before a server, as httpx wants it told (`trust_env`).

    Raises:
        EngineError: they do, and one of them is of a kind that cannot be used.
    """
    if is_near(url):
        return False
    if wrong := wrong_proxy():
        raise EngineError(stage, f"{shown(url)} cannot be asked: {wrong}")
    return True


def wrong_proxy() -> str:
    """Return what is wrong with the proxies that the environment names; empty: nothing."""
    try:
        httpx2.Client(verify=False).close()  # nothing is asked
    except (ImportError, ValueError, httpx2.InvalidURL):
        named = ", ".join(name for name in os.environ if name.upper() in PROXIES)
        return f"only http:// and https:// proxies can be used: correct {named}, or unset it."
    return ""


def stage_of(section: str) -> Stage:
    """Return the stage that a section of the settings is about; Home Assistant's is a language model's."""
    return "stt" if section == "stt" else "tts" if section == "tts" else "llm"


def trusted(settings: Llm | HomeAssistant | Stt | Tts, section: str = "llm") -> ssl.SSLContext | bool:
    """Return whose certificates are believed, as httpx wants it told: those of the system, and the `ca_file`.

    Args:
        section: the name of the settings, for the sentence that says what is wrong.

    Raises:
        EngineError: the file cannot be read or holds no certificate.
    """
    if not settings.ca_file:
        return True
    path = at_home(settings.ca_file)
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        says = f"The file {path} holds no certificate in PEM: correct {section}.ca_file."
        raise EngineError(stage_of(section), says) from None
    except OSError as error:
        says = f"The file {path} cannot be read ({error.strerror}): correct {section}.ca_file."
        raise EngineError(stage_of(section), says) from None
    return context


def tls_error(error: BaseException, url: str, section: str = "llm") -> EngineError | None:
    """Return what to say when it was encryption that failed, None when it was not."""
    for one in _causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return EngineError(stage_of(section), _untrusted(one, url, section))
        if isinstance(one, ssl.SSLError):
            says = f"Encryption with {url} failed ({one.reason}): should {section}.url begin with http or https?"
            return EngineError(stage_of(section), says)
    return None


def _untrusted(error: ssl.SSLCertVerificationError, url: str, section: str) -> str:
    """Return why a certificate is not believed, and what mends that: by the clock, no file of a signer does."""
    clock = f"this machine's clock, which says {datetime.now(UTC):%Y-%m-%d}"
    match error.verify_code:
        case 9:  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID
            return f"The certificate of {url} is not valid yet: set {clock}, or have it made anew there."
        case 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            return f"The certificate of {url} has expired: have it renewed there, or set {clock}."
        case 62 | 64:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            why = error.verify_message.rstrip(".")
            return f"The certificate of {url} is for another name ({why}): correct {section}.url."
    return (
        f"The certificate of {url} is not trusted ({error.verify_message}): name the file of whoever signed it in "
        f"{section}.ca_file, or correct {section}.url."
    )


def nothing_said(model: str, thought: bool) -> EngineError:
    """Return what to say of a model that has ended without a word, or with thoughts alone."""
    if thought:
        says = f"The model {model} only thought and answered nothing: raise llm.reply_tokens, or take another model."
    else:
        says = f"The model {model} answered nothing: ask again, or take another model."
    return EngineError("llm", says, Fault.EMPTY)


def words(body: object) -> str:
    """Return what a server says of a failure; empty: nothing for people.

    Args:
        body: its answer. Beside OpenAI's `{error: {message}}` there are `{error: "…"}` (LM Studio), `{detail: "…"}`,
            `{detail: {message}}` and `{detail: [{loc, msg}]}` (whatever is made with FastAPI), and plain text.
    """
    match body:
        case str():
            return "" if body.lstrip().startswith("<") else body
        case {"message": str(said)} if said:
            return said
        case {"msg": str(said), "loc": [*_, field]}:
            return f"{field}: {said}"
        case {"detail": inner} | {"error": inner}:
            return words(inner)
        case list():
            return "; ".join(filter(None, map(words, body)))
    return ""


def reason(message: str, body: object) -> str:
    """Return why a server refused a request: the status that `message` names, and what the server says."""
    said = words(body)
    return message if said in message else f"{message} - {said}"


def one_line(text: object) -> str:
    """Return a server's words as part of a sentence that can be sent: JSON may hold halves of characters."""
    return whole(" ".join(str(text).split())[:200].rstrip("."))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
