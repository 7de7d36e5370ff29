"""How a language model in this process lays a conversation out."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon_daemon.engines.contracts import EngineError

KWARGS = {"enable_thinking": False}
"""What the templates of models that can think are told."""
WITHIN_S = 2.0


class Template:
    """The template of a `xllamacpp.Server`'s model, rendered over HTTP only: `key` opens its listener on 127.0.0.1."""

    def __init__(self, server: Any, key: str) -> None:
        self._server, self._key = server, key
        # No proxy stands between this process and itself.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the prompt of these messages, to its end where the reply begins. Blocks: use a thread.

        Raises:
            EngineError: the template failed.
        """
        request = urllib.request.Request(
            f"{self._server.listening_address}/apply-template",
            data=json.dumps({"messages": messages, "chat_template_kwargs": KWARGS}).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        try:
            with self._opener.open(request, timeout=WITHIN_S) as answer:
                return str(json.load(answer)["prompt"])
        except (OSError, ValueError, KeyError) as error:
            raise EngineError("llm", f"The language model's template failed ({error}).") from error
