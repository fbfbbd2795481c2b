#!/usr/bin/env bash
# A cluster by hand: what somebody who knows Open vSwitch and OVN writes into a script to have many chassis on one machine
# soon, with iproute2 and the tools of both and without a container engine. It is what the bench `compare` measures ofm
# against.
set -euo pipefail
# Daemons live in sbin, which is not on every user's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

state=/run/ovn-by-hand
prefix=by-hand-
at_once=4
central_ip=10.200.0.1

usage() {
    cat >&2 <<'USAGE'
Usage: by-hand.sh start N | add | stop

  start N  starts a central and N chassis with the userspace datapath, and returns when every chassis
           is in the southbound database and has acknowledged (ovn-nbctl --wait=hv sync); prints the
           seconds of that, and the processor seconds of the daemons in it
  add      adds a chassis and waits likewise; prints the seconds of that
  stop     ends all of it

It takes root. All is in network namespaces called by-hand-* and in /run/ovn-by-hand.
USAGE
    exit 2
}

fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    if (($#)); then printf 'hint: %s\n' "$@" >&2; fi
    exit 1
}

# Says all that is missing, before anything is touched.
check() {
    local name missing=()
    ((EUID == 0)) || fail 'network namespaces take root'
    for name in awk ip ethtool ovsdb-tool ovsdb-server ovs-vsctl ovs-vswitchd ovn-northd ovn-nbctl ovn-sbctl ovn-controller; do
        command -v "$name" >/dev/null || missing+=("$name")
    done
    for name in ovn/ovn-nb ovn/ovn-sb openvswitch/vswitch; do
        [[ -e /usr/share/$name.ovsschema ]] || missing+=("/usr/share/$name.ovsschema")
    done
    ((${#missing[@]} == 0)) || fail "not installed: ${missing[*]}" \
        'they are in iproute2, ethtool and the packages that scripts/install-deps installs'
}

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", to - from }'; }

in_node() { ip netns exec "$prefix$1" "${@:2}"; }

# A network namespace whose eth1 is plugged into the bridge of the underlay.
add_node() {
    local node=$1
    mkdir "$state/$node"
    ip netns add "$prefix$node"
    ip -n "${prefix}underlay" link add "$node" type veth peer name eth1 netns "$prefix$node"
    ip -n "${prefix}underlay" link set "$node" master underlay up
    ip -n "$prefix$node" link set lo up
    ip -n "$prefix$node" link set eth1 up
    # A userspace datapath hands on packets without the checksum that a veth would have left out.
    in_node "$node" ethtool -K eth1 tx off >/dev/null
}

# daemon NODE NAME PROGRAM ARGUMENT..: its pid file is called NAME.
daemon() {
    local node=$1 name=$2 folder=$state/$1
    shift 2
    OVS_RUNDIR=$folder OVN_RUNDIR=$folder OVS_LOGDIR=$folder OVN_LOGDIR=$folder \
        in_node "$node" "$@" --detach --pidfile="$folder/$name.pid" -vconsole:off -vfile:off -vsyslog:off
}

start_central() {
    local folder=$state/central
    add_node central
    ip -n "${prefix}central" addr add "$central_ip/16" dev eth1
    ovsdb-tool create "$folder/nb.db" /usr/share/ovn/ovn-nb.ovsschema
    ovsdb-tool create "$folder/sb.db" /usr/share/ovn/ovn-sb.ovsschema
    daemon central nb ovsdb-server "$folder/nb.db" --remote="punix:$folder/nb.sock"
    daemon central sb ovsdb-server "$folder/sb.db" --remote="punix:$folder/sb.sock" --remote=ptcp:6642
    daemon central northd ovn-northd --ovnnb-db="unix:$folder/nb.sock" --ovnsb-db="unix:$folder/sb.sock"
}

start_chassis() {
    local node=hv$1 folder=$state/hv$1 ip=10.200.$((1 + $1 / 250)).$((1 + $1 % 250))
    add_node "$node"
    cp "$state/empty.db" "$folder/conf.db"
    daemon "$node" ovsdb-server ovsdb-server "$folder/conf.db" --remote="punix:$folder/db.sock"
    # The encapsulated traffic of a userspace datapath passes a bridge of its own, which has the address.
    ovs-vsctl --db="unix:$folder/db.sock" --no-wait -- init \
        -- set open_vswitch . external_ids:system-id="$node" external_ids:ovn-remote="tcp:$central_ip:6642" \
        external_ids:ovn-encap-type=geneve external_ids:ovn-encap-ip="$ip" external_ids:ovn-bridge-datapath-type=netdev \
        -- add-br br-underlay -- set bridge br-underlay datapath_type=netdev -- add-port br-underlay eth1
    daemon "$node" ovs-vswitchd ovs-vswitchd "unix:$folder/db.sock"
    ip -n "$prefix$node" addr add "$ip/16" dev br-underlay
    ip -n "$prefix$node" link set br-underlay up
    daemon "$node" ovn-controller ovn-controller "unix:$folder/db.sock"
}

registered() { ovn-sbctl --db="unix:$state/central/sb.sock" --bare --columns=name list chassis | grep -c hv || true; }

wait_until_ready() {
    until (($(registered) >= $1)); do sleep 0.05; done
    ovn-nbctl --db="unix:$state/central/nb.sock" --timeout=600 --wait=hv sync
}

# What the daemons have run on a processor: in nanoseconds where the kernel counts them (schedstat), else in ticks.
daemons_cpu() {
    local pid files=() kind=schedstat
    [[ -e /proc/self/schedstat ]] || kind=stat
    for pid in $(cat "$state"/*/*.pid); do
        if [[ $kind == schedstat ]]; then files+=("/proc/$pid"/task/*/schedstat); else files+=("/proc/$pid/stat"); fi
    done
    if [[ $kind == schedstat ]]; then
        awk '{ sum += $1 } END { printf "%.3f\n", sum / 1e9 }' "${files[@]}"
    else
        sed 's/.*) //' "${files[@]}" | awk -v hz="$(getconf CLK_TCK)" '{ sum += $12 + $13 } END { printf "%.3f\n", sum / hz }'
    fi
}

start() {
    local count=$1 i began=$EPOCHREALTIME
    [[ ! -e $state ]] || fail "$state is there already" 'by-hand.sh stop'
    trap 'give_up' EXIT
    trap 'exit 130' INT TERM
    mkdir "$state"
    ip netns add "${prefix}underlay"
    ip -n "${prefix}underlay" link add underlay type bridge
    ip -n "${prefix}underlay" link set underlay up
    ovsdb-tool create "$state/empty.db" /usr/share/openvswitch/vswitch.ovsschema
    start_central
    for ((i = 1; i <= count; i++)); do
        if ((i > at_once)); then wait -n; fi
        start_chassis "$i" &
    done
    for ((i = 1; i <= count && i <= at_once; i++)); do wait -n; done
    wait_until_ready "$count"
    echo "wall $(seconds_since "$began")"
    echo "daemons_cpu $(daemons_cpu)"
    echo "$count" >"$state/count"
    trap - EXIT INT TERM
}

add() {
    local count began=$EPOCHREALTIME
    [[ -e $state/count ]] || fail 'nothing is started' 'by-hand.sh start N'
    count=$(($(<"$state/count") + 1))
    start_chassis "$count"
    echo "$count" >"$state/count"
    wait_until_ready "$count"
    echo "wall $(seconds_since "$began")"
}

stop() {
    local pids namespace
    pids=$(cat "$state"/*/*.pid 2>/dev/null) || true
    # There is nothing that they would have to put in order, and nothing that would have to wait for them.
    # shellcheck disable=SC2086 # several numbers
    kill -KILL $pids 2>/dev/null || true
    for namespace in /run/netns/"$prefix"*; do
        if [[ -e $namespace ]]; then ip netns delete "${namespace##*/}"; fi
    done
    rm -rf "$state"
}

# After a failure there may be daemons that had no time to write down who they are.
give_up() {
    local status=$? pids namespace
    trap '' INT TERM
    trap - EXIT
    set +e
    pids=$(jobs -p)
    # shellcheck disable=SC2086 # several numbers
    [[ -z $pids ]] || kill $pids
    wait
    for namespace in /run/netns/"$prefix"*; do
        pids=$(ip netns pids "${namespace##*/}" 2>/dev/null)
        # shellcheck disable=SC2086 # several numbers
        [[ -z $pids ]] || kill -KILL $pids
    done
    stop
    exit "$status"
} 2>/dev/null

case ${1:-} in
    start)
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage
        check
        start "$2"
        ;;
    add)
        check
        add
        ;;
    stop)
        check
        stop
        ;;
    *) usage ;;
esac
