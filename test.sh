#!/usr/bin/env bash
# ./test.sh [--python 3.13] [--torch|--node] [PYTEST ARGUMENTS]: lint, types, floors and tests, with everything installed
# that they need. --torch: instead the tests of the engines on PyTorch, which brings gigabytes, in an environment of their
# own. --node: instead the tests with programs of npm, which brings those (Node 20 or newer must be there).
set -euo pipefail
. "$(dirname "$0")/scripts/environment.sh"
cd "$root"

venv="$root/.venv"
if [ "${1:-}" = --python ]; then
    export ANTIPHON_PYTHON=$2
    venv="$root/.venv-$2"
    shift 2
fi
torch=
if [ "${1:-}" = --torch ]; then
    torch=yes
    venv="$venv-torch"
    shift
fi
node=
if [ "${1:-}" = --node ]; then
    node=yes
    shift
fi
bring_sound
# Test speech, virtual sound cards and certificates; tests that miss sound skip with the reason.
if [ "$(uname -s)" = Linux ] && ! { command -v pulseaudio && command -v paplay && command -v espeak-ng && command -v openssl; } >/dev/null; then
    may_install && install_packages pulseaudio pulseaudio-utils espeak-ng openssl || say "some tests need: sudo apt install pulseaudio pulseaudio-utils espeak-ng openssl"
fi
# The browser page is tested in a browser.
if [ "$(uname -s)" = Linux ] && ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then
    may_install && install_packages chromium || say "some tests need: sudo apt install chromium"
fi
# The services' tests look at the units with systemd's own tools, and boot a systemd of their own where they may; those of
# the network make machines with interfaces of their own.
if [ "$(uname -s)" = Linux ] && ! { command -v systemd-analyze && command -v nsenter && command -v ps && command -v ip; } >/dev/null; then
    may_install && install_packages systemd util-linux procps iproute2 || say "some tests need: sudo apt install systemd util-linux procps iproute2"
fi
if [ "$torch" ]; then
    sync "$venv" requirements-torch.lock . satellite daemon
    PATH="$venv/bin:$PATH"
    [ $# -gt 0 ] || set -- tests/engines/test_{openai_whisper,coqui,conformance}.py tests/ground/test_{floors,lock}.py
    exec pytest --torch -n0 "$@"
fi
sync "$venv" requirements.lock . satellite daemon
add "$venv" requirements-engines.lock

PATH="$venv/bin:$PATH"
# The tests start a few hundred programs: what Python compiles for one is there for the next, and the checkout stays clean.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$venv/pycache"
if [ "$node" ]; then
    npm ci --prefix tests/gateway/agents --ignore-scripts --no-audit --no-fund
    [ $# -gt 0 ] || set -- tests/gateway/test_realtime_agents.py
    exec pytest --node -n0 "$@"
fi
ruff check .
ruff format --check .
mypy
lint-imports
# The tests that mostly wait, or only think, run beside those that work the models (tests/conftest.py).
[ $# -gt 0 ] || set -- -n 2
exec pytest "$@"
