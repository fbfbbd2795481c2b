#!/bin/sh
# A fake VM: a network namespace of this node whose link is a port of br-int.
set -eu

usage() {
    cat <<'USAGE'
Usage: create_fake_vm.sh PORT NAME MAC MTU IP MASK GATEWAY [IP6/LENGTH [GATEWAY6]]
       create_fake_vm.sh PORT NAME MAC MTU dhcp

Makes the network namespace NAME with the link NAME, whose other end, NAME-p, is bound to the
logical switch port PORT. MASK is a length or a netmask. What is given as '' is left out.
With dhcp the address comes from a DHCP server (dhclient), and nobody waits for it.
USAGE
}

fail() {
    printf 'create_fake_vm.sh: %s\n' "$1" >&2
    exit 1
}

case ${1-} in -h | --help)
    usage
    exit 0
    ;;
esac
if [ $# -lt 5 ] || [ -z "$1" ] || [ -z "$2" ]; then
    usage >&2
    exit 2
fi
port=$1 name=$2 mac=$3 mtu=$4 address=$5 mask=${6-} gateway=${7-} address6=${8-} gateway6=${9-}

# An interface has a name of 15 bytes at most, and -p is a part of it.
[ ${#name} -le 13 ] || fail "$name: longer than 13 characters"
if [ "$address" = dhcp ]; then
    command -v dhclient >/dev/null || fail 'dhcp needs the program dhclient, which is not in this node'
fi

ip netns add "$name"
# The kernel removes the link of a namespace that was deleted when it gets round to it.
ip link delete "$name-p" 2>/dev/null || :
ip link add "$name-p" type veth peer name "$name" netns "$name"
ip link set "$name-p" up
ovs-vsctl --may-exist add-port br-int "$name-p" -- set Interface "$name-p" "external_ids:iface-id=$port"

inside() {
    ip -n "$name" "$@"
}

# A datapath in userspace passes packets on as they are, so nobody would fill in the checksums that the kernel leaves open
# on links within one machine.
if [ "$(ovs-vsctl get Bridge br-int datapath_type)" = netdev ]; then
    if command -v ethtool >/dev/null; then
        ip netns exec "$name" ethtool -K "$name" tx off >/dev/null
    else
        echo "create_fake_vm.sh: TCP and UDP will not pass: the program ethtool is not in this node" >&2
    fi
fi

inside link set lo up
[ -z "$mac" ] || inside link set "$name" address "$mac"
[ -z "$mtu" ] || inside link set "$name" mtu "$mtu"
if [ "$address" = dhcp ]; then
    inside link set "$name" up
    ip netns exec "$name" dhclient -nw -lf "/run/dhclient-$name.leases" -pf "/run/dhclient-$name.pid" "$name"
    exit
fi
[ -z "$address" ] || inside addr add "$address/$mask" dev "$name"
# Without duplicate address detection the address serves at once, and routes can go by way of it.
[ -z "$address6" ] || inside addr add "$address6" dev "$name" nodad
inside link set "$name" up
[ -z "$gateway" ] || inside route add default via "$gateway" dev "$name"
[ -z "$gateway6" ] || inside -6 route add default via "$gateway6" dev "$name"
