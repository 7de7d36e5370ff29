"""`/client` in a headless Chromium, when the daemon is away, is busy, or wants a token; its engines follow a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from browser import CHROMIUM, Microphone, Tab, chromium, tab
from playwright.sync_api import Browser, WebSocketRoute, expect
from pydantic import SecretStr
from scripted import Tones

from .opening import daemon

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

TOKEN = "open-sesame"
HESITATE = """
(() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const allowed = new Promise((resolve) => (window.allow = resolve));
  navigator.mediaDevices.getUserMedia = (wanted) => allowed.then(() => ask(wanted));
})();
"""
"""Somebody thinks about whether the page may have the microphone, until they call `allow`."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Microphone(tmp_path_factory.mktemp("microphone") / "silence.wav").path) as one:
        yield one


@pytest.fixture(scope="module")
def gateway() -> Iterator[Any]:
    with daemon(Tones()) as one:
        yield one


@pytest.fixture(scope="module")
def closed_house() -> Iterator[Any]:
    """Return the gateway of a daemon that wants a token."""
    with daemon(Tones(), token=SecretStr(TOKEN)) as one:
        yield one


@pytest.fixture
def page(browser: Browser) -> Iterator[Tab]:
    """Return a tab; that what it asks for is not there is no fault of its own."""
    with tab(browser, locale="en-US") as one:
        yield one
        missing = ("Failed to load resource", "WebSocket connection")
        one.faults = [fault for fault in one.faults if not any(why in fault for why in missing)]


def write(page: Tab, text: str) -> None:
    page.page.get_by_label("Type instead of speaking").fill(text)
    page.press("Send")


def test_a_daemon_that_was_away_at_first_is_heard_and_hears_once_it_is_there(page: Tab) -> None:
    with daemon(Tones()) as gone:
        page.page.goto(f"http://localhost:{gone.port}/client")
    page.press("Connect")
    expect(page.page.get_by_role("alert")).to_contain_text("is the daemon running?")
    expect(page.page.get_by_role("alert")).to_have_count(1)
    with daemon(Tones(), port=gone.port):
        page.state("Listening")
        expect(page.page.get_by_role("alert")).to_have_count(0)
        write(page, "hello")
        page.until("sent", "played", ms=None)
        assert page.frames, "it does not hear"


def test_a_microphone_whose_module_did_not_come_is_opened_once_the_daemon_is_there(page: Tab) -> None:
    with daemon(Tones()) as gone:
        page.page.goto(f"http://localhost:{gone.port}/client")
        write(page, "hello")
        page.until("sent", "played", ms=None)
    page.state("Connection lost")
    page.press("Disconnect")
    page.press("Connect")
    expect(page.page.get_by_role("alert")).to_contain_text("is the daemon running?")
    with daemon(Tones(), port=gone.port):
        page.state("Listening")
        expect(page.page.get_by_role("alert")).to_have_count(0)


def test_a_daemon_that_has_no_time_is_asked_again(page: Tab, gateway: Any) -> None:
    address = f"http://localhost:{gateway.port}"
    page.page.goto(f"{address}/client")
    body = {"error": {"code": "too_many_requests", "message": "80 requests are being answered"}}
    page.page.route(f"{address}/", lambda route: route.fulfill(status=503, json=body))
    page.press("Connect")
    expect(page.page.get_by_role("alert")).to_contain_text("no time")
    write(page, "hello")
    write(page, "there")
    page.page.unroute(f"{address}/")
    page.state("Listening")
    expect(page.page.get_by_role("alert")).to_have_count(0)
    page.until("got", "turn")
    assert [message["content"] for message in page.sent if message["type"] == "text"] == ["hello there"]


def test_what_was_typed_into_a_dying_connection_stands_there_again(page: Tab, gateway: Any) -> None:
    """It goes with the next message where something else is being typed already."""

    dying: list[WebSocketRoute] = []
    lost: list[str] = []

    def takes_no_text(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        dying.append(socket)

        def pass_on(said: str | bytes) -> None:
            if len(lost) < 2 and '"text"' in str(said):
                lost.append(str(said))
            else:
                server.send(said)

        socket.on_message(pass_on)

    def die(after: int) -> None:
        while len(lost) < after:
            page.page.wait_for_timeout(20)
        dying[-1].close()

    page.page.route_web_socket(re.compile("/ws"), takes_no_text)
    page.page.goto(f"http://localhost:{gateway.port}/client")
    page.press("Connect")
    page.state("Listening")
    field = page.page.get_by_label("Type instead of speaking")
    write(page, "Remind me of the milk")
    die(after=1)
    expect(field).to_have_value("Remind me of the milk")
    page.state("Listening")
    field.press("Enter")
    page.page.keyboard.type("And")
    die(after=2)
    expect(page.page.locator(".said.user p")).to_have_text("Remind me of the milk")
    expect(field).to_have_value("And")


def test_a_microphone_that_is_allowed_after_the_token_was_given_is_listened_to(page: Tab, closed_house: Any) -> None:
    page.page.add_init_script(HESITATE)
    page.page.goto(f"http://localhost:{closed_house.port}/client")
    page.press("Connect")
    page.page.get_by_label("Token", exact=True).fill(TOKEN)
    page.press("Go on")
    page.state("Ready")
    page.page.evaluate("allow()")
    page.state("Listening")


def test_a_token_of_an_address_is_taken_by_a_page_that_is_there_already(page: Tab, closed_house: Any) -> None:
    address = f"http://localhost:{closed_house.port}/client"
    page.page.goto(address)
    page.page.goto(f"{address}#token=wrong")
    expect(page.page).to_have_url(address)
    page.press("Connect")
    expect(page.page.get_by_text("This token is not the right one.")).to_be_visible()
    page.page.goto(f"{address}#token={TOKEN}")
    page.state("Listening")
    expect(page.page).to_have_url(address)
