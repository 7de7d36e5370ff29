"""Whether a sentence is whole, by asking a language model in this process what would come next.

The conversation is laid out as the model's own template has it, cut where the user's words end, and the model says how
likely a full stop, a question mark or the end of the message would be there. Transcripts end with a mark whether the
speaker had finished or not, so the mark itself is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from antiphon_daemon.engines.contracts import EngineError, Message
from antiphon_daemon.engines.llm.template import Template

CANDIDATES = 60
"""The likeliest next tokens that are looked at."""
MARKS = ".?!。？！…"


class Endings:
    """Asks a `xllamacpp.Server`, whose template this is."""

    def __init__(self, server: Any, template: Template) -> None:
        self._server, self._template = server, template

    def probability(self, messages: Sequence[Message], slot: int, wanted: Callable[[], bool]) -> float | None:
        """Return the probability that the last message ends where it does; None without words, or when it is not wanted
        any more. Blocks: use a thread.

        Args:
            slot: the place in the cache where the reply to the same messages will be written.
            wanted: asked between two batches of the prompt; what was read when it returns False stays in the cache.

        Raises:
            EngineError: the model failed.
        """
        said = messages[-1].text.rstrip(f" ,;:-–—{MARKS}")
        if not said:
            return None
        given = [{"role": message.role, "content": message.text} for message in messages[:-1]]
        prompt = self._template.render([*given, {"role": "user", "content": said}])
        at = prompt.rfind(said)
        if at < 0:  # a template that changes what is said
            return None
        cut = at + len(said)
        after = prompt[cut:].strip()
        candidates = self._next(prompt[:cut], slot, wanted)
        if not candidates:
            return None
        return sum(math.exp(one["logprob"]) for one in candidates if _closes(str(one["token"]), after))

    def _next(self, prompt: str, slot: int, wanted: Callable[[], bool]) -> Sequence[Mapping[str, Any]]:
        candidates: Sequence[Mapping[str, Any]] = ()
        failure: Any = None

        def heard(chunk: Mapping[str, Any]) -> bool:
            """Take a chunk of the stream; True stops the model."""
            nonlocal candidates, failure
            if failure := chunk.get("error"):
                return True
            for choice in chunk.get("choices") or ():  # none, or one without words, while the prompt is being read
                tokens = (choice.get("logprobs") or {}).get("content") or ()
                candidates = candidates or next((token["top_logprobs"] for token in tokens), ())
            return bool(candidates) or not wanted()

        request = {"prompt": prompt, "n_predict": 1, "n_probs": CANDIDATES, "temperature": 1.0, "cache_prompt": True}
        request |= {"id_slot": slot, "stream": True, "return_progress": True}
        try:
            self._server.handle_completions(request, heard)
            if failure:
                raise ValueError(failure)
        except (RuntimeError, ValueError) as error:
            raise EngineError("llm", f"The language model could not judge a sentence ({error}).") from error
        return candidates


def _closes(token: str, after: str) -> bool:
    """Return whether a token ends the sentence: a mark, a new line, or what the template puts after the message."""
    bare = token.strip()
    return bare.startswith(tuple(MARKS)) or (not bare and "\n" in token) or (bool(bare) and after.startswith(bare))
