"""`/v1/realtime`: OpenAI's Realtime API (GA) over WebSocket, on the conversation that satellites have.

| file           | what                                                                              |
| -------------- | --------------------------------------------------------------------------------- |
| `wire.py`      | events and errors as they are on the wire                                         |
| `config.py`    | a session's fields: defaults, partial updates, what cannot be had                 |
| `detection.py` | `turn_detection` as the policy of the conversation                                |
| `audio.py`     | the formats of sound                                                              |
| `items.py`     | a conversation's items, which are what it remembers                               |
| `creating.py`  | items as clients write them                                                       |
| `response.py`  | one response: its events, in the documented order                                 |
| `hearing.py`   | the input audio buffer: turns that are detected, and those that are committed     |
| `replying.py`  | responses: who wants one, the one that is active, those beside the conversation   |
| `session.py`   | a client, from its coming to its leaving; what each of its events does            |
| `secrets.py`   | client secrets                                                                    |
| `routes.py`    | where all this is reached                                                         |

What is there and what is not is in docs/realtime.md.
"""
