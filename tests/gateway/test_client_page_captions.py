"""What `/client` writes down as the daemon's messages come: `captions.js` alone, in a headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import CHROMIUM, Microphone, Tab, chromium, tab
from scripted import Tones

from .opening import daemon

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
COUNTS = (("user", "Count.", "en"), ("replyBegins", "en"), ("replyWords", "One two "))
COUGH = (("stopped",), ("userWords", "hm"), ("user", "", "en"), ("replyBegins", "en"))

WRITE = """async (calls) => {
    const { src } = document.querySelector('script[type=module]');
    const { Captions } = await import(src.replace('app', 'captions'));
    const list = document.createElement('ol');
    const captions = new Captions(document.createElement('div'), list, document.createElement('p'));
    for (const [name, ...values] of calls) captions[name](...values);
    return [...list.children].map((one) => {
        const [who, words, mark] = one.children;
        return `${who.textContent}: ${words.textContent}${mark ? ` (${mark.textContent})` : ''}`;
    });
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    microphone = Microphone(tmp_path_factory.mktemp("microphone") / "silence.wav")
    with daemon(Tones()) as gateway, chromium(microphone.path) as browser, tab(browser, locale="en-US") as one:
        one.page.goto(f"http://localhost:{gateway.port}/client")
        yield one


def written(page: Tab, *calls: tuple[Any, ...]) -> Any:
    """Return the lines of the log after these calls."""
    return page.page.evaluate(WRITE, [list(call) for call in calls])


def test_a_speaker_who_goes_on_keeps_the_beginning_of_the_sentence(page: Tab) -> None:
    goes_on = [("userWords", "what is the"), ("user", "What is the time", "en"), ("userGoesOn",)]
    assert written(page, *goes_on, ("userWords", " time in")) == ["You: what is the time in"]
    assert written(page, *goes_on, ("userWords", " time in"), ("userWords", " Paris")) == [
        "You: what is the time in Paris"
    ]
    assert written(page, *goes_on, ("user", "What is the time in Paris?", "en"), ("userWords", "and")) == [
        "You: What is the time in Paris?",
        "You: and",
    ]


def test_a_reply_that_goes_on_after_a_cough_stands_there_once(page: Tab) -> None:
    again = [*COUNTS, *COUGH, ("replyWords", "One "), ("replyWords", "two three. ")]
    assert written(page, *again) == ["You: Count.", "Antiphon: One two three. "]
    assert written(page, *again, *COUGH, ("replyWords", "One two three. "), ("replyWords", "Four.")) == [
        "You: Count.",
        "Antiphon: One two three. Four.",
    ]


def test_an_apology_stands_beside_the_reply_before_it(page: Tab) -> None:
    """Its transcript is empty, too: hearing has failed."""
    apology = ("replyWords", "I did not hear you.")
    assert written(page, *COUNTS, *COUGH, apology) == [
        "You: Count.",
        "Antiphon: One two  (stopped)",
        "Antiphon: I did not hear you.",
    ]
    assert written(page, *COUNTS, *COUGH[2:], apology) == [
        "You: Count.",
        "Antiphon: One two ",
        "Antiphon: I did not hear you.",
    ]


def test_a_reply_that_begins_with_a_blank_and_was_all_told_stands_there_once(page: Tab) -> None:
    told = (("replyWords", " One"), ("replyWords", " two."), ("reply", "One two."))
    begun = (("user", "Count.", "en"), ("replyBegins", "en"))
    assert written(page, *begun, *told, *COUGH, *told) == ["You: Count.", "Antiphon: One two."]
