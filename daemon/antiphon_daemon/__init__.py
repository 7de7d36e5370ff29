"""Antiphon's daemon: hearing, thinking, speaking, and the conversation that joins them."""
