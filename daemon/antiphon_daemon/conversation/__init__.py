"""The heart: when a turn begins and ends, what is said in it and what is remembered."""
