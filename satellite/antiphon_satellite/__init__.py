"""Antiphon's satellite: the microphone, the speaker, and what starts a turn."""
