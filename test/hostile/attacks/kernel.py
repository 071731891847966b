"""Asks the kernel for what a sandbox must not have, keeps whatever it got, and waits until standard input ends.

The oracle is outside: what this process then holds, as /proc of the host shows it. What it says itself is only for people.
"""
import ctypes
import json
import os
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
said = {}
NUMBERS = {
    "x86_64": dict(unshare=272, setns=308, clone=56, clone3=435, mount=165, pivot_root=155, open_tree=428, fsopen=430, bpf=321,
                   io_uring_setup=425, userfaultfd=323, perf_event_open=298, keyctl=250, socket=41),
    "aarch64": dict(unshare=97, setns=268, clone=220, clone3=435, mount=40, pivot_root=41, open_tree=428, fsopen=430, bpf=280,
                    io_uring_setup=425, userfaultfd=282, perf_event_open=241, keyctl=219, socket=198),
}[os.uname().machine]


def call(name, *args):
    ctypes.set_errno(0)
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(NUMBERS[name], *converted)
    return result, ctypes.get_errno()


def note(name, result, error):
    said[name] = "ok" if result >= 0 else (os.strerror(error) if error else "refused")


def descriptor(name, number, *args):
    result, error = call(number, *args)
    note(name, result, error)


def child(name, number, *args):
    """A clone: the child stays until this process ends."""
    result, error = call(number, *args)
    if result == 0:
        stay()
    note(name, result, error)


hold = os.pipe()


def stay():
    """Until the parent has ended."""
    os.close(hold[1])
    os.read(hold[0], 1)
    os._exit(0)


# Case 6: what hands out a kernel object as a descriptor.
descriptor("io_uring", "io_uring_setup", 4, ctypes.create_string_buffer(256))
descriptor("userfaultfd", "userfaultfd", 1)
attribute = ctypes.create_string_buffer(struct.pack("IIQ", 1, 64, 0).ljust(128, b"\0"))  # software, cpu clock
descriptor("perf", "perf_event_open", attribute, 0, -1, -1, 0)
map_create = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1).ljust(128, b"\0"))  # an array of one
descriptor("bpf", "bpf", 0, map_create, 72)
note("keyctl", *call("keyctl", 0, -3, 1))

# Case 5: address families that reach parts of the kernel nobody needs.
for name, family, kind, protocol in [
    ("AF_ALG", 38, socket.SOCK_SEQPACKET, 0), ("AF_VSOCK", 40, socket.SOCK_STREAM, 0), ("AF_PACKET", 17, socket.SOCK_RAW, 768),
    ("raw", socket.AF_INET, socket.SOCK_RAW, 1), ("AF_BLUETOOTH", 31, socket.SOCK_RAW, 1), ("NETLINK_AUDIT", 16, socket.SOCK_RAW, 9),
]:
    result, error = call("socket", family, kind, protocol)
    note(name, result, error)

# Case 2: mounts.
descriptor("open_tree", "open_tree", -100, b"/usr", 1)
descriptor("fsopen", "fsopen", b"tmpfs", 0)
target = sys.argv[1]
note("mount", *call("mount", b"tmpfs", target.encode(), b"tmpfs", 0, None))


def pivot():
    """In a mount namespace of a child's own where it can have one: a new root is everybody's in the namespace."""
    call("unshare", 0x20000)
    call("mount", b"tmpfs", target.encode(), b"tmpfs", 0, None)
    return call("pivot_root", target.encode(), target.encode())


answer = os.pipe()
if os.fork() == 0:
    os.write(answer[1], b"%d %d" % pivot())
    stay()
note("pivot_root", *map(int, os.read(answer[0], 64).split()))

# Case 9 with a name in a place of our own: a block device of the host's disk.
try:
    os.mknod(os.path.join(target, "disk"), 0o60666, os.makedev(7, 0))
    said["mknod"] = "ok"
except OSError as failure:
    said["mknod"] = failure.strerror

# Case 4: into PID 1's namespaces.
for whose in ["1", "self"]:
    for name in ["uts", "ipc", "net"]:
        key = "setns_%s_%s" % (whose, name)
        try:
            link = os.open("/proc/%s/ns/%s" % (whose, name), os.O_RDONLY)
            note(key, *call("setns", link, 0))
            os.close(link)
        except OSError as failure:
            said[key] = failure.strerror

# Case 3: namespaces, last, since they change what this process is.
NEW = {"user": 0x10000000, "mnt": 0x20000, "net": 0x40000000, "ipc": 0x8000000, "uts": 0x4000000, "pid": 0x20000000, "cgroup": 0x2000000}
child("clone", "clone", 0x10000000 | 17, 0, 0, 0, 0)
clone_args = struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
child("clone3", "clone3", ctypes.create_string_buffer(clone_args), len(clone_args))
for name in ["ipc", "uts", "cgroup", "net", "user"]:
    note("unshare_" + name, *call("unshare", NEW[name]))

print(json.dumps(said), flush=True)
sys.stdin.read()
