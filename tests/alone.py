"""Settings of daemons that disturb nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.settings import Endpoint, Endpoints, Gateway, Network, Satellites, Turn

ALONE: Mapping[str, Any] = {
    "network": Network(host="127.0.0.1", zeroconf=False),
    "endpoints": Endpoints(**{name: Endpoint(port=0) for name in Endpoints.model_fields}),
    "gateway": Gateway(port=0),
    "satellites": Satellites(discover=False),
    "turn": Turn(one_moment_s=0),
}
"""Free ports of this machine alone, nothing announced, nothing looked for, nothing said but replies."""
