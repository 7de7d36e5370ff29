"""launchd: agents of the user who is logged in, the only ones that macOS lets near a microphone."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from antiphon.service import PROGRAMS, programs
from antiphon.service.manager import Condition, call, must
from antiphon.service.written import ServiceError


class Launchd:
    """A `Manager`.

    Args:
        config: the settings file that was named on the command line.
    """

    name = "launchd"

    def __init__(self, config: Path | None) -> None:
        self.config = config
        self.top = Path.home() / "Library"
        self._logs = self.top / "Logs" / "antiphon"
        self._domain = f"gui/{os.getuid()}"

    def path(self, program: str) -> Path:
        """Return the agent's file."""
        return self.top / "LaunchAgents" / f"{_label(program)}.plist"

    def text(self, program: str) -> str:
        """Return the agent, made from its template."""
        arguments = [f"\t\t<string>{escape(word)}</string>" for word in programs.command(self.config)]
        environment = [
            f"\t\t<key>{name}</key>\n\t\t<string>{escape(value)}</string>"
            for name, value in programs.passed_on().items()
        ]
        text = programs.template("launchd", f"antiphon-{program}.plist")
        text = re.sub(r"@environment@\n", lambda _: "".join(f"{line}\n" for line in environment), text)
        return text.replace("@arguments@", "\n".join(arguments)).replace("@logs@", escape(str(self._logs)))

    def present(self) -> bool:
        """Whether there is a session of this user that agents run in."""
        try:
            return call("launchctl", "print", self._domain).returncode == 0
        except ServiceError:
            return False

    def by_hand(self, program: str) -> str:
        """Return the command that loads and starts the agent."""
        return f"launchctl bootstrap {self._domain} {self.path(program)}"

    def hint(self) -> str:
        """Return nothing: an agent starts at every login, and there is no microphone before."""
        return ""

    def start(self, program: str) -> Condition:
        """Load the agent (anew, if it is loaded); it is started with that."""
        self._logs.mkdir(parents=True, exist_ok=True)
        call("launchctl", "bootout", f"{self._domain}/{_label(program)}")
        must("launchctl", "enable", f"{self._domain}/{_label(program)}")
        must("launchctl", "bootstrap", self._domain, str(self.path(program)))
        return self.condition(program)

    def stop(self, program: str) -> None:
        """Unload the agent."""
        call("launchctl", "bootout", f"{self._domain}/{_label(program)}")

    def clean(self, program: str) -> None:
        """Remove the logs."""
        for other in PROGRAMS:
            (self._logs / f"{other}.log").unlink(missing_ok=True)
        if self._logs.is_dir() and not any(self._logs.iterdir()):
            self._logs.rmdir()

    def reload(self, program: str) -> None:
        """Nothing is left: unloading was all."""

    def restart(self, program: str) -> Condition:
        """End the agent's program and start it anew."""
        must("launchctl", "kickstart", "-k", f"{self._domain}/{_label(program)}")
        return self.condition(program)

    def condition(self, program: str) -> Condition:
        """Return what launchd says of the agent."""
        ran = call("launchctl", "print", f"{self._domain}/{_label(program)}")
        if ran.returncode:
            return Condition(False, "is not loaded")
        known = dict(re.findall(r"^\s*(state|pid|last exit code) = (.+)$", ran.stdout, re.MULTILINE))
        says = ", ".join(f"{name} {value}" for name, value in known.items())
        return Condition(known.get("state") == "running", says)

    def logs(self, programs: Sequence[str], *, lines: int, follow: bool) -> list[str]:
        """Return the call of tail."""
        files = [str(self._logs / f"{program}.log") for program in programs]
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), *files]


def _label(program: str) -> str:
    return f"local.antiphon.{program}"
