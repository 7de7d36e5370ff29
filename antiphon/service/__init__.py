"""`antiphon service`: has the programs kept running by systemd or launchd."""

PROGRAMS = ("daemon", "satellite")
