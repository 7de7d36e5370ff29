#!/usr/bin/env bash
# ./run.sh [ARGUMENTS]: bring what is missing, then run `antiphon ARGUMENTS` (default: up). See README.md.
# ./run.sh extra NAME…: bring engines that are for those who ask (docs/engines.md); updates keep them.
set -euo pipefail
. "$(dirname "$0")/scripts/environment.sh"

command=up before=
for word in "$@"; do
    case $before:$word in
        --config:* | *:-*) before=$word ;;
        *) command=$word && break ;;
    esac
done

# A satellite alone gets the small environment, unless the whole is here already; what looks after it uses that, too.
venv="$root/.venv" small=false
case $command in
    satellite) [ -f "$venv/antiphon-stamp" ] || small=true ;;
    service | doctor) [ -f "$venv/antiphon-stamp" ] || [ ! -f "$root/.venv-satellite/antiphon-stamp" ] || small=true ;;
esac
case $command in
    up | satellite | doctor | service) bring_sound ;;
esac
if $small; then
    venv="$root/.venv-satellite"
    sync "$venv" requirements-satellite.lock . satellite
else
    sync "$venv" requirements.lock . satellite daemon
fi
if [ "$command" = extra ]; then
    shift
    [ $# -gt 0 ] || fail "which one? ./run.sh extra NAME: docs/engines.md names them."
    for name in "$@"; do add_extra "$venv" "$name"; done
    exit
fi
[ $# -gt 0 ] || set -- up
exec "$venv/bin/antiphon" "$@"
