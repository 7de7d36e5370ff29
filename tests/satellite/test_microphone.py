"""The microphone's ring and pre-roll, and that nothing grows without bound."""

from __future__ import annotations

import asyncio
import threading

from structlog.testing import capture_logs

from antiphon_satellite.sound.microphone import PENDING_S, RING_S, TAKE_S, ZEROS_S, Microphone

BLOCK = bytes(640)


def block(number: int) -> bytes:
    return number.to_bytes(2, "little") * 320


async def test_sound_comes_to_the_loop_from_another_thread_in_order() -> None:
    heard: list[tuple[bytes, int]] = []
    microphone = Microphone(lambda pcm, position: heard.append((pcm, position)))
    thread = threading.Thread(target=lambda: [microphone.push(block(number)) for number in range(50)])
    thread.start()
    while microphone.position < 50 * 320:
        await asyncio.sleep(0)
    thread.join()
    assert b"".join(pcm for pcm, _ in heard) == b"".join(block(number) for number in range(50))
    assert heard[-1][1] == 50 * 320


async def test_a_take_begins_in_the_past_and_goes_on() -> None:
    microphone = Microphone(lambda pcm, position: None)
    for number in range(10):
        microphone.push(block(number))
    await asyncio.sleep(0)
    take = microphone.take(6 * 320 + 100)
    assert take.start == 6 * 320 + 100
    assert await take.next() == b"".join(block(number) for number in range(6, 10))[200:]
    microphone.push(block(10))
    assert await take.next() == block(10)


async def test_a_take_from_before_what_is_remembered_begins_with_the_oldest() -> None:
    microphone = Microphone(lambda pcm, position: None)
    for number in range(300):
        microphone.push(block(number))
        await asyncio.sleep(0)
    take = microphone.take(0)
    assert RING_S * 16_000 <= microphone.position - take.start <= (RING_S + 0.1) * 16_000


async def test_a_take_in_the_future_begins_now() -> None:
    microphone = Microphone(lambda pcm, position: None)
    microphone.push(block(1))
    await asyncio.sleep(0)
    take = microphone.take(99_999)
    assert take.start == microphone.position
    microphone.push(block(2))
    assert await take.next() == block(2)


async def test_closing_a_take_ends_who_waits_for_it() -> None:
    microphone = Microphone(lambda pcm, position: None)
    take = microphone.take(0)
    waiting = asyncio.create_task(take.next())
    await asyncio.sleep(0)
    microphone.release()
    assert await waiting is None
    assert take.closed


async def test_a_new_take_ends_the_one_before() -> None:
    microphone = Microphone(lambda pcm, position: None)
    first = microphone.take(0)
    microphone.take(0)
    assert first.closed


async def test_a_busy_loop_costs_the_oldest_sound_not_memory() -> None:
    heard: list[bytes] = []
    microphone = Microphone(lambda pcm, position: heard.append(pcm))
    for number in range(200):  # 4 s, and the loop has not run
        microphone.push(block(number))
    await asyncio.sleep(0)
    assert len(b"".join(heard)) == PENDING_S * 32_000
    assert heard[0][-2:] == block(199)[:2]
    assert microphone.dropped == 2 * 16_000


async def test_a_peer_that_takes_nothing_costs_the_oldest_sound_not_memory() -> None:
    microphone = Microphone(lambda pcm, position: None)
    take = microphone.take(0)
    for _ in range(int(TAKE_S * 50) + 500):
        microphone.push(BLOCK)
        await asyncio.sleep(0)
    kept = await take.next()
    assert kept is not None
    assert len(kept) <= TAKE_S * 32_000


async def test_a_microphone_that_gives_nothing_but_zeros_is_told_of_once() -> None:
    microphone = Microphone(lambda pcm, position: None)

    async def minute(pcm: bytes) -> list[str]:
        with capture_logs() as logs:
            for _ in range(round((ZEROS_S + 1) * 16_000) // 320):
                microphone.push(pcm)
                await asyncio.sleep(0)
        return [line["event"] for line in logs]

    assert await minute(block(1)) == []
    (told,) = await minute(BLOCK)
    assert "unmute it" in told
    assert await minute(BLOCK) == []
