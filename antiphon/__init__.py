"""The ground floor of Antiphon: settings, sound, the wire and the command line. It imports neither program."""

__version__ = "0.1.0"
