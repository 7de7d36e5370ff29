# Sourced by run.sh and test.sh: brings uv, system libraries and the locked Python environment. Bash 3.2 (macOS) reads it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "Error: $*"
    exit 1
}

# Sets $uv: the one on the PATH, or one in a private environment of its own (the system's Python is left alone).
bring_uv() {
    if uv=$(command -v uv); then return; fi
    uv="$root/.venv-uv/bin/uv"
    if [ -x "$uv" ]; then return; fi
    command -v python3 >/dev/null || fail "Python 3.11 or newer is needed: install python3, then run this again."
    say "Bringing uv into $root/.venv-uv …"
    if ! python3 -m venv "$root/.venv-uv" >/dev/null 2>&1; then
        rm -rf "$root/.venv-uv"
        may_install && install_packages python3-venv
        python3 -m venv "$root/.venv-uv" >/dev/null || fail "python3 cannot make environments: sudo apt install python3-venv"
    fi
    "$root/.venv-uv/bin/python" -m pip install --quiet --disable-pip-version-check uv || fail "uv could not be installed by pip: is the package index reachable?"
}

# Whether system packages may be installed without asking anyone.
may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

install_packages() {
    local as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    say "Installing $* …"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    $as_root apt-get update -qq >/dev/null 2>&1
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

has_library() {
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null; } | grep -q "$1"
}

# Sound on Linux needs PortAudio and, for PulseAudio and PipeWire, ALSA's plug-ins. On macOS the wheel brings PortAudio.
bring_sound() {
    [ "$(uname -s)" = Linux ] || return 0
    has_library libportaudio.so.2 && return 0
    if may_install; then
        install_packages libportaudio2 libasound2-plugins && return 0
    fi
    say "For sound, type: sudo apt install libportaudio2 libasound2-plugins   (going on without)"
}

# add_extra VENV NAME: put what an extra of the daemon's needs beside what is there; `sync` puts it there again.
add_extra() {
    grep -q "^$2 = \[" "$root/daemon/pyproject.toml" || fail "there is no extra $2: docs/engines.md names them."
    bring_uv
    say "Adding $2 to $1 …"
    "$uv" pip install --quiet --python "$1/bin/python" "antiphon-daemon[$2]" || fail "$2 could not be installed: is the package index reachable, and is there a build of it for this machine?"
    grep -qx "$2" "$1/antiphon-extras" 2>/dev/null || printf '%s\n' "$2" >>"$1/antiphon-extras"
}

# sync VENV LOCK PROJECT…: bring an environment to its lock, if it is not there already.
sync() {
    local venv=$1 lock=$2 stamp wanted extras extra
    shift 2
    stamp="$venv/antiphon-stamp"
    wanted=$(cat "$root/$lock" "$root"/pyproject.toml "$root"/*/pyproject.toml | cksum)
    wanted="$wanted $root ${ANTIPHON_PYTHON:-}"
    if [ -x "$venv/bin/python" ] && [ -x "$venv/bin/antiphon" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    # Under sudo it is made as who has this checkout: else they could neither use nor update it.
    if [ "$(id -u)" = 0 ] && [ "${SUDO_USER:-root}" != root ] && [ -n "$(find "$root" -prune -user "$SUDO_USER")" ]; then
        bring_uv # root may install what that needs
        local made
        for made in "$venv" "$root/.venv-uv"; do # an earlier version made them root's
            if [ -e "$made" ]; then chown -Rh "$SUDO_USER" "$made"; fi
        done
        sudo -H -u "$SUDO_USER" env ANTIPHON_PYTHON="${ANTIPHON_PYTHON:-}" bash -c 'set -euo pipefail; . "$0"; sync "$@"' \
            "$root/scripts/environment.sh" "$venv" "$lock" "$@"
        return
    fi
    bring_uv
    rm -f "$stamp"
    extras=$(cat "$venv/antiphon-extras" 2>/dev/null || true)
    if [ ! -x "$venv/bin/python" ]; then
        rm -rf "$venv" # half made, or its Python is gone
        # uv looks on the PATH; what pyenv installed is found too.
        PATH="$PATH$(printf ':%s' "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin)" \
            "$uv" venv --quiet --python "${ANTIPHON_PYTHON:->=3.11,<3.15}" "$venv" || fail "no Python 3.11 to 3.14 was found."
    fi
    say "Bringing $venv to $lock …"
    # What comes as source alone is built with the setuptools that is locked, where one is.
    "$uv" pip sync --quiet --python "$venv/bin/python" --require-hashes --build-constraints "$root/$lock" "$root/$lock" || fail "the packages could not be installed: is the package index reachable?"
    # hatchling and editables are in the lock: nothing is fetched to build our own three packages.
    local editable=()
    for project in "$@"; do editable+=(-e "$root/$project"); done
    "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation "${editable[@]}" || fail "Antiphon itself could not be installed."
    [ -z "$extras" ] || printf '%s\n' "$extras" >"$venv/antiphon-extras"
    for extra in $extras; do add_extra "$venv" "$extra"; done
    printf '%s' "$wanted" >"$stamp"
    rm -f "$venv/antiphon-stamp-more"
}

# add VENV LOCK: put what a lock has beside what is there, if it is not there already.
add() {
    local stamp="$1/antiphon-stamp-more" wanted
    wanted=$(cksum <"$root/$2")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    bring_uv
    say "Adding $2 to $1 …"
    "$uv" pip install --quiet --python "$1/bin/python" --no-deps --require-hashes -r "$root/$2" || fail "the packages could not be installed: is the package index reachable?"
    printf '%s' "$wanted" >"$stamp"
}
