"""The small parts of language models: thoughts that are left out, and whose place in the cache a prompt takes."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from antiphon_daemon.engines.contracts import Message
from antiphon_daemon.engines.llm.remote import is_near
from antiphon_daemon.engines.llm.slots import OWN_S, Slots
from antiphon_daemon.engines.llm.thoughts import Habit, Thoughts


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It is noon.", "It is noon."),
        ("<think>Noon?</think>\n\nIt is noon.", "It is noon."),
        ("\n<think></think>It is noon.", "It is noon."),
        ("[THINK]Noon?[/THINK]Noon.", "Noon."),
        ("<thinking>a</think>b</thinking>Noon.", "Noon."),
        ("a < b", "a < b"),
        ("<", "<"),
        ("<thirst> is a word.", "<thirst> is a word."),
        ("Say <think>aloud</think>.", "Say <think>aloud</think>."),
        ("<think>It never ends", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_thoughts_at_the_beginning_are_left_out_however_they_are_cut(text: str, spoken: str, size: int) -> None:
    thoughts = Thoughts()
    heard = "".join(thoughts.feed(text[at : at + size]) for at in range(0, len(text), size))
    assert heard + thoughts.rest() == spoken


def filtered(habit: Habit, text: str, size: int, *, cut: bool = False) -> str:
    thoughts = Thoughts(habit)
    heard = "".join(thoughts.feed(text[at : at + size]) for at in range(0, len(text), size))
    return heard + thoughts.rest(cut=cut)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_thoughts_without_a_beginning_are_left_out_once_they_are_known(size: int) -> None:
    habit = Habit()
    assert filtered(habit, "Hm, noon.</think>\n\nNoon.", size).endswith("Noon."), "the first is spoken"
    assert filtered(habit, "One o'clock?</think>\n\nIt is one.", size) == "It is one."
    assert filtered(habit, "<think>Two?</think>It is two.", size) == "It is two."
    assert filtered(habit, "He asks for the time, and", size, cut=True) == ""
    assert filtered(habit, "I did not think.", size) == "I did not think.", "nothing is lost"
    assert filtered(habit, "It is three.", size) == "It is three."
    assert habit.end == ""


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://gpu-box:8000", True),
        ("http://ollama:11434", True),
        ("http://[fd00::1]:8000", True),
        ("https://llm.lan/v1", True),
        ("http://box.home.arpa", True),
        ("http://Box.local.:8000", True),
        ("https://api.openai.com/v1", False),
        ("https://models.example.lan.org", False),
        ("http://8.8.8.8", False),
    ],
)
def test_which_servers_are_of_this_house(url: str, near: bool) -> None:
    assert is_near(url) is near


def test_each_conversation_finds_its_own_place_again() -> None:
    system = Message("system", "You are a helpful assistant. Be brief.")
    long = [Message("user", "word " * 100), Message("assistant", "word " * 100)]
    ann, ben = [system, *long, Message("user", "I am Ann.")], [system, Message("user", "I am Ben.")]
    slots = Slots(2)
    with slots.taken([system, Message("user", "Hi")]) as first:
        pass
    with slots.taken(ann) as hers:
        assert hers == first, "the prompt that was read at the start is used"
    with slots.taken(ben) as his:
        assert his != hers
    for _ in range(3):
        ann += [Message("assistant", "Yes."), Message("user", "And?")]
        ben += [Message("assistant", "No."), Message("user", "But?")]
        with slots.taken(ann) as again, slots.taken(ben) as other:
            assert (again, other) == (hers, his)
    with slots.taken(ann), slots.taken(ben), slots.taken([system]) as none:
        assert none == -1
    with slots.taken(ann):
        pass
    with slots.taken([Message("user", "Somebody else.")]) as stranger:
        assert stranger == his, "who has rested longest goes"


def test_conversations_that_have_just_begun_do_not_take_each_others_places() -> None:
    system = Message("system", "You are a helpful assistant. Be brief, be kind, and be right.")
    now_s = 0.0
    slots = Slots(4, lambda: now_s)
    owners = ("ann", "ben", "cem", "dan")
    first: dict[str, int] = {}
    for owner in owners:
        now_s += 1
        with slots.taken([system, Message("user", f"I am {owner}.")], owner) as slot:
            first[owner] = slot
    assert len(set(first.values())) == len(owners)
    for owner in owners:
        now_s += 1
        with slots.taken([system, Message("user", f"I am {owner}, and I go on.")], owner) as slot:
            assert slot == first[owner], "another draft of the same turn"
    with slots.taken([system, Message("user", "I am new.")], "eve") as slot:
        assert slot == first["ann"], "who has rested longest goes"
    with slots.taken([system, Message("user", "I am ann, and back.")], "ann") as slot:
        assert slot == first["ben"], "hers is another's now"
    now_s += OWN_S + 1
    with slots.taken([Message("system", "Another prompt."), Message("user", "Hi.")], "fay") as slot:
        assert slot == first["cem"], "who has rested longest goes"
    with slots.taken([system, Message("user", "I am late.")], "gus") as slot:
        assert slot != first["cem"], "what nobody comes back to is good for its beginning"


def test_a_busy_place_is_waited_for_rather_than_another_conversation_put_out() -> None:
    system = Message("system", "You are a helpful assistant.")
    ann = [system, Message("user", "word " * 200), Message("assistant", "word " * 200), Message("user", "More?")]
    ben = [system, Message("user", "other " * 200), Message("assistant", "other " * 200), Message("user", "Less?")]
    slots = Slots(2)
    with slots.taken(ann) as hers, slots.taken(ben) as his:
        pass
    with slots.taken(ann):
        began = time.monotonic()
        with slots.taken([system, Message("user", "New here.")]) as free:
            assert free == his
        assert time.monotonic() - began < 0.5, "nobody waits for little"
    with slots.taken(ben):
        pass
    ending = threading.Timer(0.2, lambda: working.close())
    with ExitStack() as working:
        working.enter_context(slots.taken(ann))
        ending.start()
        with slots.taken([*ann, Message("assistant", "Yes."), Message("user", "And?")]) as again:
            assert again == hers
    ending.join()
    with slots.taken(ann), slots.taken([*ann, Message("user", "Still?")]) as other:
        assert other == his, "but not for ever"
