"""`/client` in a headless Chromium, against a real daemon: somebody speaks, listens, interrupts, types and looks.

SCREENSHOTS=FOLDER keeps pictures of every look.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import CHROMIUM, Microphone, Tab, chromium, tab
from playwright.sync_api import Browser, expect
from pydantic import SecretStr
from speech import Say, silence

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Gateway
from antiphon_daemon import app
from antiphon_daemon.engines.work import Token

from .conftest import _seen, quiet_settings

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
Running = tuple[int, Any, Any]
LONG = "Tell me a long story about the sea and the ships that sail on it."
TOKEN = "open-sesame"
ELSEWHERE = "antiphon.test"
"""A name of this machine that browsers do not take for it: pages from there are not secure."""
PICTURES = Path(os.environ["SCREENSHOTS"]) if "SCREENSHOTS" in os.environ else None
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Microphone:
    return Microphone(tmp_path_factory.mktemp("microphone") / "heard.wav")


@pytest.fixture(scope="module")
def browser(microphone: Microphone) -> Iterator[Browser]:
    with chromium(microphone.path, f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1") as one:
        yield one


@pytest.fixture
def page(browser: Browser, running: Running, microphone: Microphone) -> Iterator[Tab]:
    """Return a tab in which the page was opened; nobody speaks."""
    microphone.hears(silence(1))
    with tab(browser, locale="en-US", viewport=DESKTOP) as one:
        one.page.goto(f"http://localhost:{running[0]}/client")
        yield one


def on_loop(running: Running, work: Any) -> Any:
    """Run a coroutine on the daemon's loop."""
    return asyncio.run_coroutine_threadsafe(work, running[2]._serving.get_loop()).result(30)


def back(running: Running, sound: Samples) -> set[str]:
    """Return the words that the daemon hears in what the page played."""
    heard = running[1].transcriber.transcribe(sound[: 20 * RATE], Token(), language="en")
    return words(on_loop(running, heard).text)


def loudness(sound: Samples) -> Samples:
    """Return the level of each 20 ms."""
    blocks = sound[: len(sound) // 320 * 320].reshape(-1, 320)
    return np.sqrt(np.mean(blocks * blocks, axis=1))


def asked(say: Say, text: str) -> Samples:
    return np.concatenate((silence(0.6), say(text), silence(0.2)))


def caption(one: Tab, side: str) -> str:
    return one.page.locator(f".said.{side}:not(.pending) p").last.inner_text()


def one_session(running: Running) -> Any:
    """Return the one session: those of tabs before may yet be leaving."""
    until = time.monotonic() + 5
    while len(running[2].sessions) != 1:
        assert time.monotonic() < until, running[2].sessions
        time.sleep(0.02)
    return next(iter(running[2].sessions))


@needs_chromium
def test_a_spoken_question_is_answered_aloud_and_a_reply_is_stopped(
    page: Tab, running: Running, microphone: Microphone, say: Say
) -> None:
    microphone.hears(asked(say, "What is the capital of France?"))
    expect(page.page.get_by_text("Press Connect and just speak")).to_be_visible()
    page.press("Connect")
    page.page.wait_for_function("() => document.getElementById('orb').style.getPropertyValue('--level') > 0.1")
    page.until("sent", "played", ms=None)
    page.state("Listening")
    assert {"capital", "of"} <= words(caption(page, "user"))
    assert set(page.frames) == {640}, "frames of 20 ms"
    said = caption(page, "assistant")
    heard = back(running, page.heard())
    assert len(heard & words(said)) >= 0.6 * len(heard) > 0, (heard, said)
    told = [message.get("ms") for message in page.sent if message["type"] == "played"]
    assert told[-1] is None, "all of it was played"
    assert told[:-1] == sorted(told[:-1])
    expect(page.page.locator("#last-turn-brief")).to_contain_text("s to the first sound")
    expect(page.page.get_by_role("row", name="Sound sent")).to_be_visible()

    page.forget()
    page.page.get_by_label("Type instead of speaking").fill(LONG)
    page.page.keyboard.press("Enter")
    page.until("sent", "played")
    page.page.wait_for_timeout(500)
    page.press("Stop talking")
    stopped = page.until("sent", "barge_in")["ms"]
    assert page.until("got", "interrupted")["heard_ms"] == stopped
    page.state("Listening")
    sounding_ms = 20 * np.count_nonzero(loudness(page.heard()) > 0.005)
    assert stopped / 2 < sounding_ms < stopped + 250, "what it says was heard, the pauses of a voice left out"
    page.page.wait_for_timeout(500)
    assert np.max(loudness(page.heard())) < 0.005, "it goes on"
    expect(page.page.locator(".said.assistant").last).to_contain_text("stopped")
    assert page.page.evaluate("shifts") < 0.1


@needs_chromium
def test_a_voice_interrupts_and_the_conversation_starts_over(
    page: Tab, running: Running, microphone: Microphone, say: Say
) -> None:
    page.press("Connect")
    page.state("Listening")
    page.page.keyboard.press("m")
    page.state("Muted")
    count = len(page.frames)
    page.page.keyboard.press("/")
    page.page.keyboard.type(LONG)
    page.page.keyboard.press("Enter")
    page.until("sent", "played")
    assert len(page.frames) == count, "a muted page sends sound"
    microphone.hears(asked(say, "What is your name?"))
    page.press("Unmute")
    page.until("got", "interrupted")
    page.page.wait_for_function("() => /name/.test([...document.querySelectorAll('.said.user p')].at(-1).textContent)")
    page.until("got", "turn")
    assert one_session(running)._memory.goes_on
    page.press("Start over")
    page.until("got", "reset")
    expect(page.page.locator(".said")).to_have_count(0)
    assert not one_session(running)._memory.goes_on


@needs_chromium
def test_one_who_only_types_is_not_asked_for_the_microphone_and_timers_ring(page: Tab, running: Running) -> None:
    page.page.get_by_label("Type instead of speaking").fill("Set a timer for 2 seconds.")
    page.page.keyboard.press("Enter")
    page.state("Ready")
    expect(page.page.get_by_text("Without microphone: type")).to_be_visible()
    page.until("got", "timer", event="finished")
    page.state("Ready")
    expect(page.page).to_have_title(re.compile("Time is up"))
    page.page.wait_for_function("() => document.getElementById('announce').textContent.includes('time is up')")
    page.heard()
    page.page.wait_for_timeout(1500)
    ring = page.heard()
    assert 640 < np.argmax(np.abs(np.fft.rfft(ring))) * RATE / len(ring) < 900, "a ringing of two notes"
    page.page.get_by_role("button", name="Stop: Timer").click()
    assert page.until("sent", "timer_stop")["id"] == page.until("got", "timer", event="cancelled")["id"]
    assert not one_session(running)._timers.ringing
    expect(page.page).to_have_title("Antiphon")
    assert not page.frames


@needs_chromium
def test_a_lost_connection_is_said_and_found_again(page: Tab, running: Running) -> None:
    page.press("Connect")
    page.state("Listening")

    async def drop() -> None:
        client = one_session(running)._socket.client
        running[2].why_not = "the daemon is starting"
        running[2].abort((client.host, client.port))

    on_loop(running, drop())
    try:
        expect(page.page.get_by_role("alert")).to_contain_text("connection was lost")
        expect(page.page.locator("#state-more")).to_contain_text("Trying again")
    finally:
        running[2].why_not = ""
    page.state("Listening")
    expect(page.page.get_by_role("alert")).to_have_count(0)
    expect(page.page.get_by_role("status")).to_contain_text("new conversation")
    page.faults = [fault for fault in page.faults if "WebSocket connection" not in fault and "503" not in fault]


@needs_chromium
@pytest.mark.parametrize(
    ("name", "said"),
    [("NotAllowedError", "not allowed"), ("NotFoundError", "No microphone"), ("NotReadableError", "cannot be")],
)
def test_without_a_microphone_it_says_why_and_goes_on(page: Tab, name: str, said: str) -> None:
    fails = f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{name}'))"
    page.page.evaluate(f"() => {{ {fails} }}")
    page.press("Connect")
    expect(page.page.get_by_role("alert")).to_contain_text(said)
    page.state("Ready")


@needs_chromium
def test_a_tab_whose_sound_fell_asleep_wakes(page: Tab) -> None:
    page.page.evaluate(
        "() => { const made = window.AudioContext; "
        "window.AudioContext = class extends made { constructor(...more) { super(...more); window.sound = this; } }; }"
    )
    page.press("Connect")
    page.state("Listening")
    page.page.evaluate("sound.suspend()")
    page.page.wait_for_function("() => sound.state === 'running'")


@pytest.fixture
def closed_house(running: Running) -> Iterator[int]:
    """Return the port of a daemon that wants a token."""
    ready: concurrent.futures.Future[int] = concurrent.futures.Future()
    ended: concurrent.futures.Future[None] = concurrent.futures.Future()
    settings = quiet_settings(Gateway(port=0, token=SecretStr(TOKEN)))

    async def hold() -> None:
        with pytest.MonkeyPatch.context() as patch:
            made = _seen(patch)
            async with app.serving(settings, running[1]):
                ready.set_result(made[0].port)
                await asyncio.wrap_future(ended)

    held = asyncio.run_coroutine_threadsafe(hold(), running[2]._serving.get_loop())
    yield ready.result(30)
    ended.set_result(None)
    held.result(30)


@needs_chromium
def test_a_page_that_is_not_secure_asks_for_the_token_explains_itself_and_plays(
    browser: Browser, running: Running, closed_house: int
) -> None:
    with tab(browser, locale="en-US", viewport=PHONE, reduced_motion="reduce") as one:
        one.page.goto(f"http://{ELSEWHERE}:{closed_house}/client")
        assert not one.page.evaluate("isSecureContext")
        one.press("Connect")
        for token in ("wrong", TOKEN):
            one.page.get_by_label("Token", exact=True).fill(token)
            one.press("Go on")
            if token == "wrong":
                expect(one.page.get_by_text("This token is not the right one.")).to_be_visible()
                looks(one, "token")
        one.state("Ready")
        notice = one.page.get_by_role("alert").filter(has_text="only over https")
        notice.get_by_text("How to speak from this device").click()
        expect(notice).to_contain_text("http://localhost:8000/client")
        looks(one, "not-secure")
        notice.get_by_role("button", name="Close").click()
        one.page.get_by_label("Type instead of speaking").fill("What time is it?")
        one.press("Send")
        one.until("got", "turn")
        one.until("sent", "played", ms=None)
        one.state("Ready")
        said = caption(one, "assistant")
        assert back(running, one.heard()) & words(said), said
        one.page.reload()
        one.press("Connect")
        one.state("Ready")
        one.faults = [fault for fault in one.faults if "401" not in fault and "Opener-Policy" not in fault]


def looks(one: Tab, name: str) -> None:
    """Have axe look at the page, and measure what a finger and an eye need."""
    found = Axe().run(one.page).response["violations"]
    faults = [(fault["id"], fault["impact"], [node["html"] for node in fault["nodes"]]) for fault in found]
    assert not faults, (name, faults)
    small = one.page.evaluate(
        "() => [...document.querySelectorAll('button, select, summary, input:not([type=checkbox]), label.check')]"
        ".filter((one) => one.checkVisibility()).map((one) => [one.textContent, one.getBoundingClientRect()])"
        ".filter(([, box]) => box.height < 44 || box.width < 44).map(([text]) => text)"
    )
    assert not small, (name, small)
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    if PICTURES is not None:
        one.page.screenshot(path=PICTURES / f"{name}.png")


@needs_chromium
def test_it_is_usable_light_and_dark_small_and_large_in_both_languages(
    browser: Browser, running: Running, microphone: Microphone
) -> None:
    microphone.hears(silence(1))
    for locale in ("en-US", "ko-KR"):
        with tab(browser, locale=locale, viewport=DESKTOP, reduced_motion="reduce") as one:
            one.page.goto(f"http://localhost:{running[0]}/client")
            assert one.page.evaluate("document.documentElement.lang") == locale[:2]
            looks(one, f"{locale}-begin")
            one.page.locator("#connect").click()
            for text in ("Hello there!", "Set a timer for ten minutes."):
                one.forget()
                one.page.locator("#say").fill(text)
                one.page.keyboard.press("Enter")
                one.until("got", "turn")
            for scheme in ("light", "dark"):
                for size in (PHONE, DESKTOP):
                    one.page.emulate_media(color_scheme=scheme)
                    one.page.set_viewport_size(size)
                    one.page.wait_for_function(
                        "wide => document.getElementById('last-turn').open === wide", arg=size is DESKTOP
                    )
                    if size is PHONE:
                        one.page.locator("summary").click()
                    one.page.get_by_role("table").wait_for()
                    name = f"{locale}-{scheme}-{size['width']}"
                    looks(one, name)
                    one.page.locator("#settings-open").click()
                    looks(one, f"{name}-settings")
                    one.page.locator("#settings-close").click()


@needs_chromium
def test_another_language_of_the_page_is_spoken_at_once_and_kept(page: Tab) -> None:
    page.press("Settings")
    page.page.get_by_label("Language of this page").select_option("ko")
    expect(page.page.get_by_role("button", name="닫기")).to_be_visible()
    page.page.get_by_role("button", name="닫기").click()
    page.page.reload()
    expect(page.page.get_by_role("button", name="연결", exact=True)).to_be_visible()


@needs_chromium
def test_the_microphone_is_brought_to_16_khz_without_folding(page: Tab) -> None:
    """A tone above 8 kHz must vanish, not come back as another one; one below stays as it is."""
    measure = """async ([from, to, hz]) => {
        const { src } = document.querySelector('script[type=module]');
        const { Resampler } = await import(src.replace('app', 'resampler'));
        const tone = Float32Array.from({ length: from }, (_, at) => Math.sin(2 * Math.PI * hz * at / from));
        const made = [], changed = new Resampler(from, to);
        for (let at = 0; at < from; at += 128) made.push(...changed.push(tone.subarray(at, at + 128)));
        made.push(...changed.flush());
        const inner = made.slice(2000, -2000);
        return [made.length, 20 * Math.log10(Math.hypot(...inner) / Math.sqrt(inner.length / 2) + 1e-9)];
    }"""
    for rate in (44_100, 48_000):
        for hz, low, high in ((1000, -0.1, 0.1), (7000, -1, 0.1), (9000, -200, -80)):
            count, db = page.page.evaluate(measure, [rate, RATE, hz])
            assert abs(count - RATE) <= 1
            assert low < db < high, (rate, hz, db)


def test_the_page_is_open_to_all_and_its_files_are_kept(running: Running, closed_house: int) -> None:
    get: Callable[..., httpx.Response]
    with httpx.Client(trust_env=False, base_url=f"http://127.0.0.1:{closed_house}") as http:
        get = http.get
        page = get("/client")
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-cache"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert get("/client", headers={"if-none-match": page.headers["etag"]}).status_code == 304
        assert http.head("/client").status_code == 200
        files = set(re.findall(r'"(client/[^"]+)"', page.text))
        script = next(file for file in files if file.endswith("app.js"))
        files |= {script.replace("app.js", name) for name in re.findall(r"'\./([a-z]+\.js)'", get(f"/{script}").text)}
        files |= {script.replace("app.js", name) for name in ("capture.js", "player.js")}
        assert len(files) > 10
        for file in files:
            answer = get(f"/{file}")
            assert answer.status_code == 200, file
            assert "immutable" in answer.headers["cache-control"]
        beside = script.replace("app.js", "index.html")
        for path in ("/client/old/app.js", f"/{beside}", "/client/../metrics", "/client/%2e%2e/metrics"):
            assert get(path).status_code in (401, 404), path
        assert http.post("/client").status_code == 401
        assert get("/clients").status_code == 401
