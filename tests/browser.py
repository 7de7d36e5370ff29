"""A headless Chromium that hears a WAV as its microphone, and whose own sound is recorded inside the page."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect, sync_playwright

from antiphon.audio.pcm import RATE, Samples, resample, to_samples

MICROPHONE_RATE = 48_000
WAIT_MS = 30_000
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Where it is; None: nowhere."""
expect.set_options(timeout=WAIT_MS)

TAP = """
(() => {
  const connect = AudioNode.prototype.connect;
  let recorder, parts;
  const record = (stream) => {
    parts = [];
    recorder = new MediaRecorder(stream, { audioBitsPerSecond: 128000 });
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.start();
  };
  window.heard = async () => {
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    const { stream } = recorder;
    recorder.stop();
    await stopped;
    const whole = await new Blob(parts).arrayBuffer();
    record(stream);
    const sound = (await new OfflineAudioContext(1, 1, 16000).decodeAudioData(whole)).getChannelData(0);
    const bytes = new Uint8Array(Int16Array.from(sound, (one) => 32767 * Math.max(-1, Math.min(1, one))).buffer);
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
  };
  let tap;
  AudioNode.prototype.connect = function (to, ...more) {
    if (to instanceof AudioDestinationNode) {
      if (tap?.context !== to.context) {
        tap = new MediaStreamAudioDestinationNode(to.context, { channelCount: 1 });
        record(tap.stream);
      }
      connect.call(this, tap);
    }
    return connect.call(this, to, ...more);
  };
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
})();
"""
"""What the newest context gives to the loudspeaker goes to a recorder too; and what moves by itself is counted."""


class Microphone:
    """The file that Chromium hears: from its beginning each time a page opens the microphone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hears(np.zeros(RATE, np.float32))

    def hears(self, sound: Samples) -> None:
        """From the next time that it is opened; silence follows."""
        soundfile.write(self.path, resample(sound, RATE, MICROPHONE_RATE), MICROPHONE_RATE, "PCM_16")


class Tab:
    """A page, what went over its WebSockets, and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sent: list[dict[str, Any]] = []
        self.frames: list[int] = []
        """The length of each binary message that was sent."""
        self.got: list[dict[str, Any]] = []
        self.faults: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(TAP)
        page.on("websocket", self._watch)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)

    def _watch(self, socket: WebSocket) -> None:
        def sent(payload: str | bytes) -> None:
            if isinstance(payload, bytes):
                self.frames.append(len(payload))
            else:
                self.sent.append(json.loads(payload))

        def got(payload: str | bytes) -> None:
            if isinstance(payload, str):
                self.got.append(json.loads(payload))

        socket.on("framesent", sent)
        socket.on("framereceived", got)

    def until(self, box: str, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the first message of a kind that came (`box` is "got") or went ("sent"), waiting for it."""
        seen: list[dict[str, Any]] = getattr(self, box)
        for _ in range(WAIT_MS // 50):
            for message in seen:
                if message["type"] == kind and all(message.get(key) == value for key, value in fields.items()):
                    return message
            self.page.wait_for_timeout(50)
        raise AssertionError(f"no {kind} {fields or ''} among {seen}")

    def forget(self) -> None:
        """Forget the messages so far."""
        self.sent.clear()
        self.got.clear()

    def press(self, name: str) -> None:
        """Press a button by its name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def state(self, text: str) -> None:
        """Wait until the page says so beside its orb."""
        self.page.wait_for_function("text => document.getElementById('state').textContent === text", arg=text)

    def heard(self) -> Samples:
        """Return what was played since the last call: mono, 16 kHz."""
        return to_samples(base64.b64decode(self.page.evaluate("() => heard()")))


@contextlib.contextmanager
def chromium(microphone: Path, *arguments: str) -> Iterator[Browser]:
    """Start it, with a file as its microphone, which every page may use."""
    given = [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
        "--use-fake-ui-for-media-stream",
        "--disable-background-timer-throttling",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
        *arguments,
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=given, chromium_sandbox=os.geteuid() != 0, timeout=60_000
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def tab(browser: Browser, **options: Any) -> Iterator[Tab]:
    """Open a tab of its own profile; at its end it must have complained of nothing."""
    context: BrowserContext = browser.new_context(**options)
    try:
        one = Tab(context.new_page())
        yield one
        assert not one.faults, one.faults
    finally:
        context.close()
