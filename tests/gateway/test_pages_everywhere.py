"""Both pages in a headless Chromium, as browsers and houses differ: what is kept, tokens, keyboards, writing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from browser import CHROMIUM, Microphone, Tab, chromium, tab
from playwright.sync_api import Browser, expect
from pydantic import SecretStr
from scripted import Tones

from .opening import daemon

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

KEEPS_NOTHING = """
for (const name of ['localStorage', 'sessionStorage']) {
  Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
}
"""
"""As a browser in which all that pages keep is blocked."""
LOCKS = """
window.locks = [];
Object.defineProperty(navigator, 'wakeLock', { value: {
  request: async () => {
    const lock = { held: true, release: async () => (lock.held = false) };
    window.locks.push(lock);
    return lock;
  },
} });
"""
"""Keeps the locks that keep a screen awake."""
HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
PLUG = """
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await ask(wanted));
window.unplug = () => {
  for (const track of stream.getTracks()) {
    track.stop();
    track.dispatchEvent(new Event('ended'));
  }
};
window.plug = () => navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
"""
"""A microphone that can be taken away."""
PRESS = """([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, bubbles: true }))"""
SIDES = """() => [...document.querySelectorAll('.said p')].map((one) => {
  const words = document.createRange(), all = document.createRange();
  const text = one.firstChild;
  words.setStart(text, text.length - 1);
  words.setEnd(text, text.length);
  all.selectNodeContents(one);
  const [mark, line] = [words.getBoundingClientRect(), all.getBoundingClientRect()];
  return mark.left + mark.width / 2 < line.left + line.width / 2 ? 'left' : 'right';
})"""
"""At which side of its line each entry ends."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Microphone(tmp_path_factory.mktemp("microphone") / "silence.wav").path) as one:
        yield one


@pytest.fixture(scope="module")
def gateway() -> Iterator[Any]:
    with daemon(Tones()) as one:
        yield one


@pytest.fixture
def page(browser: Browser) -> Iterator[Tab]:
    """Return a tab; that what it asks for is not there, or not given, is no fault of its own."""
    with tab(browser, locale="en-US") as one:
        yield one
        missing = ("Failed to load resource", "WebSocket connection", "WebSocket is already in CLOSING")
        one.faults = [fault for fault in one.faults if not any(why in fault for why in missing)]


def write(page: Tab, text: str) -> None:
    page.page.get_by_label("Type instead of speaking").fill(text)
    page.press("Send")


def test_a_browser_that_lets_pages_keep_nothing_shows_both(page: Tab, gateway: Any) -> None:
    page.page.add_init_script(KEEPS_NOTHING)
    page.page.goto(f"http://localhost:{gateway.port}/client#token=any")
    page.press("Settings")
    page.page.get_by_label("Language of this page").select_option("ko")
    page.page.get_by_role("button", name="닫기").click()
    page.page.get_by_role("button", name="연결", exact=True).click()
    page.state("듣고 있습니다")
    page.page.goto(f"http://localhost:{gateway.port}/dashboard")
    expect(page.page.locator("#link-state")).to_have_text("Live")


@pytest.mark.parametrize("token", ["열려라 참깨", "a+b/c=", "50%&more"])
def test_a_token_of_any_letters_is_shown_rightly_by_both_pages(page: Tab, token: str) -> None:
    """Headers hold no letters beyond Latin-1, and in what stands behind a `?` a plus is a blank."""
    with daemon(Tones(), token=SecretStr(token)) as gateway:
        for given in (token, quote(token)):
            page.page.goto(f"http://localhost:{gateway.port}/client#token={given}")
            page.press("Connect")
            page.state("Listening")
            page.page.goto("about:blank")
        page.page.goto(f"http://localhost:{gateway.port}/dashboard")
        expect(page.page.locator("#link-state")).to_have_text("Live")
        page.page.evaluate("sessionStorage.clear()")
        page.page.reload()
        for wrong in ("틀린 토큰", token):
            page.page.get_by_label("Token", exact=True).fill(wrong)
            page.press("Go on")
            if wrong != token:
                expect(page.page.get_by_text("This token is not the right one.")).to_be_visible()
        expect(page.page.locator("#link-state")).to_have_text("Live")


def test_what_was_typed_stands_in_its_field_again_where_no_token_is_given(page: Tab) -> None:
    with daemon(Tones(), token=SecretStr("open-sesame")) as gateway:
        page.page.goto(f"http://localhost:{gateway.port}/client")
        field = page.page.get_by_label("Type instead of speaking")
        for leave in ("Cancel", "Escape"):
            write(page, "Remind me of the milk")
            expect(page.page.get_by_label("Token", exact=True)).to_be_visible()
            expect(field).to_have_value("")
            if leave == "Cancel":
                page.press("Cancel")
            else:
                page.page.keyboard.press("Escape")
            expect(field).to_have_value("Remind me of the milk")
        page.press("Send")
        page.page.get_by_label("Token", exact=True).fill("open-sesame")
        page.press("Go on")
        page.until("got", "turn")
        assert [message["content"] for message in page.sent if message["type"] == "text"] == ["Remind me of the milk"]
        expect(field).to_have_value("")


def test_a_phone_that_was_put_aside_is_kept_awake_again(page: Tab, gateway: Any) -> None:
    """A browser takes the lock away from a page that hides, and gives it back to nobody by itself."""
    page.page.add_init_script(LOCKS)
    page.page.goto(f"http://localhost:{gateway.port}/client")
    page.press("Connect")
    page.state("Listening")
    page.page.wait_for_function("() => locks.length === 1")
    page.page.evaluate(f"() => {{ for (const hidden of [true, false]) ({HIDE})(hidden); }}")
    page.page.wait_for_function("() => locks.map((lock) => lock.held).join() === 'false,true'", timeout=5000)


def test_a_microphone_that_is_back_before_the_daemon_is_listened_to(page: Tab) -> None:
    page.page.add_init_script(PLUG)
    with daemon(Tones()) as gone:
        page.page.goto(f"http://localhost:{gone.port}/client")
        page.press("Connect")
        page.state("Listening")
    page.state("Connection lost")
    page.page.evaluate("unplug()")
    expect(page.page.get_by_role("alert").filter(has_text="microphone is gone")).to_be_visible()
    page.page.evaluate("plug()")
    with daemon(Tones(), port=gone.port):
        page.state("Listening")
        expect(page.page.get_by_role("alert")).to_have_count(0)


def test_the_key_that_says_m_mutes_on_every_keyboard(page: Tab, gateway: Any) -> None:
    page.page.goto(f"http://localhost:{gateway.port}/client")
    page.press("Connect")
    page.state("Listening")
    presses = (("m", "Semicolon", "Muted"), (",", "KeyM", "Muted"), ("ㅡ", "KeyM", "Listening"), ("M", "KeyM", "Muted"))
    for key, code, state in presses:  # French, French, Korean, English
        page.page.evaluate(PRESS, [key, code])
        page.page.wait_for_timeout(200)
        page.state(state)


def test_what_is_written_from_right_to_left_ends_at_the_left(page: Tab, gateway: Any) -> None:
    page.page.goto(f"http://localhost:{gateway.port}/client")
    field = page.page.get_by_label("Type instead of speaking")
    field.fill("שלום, עולם!")
    assert page.page.evaluate("getComputedStyle(document.getElementById('say')).direction") == "rtl"
    page.press("Send")
    page.until("got", "turn")
    assert page.page.evaluate(SIDES) == ["left", "right"]


def test_a_phone_on_its_side_shows_the_field_and_a_timer(page: Tab, gateway: Any) -> None:
    page.page.set_viewport_size({"width": 740, "height": 360})
    page.page.goto(f"http://localhost:{gateway.port}/client")
    write(page, "Set a timer for ten minutes.")
    expect(page.page.locator("#timer-list li")).to_have_count(1)
    assert page.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    expect(page.page.get_by_label("Type instead of speaking")).to_be_in_viewport(ratio=1)
