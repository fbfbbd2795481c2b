#!/bin/sh
# Does what systemctl(1) would do for FRR, the one service that OVN's tests start and stop: no systemd runs in a node.
set -eu

fail() {
    printf 'systemctl: %s\n' "$1" >&2
    exit 1
}

verb=${1-}
case $verb in
    # Nothing was loaded that could be out of date.
    daemon-reload) exit 0 ;;
    start | stop | restart | reload | status | is-active) ;;
    *) fail "no systemd runs in a node; start, stop, restart, reload, status, is-active and daemon-reload are done" ;;
esac
case ${2-} in
    frr | frr.service) [ $# = 2 ] || fail 'one service at a time' ;;
    *) fail "no systemd runs in a node; only the service frr is known, and not '${2-}'" ;;
esac

for script in /usr/libexec/frr/frrinit.sh /usr/lib/frr/frrinit.sh; do
    [ -x "$script" ] || continue
    # What the service has made for it.
    install -d -m 0755 -o frr -g frr /run/frr
    [ "$verb" = is-active ] || exec "$script" "$verb"
    if "$script" status >/dev/null 2>&1; then
        echo active
        exit 0
    fi
    echo inactive
    exit 3
done
fail 'there is no frrinit.sh of FRR'
