"""Letters of other languages' scripts are not spelled out by an espeak-ng voice."""

from __future__ import annotations

import pytest

from antiphon_daemon.engines.tts.scripts import readable

GREETINGS = {
    "he": "שָׁלוֹם", "ar": "مَرْحَبًا", "th": "สวัสดี", "lo": "ສະບາຍດີ", "bo": "བཀྲ་ཤིས", "my": "မင်္ဂလာပါ",
    "am": "ሰላም", "km": "សួស្ដី", "ja": "こんにちは、コーヒー", "zh": "你好",
}  # fmt: skip


@pytest.mark.parametrize("language", GREETINGS)
def test_a_script_is_read_by_the_voices_of_its_language_alone(language: str) -> None:
    greeting = GREETINGS[language]
    assert readable(greeting, language) == greeting
    assert not any(letter.isalnum() for letter in readable(greeting, "en"))
    assert readable(f'It is "{greeting}", they say.', "ko").split()[-2:] == ["they", "say."]


def test_chinese_characters_are_read_in_japan_too() -> None:
    assert readable("東京タワー", "ja") == "東京タワー"
    assert readable("東京タワー", "yue").strip() == "東京"
    assert readable("한국(韓國)", "ko") == "한국( )"


@pytest.mark.parametrize("text", ["Ünïcödé, Ω, привет, 안녕, नमस्ते, გამარჯობა!", "1½ m² — “x”… 30 °C 🙂"])
def test_what_any_voice_can_say_stays(text: str) -> None:
    assert readable(text, "en") == text


def test_letters_in_other_shapes_become_plain() -> None:
    assert readable("𝗯𝗼𝗹𝗱, 𝑖𝑡𝑎𝑙𝑖𝑐, Ｆｕｌｌ２", "en") == "bold, italic, Full2"
