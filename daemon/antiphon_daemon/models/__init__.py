"""Fetching models from a hub, keeping them whole, and choosing between them: `antiphon models`."""
