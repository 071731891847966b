"""Writes one hostile tar to standard output. Arguments: which, and the path of a file of the host."""
import io
import os
import sys
import tarfile

which, victim = sys.argv[1], sys.argv[2]
out = io.BytesIO()
tar = tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT)


def add(name, data=b"overwritten", kind=tarfile.REGTYPE, link="", mode=0o644, device=(0, 0)):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.uid, entry.gid = kind, link, mode, 0, 0
    entry.devmajor, entry.devminor = device
    entry.size = len(data) if kind == tarfile.REGTYPE else 0
    tar.addfile(entry, io.BytesIO(data) if kind == tarfile.REGTYPE else None)


up = "../" * 30
if which == "paths":
    add(victim)
    add(up + victim.lstrip("/"))
    add("a/../" + up + victim.lstrip("/"))
elif which == "links":
    add("way", kind=tarfile.SYMTYPE, link=os.path.dirname(victim))
    add("way/secret")
    add("root", kind=tarfile.SYMTYPE, link="/proc/1/root" + os.path.dirname(victim))
    add("root/secret")
    add("hard", kind=tarfile.LNKTYPE, link=victim)
    add("hard")
elif which == "devices":
    add("disk", kind=tarfile.BLKTYPE, device=(7, 0), mode=0o666)
    add("memory", kind=tarfile.CHRTYPE, device=(1, 1), mode=0o666)
elif which == "setuid":
    add("suid", mode=0o6755)
tar.close()
bytes_out = out.getvalue()

if which == "sized":
    # A header that promises 1 TiB, with nothing behind it.
    entry = tarfile.TarInfo("huge")
    entry.size = 1 << 40
    bytes_out = entry.tobuf(tarfile.GNU_FORMAT) + b"\0" * 65536
elif which == "many":
    # More files than any quota here: 20,000 of nothing.
    head = io.BytesIO()
    for number in range(20000):
        head.write(tarfile.TarInfo("m/%d" % number).tobuf(tarfile.GNU_FORMAT))
    bytes_out = head.getvalue() + b"\0" * 1024
elif which == "full":
    # 96 MiB of zeros in one member: more than the disk of the test.
    entry = tarfile.TarInfo("zeros")
    entry.size = 96 << 20
    bytes_out = entry.tobuf(tarfile.GNU_FORMAT) + b"\0" * entry.size + b"\0" * 1024
elif which == "torn":
    bytes_out = b"\xff" * 512 + os.urandom(4096)
elif which == "good":
    entry = tarfile.TarInfo("good")
    entry.size = 4
    bytes_out = entry.tobuf(tarfile.GNU_FORMAT) + b"good".ljust(512, b"\0") + b"\0" * 1024
sys.stdout.buffer.write(bytes_out)
