"""The Python clients of Open vSwitch, measured: one line of JSON says what the work took.

usage: idl.py SOCKET (calls COUNT WINDOW | commits COUNT | load ROWS | follow NAME | lookup ROWS)
"""

import json
import sys
import time

import ovs.db.idl
import ovs.jsonrpc
import ovs.poller
import ovs.stream

SCHEMA = "/usr/share/ovn/ovn-nb.ovsschema"
PORTS = "Logical_Switch_Port"


class Stopwatch:
    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self):
        # Not ru_maxrss, which counts the memory of the parent before the exec as well.
        with open("/proc/self/status") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
        print(json.dumps({
            "wall": time.perf_counter() - self.wall,
            "cpu": time.process_time() - self.cpu,
            "peak": int(peak.split()[1]) * 1024 / 1e6,
        }), flush=True)


def address_set(number):
    return {"name": f"as-{number}", "addresses": "10.244.0.1",
            "external_ids": ["map", [["owner", "bench"]]]}


def calls(remote, count, window):
    """Transactions through ovs.jsonrpc, with so many in flight."""
    error, stream = ovs.stream.Stream.open_block(ovs.stream.Stream.open(remote))
    assert not error
    connection = ovs.jsonrpc.Connection(stream)
    watch = Stopwatch()
    sent = received = 0
    while received < count:
        while sent < count and sent - received < window:
            operation = {"op": "insert", "table": "Address_Set", "row": address_set(sent)}
            params = ["OVN_Northbound", operation]
            connection.send(ovs.jsonrpc.Message.create_request("transact", params))
            sent += 1
        error, message = connection.recv_block()
        assert not error and "uuid" in message.result[0], message
        received += 1
    watch.stop()


def idl_of(remote, table):
    helper = ovs.db.idl.SchemaHelper(SCHEMA)
    helper.register_table(table)
    return ovs.db.idl.Idl(remote, helper)


def run_until(idl, seen):
    while True:
        idl.run()
        if seen():
            return
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.block()


def commits(remote, count):
    """Transactions of the IDL."""
    idl = idl_of(remote, "Address_Set")
    run_until(idl, idl.has_ever_connected)
    watch = Stopwatch()
    for number in range(count):
        transaction = ovs.db.idl.Transaction(idl)
        row = transaction.insert(idl.tables["Address_Set"])
        row.name = f"as-{number}"
        row.addresses = ["10.244.0.1"]
        row.external_ids = {"owner": "bench"}
        status = transaction.commit_block()
        assert status == ovs.db.idl.Transaction.SUCCESS, status
    watch.stop()


def loaded(idl, count):
    rows = idl.tables[PORTS].rows
    run_until(idl, lambda: len(rows) == count)
    return rows


def load(remote, count):
    watch = Stopwatch()
    loaded(idl_of(remote, PORTS), count)
    watch.stop()


def lookup(remote, count):
    """Nanoseconds of each kind of look-up."""
    idl = idl_of(remote, PORTS)
    index = idl.index_create(PORTS, "by_name")
    index.add_column("name")
    rows = loaded(idl, count)
    uuids = list(rows.keys())[::50]
    names = [rows[uuid].name for uuid in uuids]
    addresses = [rows[uuid].addresses for uuid in uuids[:5]]
    entry = rows.IndexEntry
    figures = {}

    def timed(name, keys, look):
        began = time.perf_counter_ns()
        for key in keys:
            assert look(key)
        figures[name] = (time.perf_counter_ns() - began) / len(keys)

    timed("row by UUID", uuids, lambda uuid: rows[uuid])
    timed("by name, with an index", names,
          lambda name: list(idl.index_equal(PORTS, "by_name", entry(name=name))))
    timed("by addresses, a search of all rows", addresses,
          lambda wanted: [row for row in rows.values() if row.addresses == wanted])
    print(json.dumps(figures))


def main():
    socket, job, *arguments = sys.argv[1:]
    remote = f"unix:{socket}"
    match job:
        case "calls":
            calls(remote, *map(int, arguments))
        case "commits":
            commits(remote, *map(int, arguments))
        case "load":
            load(remote, *map(int, arguments))
        case "lookup":
            lookup(remote, *map(int, arguments))


main()
