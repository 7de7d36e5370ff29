"""`/dashboard` in a headless Chromium, against a real daemon whose engines follow a script.

SCREENSHOTS=FOLDER keeps pictures of every look.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import CHROMIUM, Microphone, chromium, tab
from playwright.sync_api import Browser, Page, expect
from pydantic import SecretStr

from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Outcome

from .client import client
from .opening import daemon

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
TOKEN = "open-sesame"
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def gateway(voice: Synthesizer) -> Iterator[Any]:
    with daemon(voice) as one:
        yield one


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Microphone(tmp_path_factory.mktemp("microphone") / "silence.wav").path) as one:
        yield one


def on_its_loop(gateway: Any, work: Coroutine[Any, Any, None]) -> None:
    asyncio.run_coroutine_threadsafe(work, gateway._serving.get_loop()).result(60)


async def typed(port: int) -> None:
    async with client(port) as one:
        await one.send("text", content="Hello there!")
        await one.until("turn")
        await one.send("played")
        await one.until("state", state="idle")


def look(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"dashboard-{name}.png", full_page=True)


def state(page: Page, text: str) -> None:
    expect(page.locator("#link-state")).to_have_text(text)


def test_a_turn_appears_as_it_happens_and_opens_to_a_table(gateway: Any, browser: Browser) -> None:
    with tab(browser, locale="en-US", viewport=DESKTOP) as one:
        page = one.page
        page.goto(f"http://localhost:{gateway.port}/dashboard")
        state(page, "Live")
        expect(page.get_by_text("No turn yet.")).to_be_visible()
        look(page, "empty")
        on_its_loop(gateway, typed(gateway.port))
        turn = page.locator("#turns > li")
        expect(turn).to_have_count(1)
        expect(turn.locator(".outcome")).to_have_text("answered")
        expect(turn.locator(".first")).to_contain_text(re.compile(r"\d+ ms"))
        assert turn.locator("rect.llm").count() == turn.locator("line.sound").count() == 1
        turn.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(turn.get_by_role("row", name="Language model: first word")).to_be_visible()
        expect(turn.get_by_role("row", name="First sound sent")).to_be_visible()
        assert page.get_by_text("Hello there!").count() == 0, "nobody asked for what was said"

        page.get_by_role("button", name="Pause").click()
        on_its_loop(gateway, typed(gateway.port))
        page.wait_for_timeout(500)
        expect(turn).to_have_count(1)
        page.get_by_role("button", name="Go on").click()
        expect(turn).to_have_count(2)
        expect(page.locator("#turns details[open]")).to_have_count(1)
        page.get_by_label("Language of this page").select_option("ko")
        expect(page.get_by_role("heading", name="걸리는 시간")).to_be_visible()
        expect(turn.first.locator(".outcome")).to_have_text("대답함")
        assert page.evaluate("document.documentElement.lang") == "ko"
        page.reload()
        expect(page.get_by_role("heading", name="걸리는 시간")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_it_can_be_read_by_everybody_on_every_screen(gateway: Any, browser: Browser, scheme: Any, locale: str) -> None:
    on_its_loop(gateway, typed(gateway.port))
    with tab(browser, locale=locale, color_scheme=scheme, viewport=DESKTOP) as one:
        page = one.page
        page.goto(f"http://localhost:{gateway.port}/dashboard")
        page.locator("#turns summary").first.click()
        for size in (DESKTOP, PHONE):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            found = [
                (fault["id"], [node["html"][:200] for node in fault["nodes"]])
                for fault in Axe().run(page).response["violations"]
                if fault["impact"] in ("serious", "critical")
            ]
            assert not found
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            look(page, f"{scheme}-{locale[:2]}-{size['width']}")


def test_it_asks_for_the_token_and_keeps_it_to_itself(voice: Synthesizer, browser: Browser) -> None:
    with (
        daemon(voice, host="0.0.0.0", token=SecretStr(TOKEN)) as gateway,
        contextlib.closing(browser.new_context()) as one,
    ):
        page = one.new_page()
        page.goto(f"http://localhost:{gateway.port}/dashboard")
        state(page, "Token needed")
        expect(page.get_by_label("Token", exact=True)).to_be_focused()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This token is not the right one.")).to_be_visible()
        assert not page.locator("main").is_visible()
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.keyboard.press("Enter")
        state(page, "Live")
        expect(page.locator("main")).to_be_visible()
        page.evaluate("sessionStorage.clear()")
        page.reload()
        state(page, "Token needed")
        page.goto(f"{page.url}#token={TOKEN}")
        state(page, "Live")
        assert TOKEN not in page.url
        assert TOKEN not in page.evaluate("JSON.stringify(localStorage)")


def test_a_daemon_that_ends_is_said_and_found_again(voice: Synthesizer, browser: Browser) -> None:
    with contextlib.closing(browser.new_context(locale="en-US")) as one:
        page = one.new_page()
        with daemon(voice) as gateway:
            page.goto(f"http://localhost:{gateway.port}/dashboard")
            state(page, "Live")
            on_its_loop(gateway, typed(gateway.port))
            expect(page.locator("#turns > li")).to_have_count(1)
        state(page, "The daemon has ended")
        expect(page.get_by_role("alert").filter(has_text="What is shown is from")).to_be_visible()
        expect(page.locator("#turns > li")).to_have_count(1)
        with daemon(voice, port=gateway.port):
            state(page, "Live")
            expect(page.get_by_text("No turn yet.")).to_be_visible()


def test_the_newest_turn_is_first_whichever_changed_last(gateway: Any, browser: Browser) -> None:
    async def happen() -> None:
        first, _ = (gateway.turns.of("satellite", name).began(Trace()) for name in ("first", "second"))
        first.end(Outcome.ANSWERED)

    with tab(browser, locale="en-US", viewport=DESKTOP) as one:
        page = one.page
        page.goto(f"http://localhost:{gateway.port}/dashboard")
        state(page, "Live")
        page.get_by_role("button", name="Pause").click()
        on_its_loop(gateway, happen())
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Go on").click()
        names = page.locator("#turns .name")
        expect(names.filter(has_text="first")).to_have_count(1)
        assert names.all_text_contents()[:2] == ["second", "first"]
