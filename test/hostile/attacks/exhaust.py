"""Uses up what there is of one thing, within bounds, and says how far it got. The limits are the host's to show."""
import errno
import mmap
import os
import signal
import sys
import time

what, amount = sys.argv[1], int(sys.argv[2])


def forks():
    """Children that fork again, until the kernel says no; all stay for a while."""
    made = 0
    refused = False
    until = time.monotonic() + amount
    while time.monotonic() < until:
        try:
            if os.fork() == 0:
                while time.monotonic() < until:
                    try:
                        if os.fork() == 0:
                            continue
                    except OSError:
                        time.sleep(0.02)
                os._exit(0)
            made += 1
        except OSError as failure:
            refused = refused or failure.errno == errno.EAGAIN
            time.sleep(0.02)
    print("refused" if refused else "never refused", made, flush=True)


def memory():
    """Touches so many MiB."""
    kept = []
    for _ in range(amount):
        page = mmap.mmap(-1, 1 << 20)
        page.write(b"x" * (1 << 20))
        kept.append(page)
    print("touched", amount)


def fill(directory):
    """Writes up to so many MiB into files of 8 MiB."""
    written = 0
    stopped = "never stopped"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for number in range(amount // 8 + 1):
            with open(os.path.join(directory, "fill-%d" % number), "wb", buffering=0) as file:
                for _ in range(8):
                    written += file.write(b"x" * (1 << 20))
    except OSError as failure:
        stopped = errno.errorcode[failure.errno]
    print(stopped, written, flush=True)


def files(directory):
    """Makes up to so many empty files."""
    made = 0
    stopped = "never stopped"
    try:
        for made in range(amount):
            os.close(os.open(os.path.join(directory, "f%d" % made), os.O_CREAT | os.O_WRONLY))
    except OSError as failure:
        stopped = errno.errorcode[failure.errno]
    print(stopped, made, flush=True)


def descriptors():
    made = 0
    stopped = "never stopped"
    try:
        for made in range(amount):
            os.open("/dev/null", os.O_RDONLY)
    except OSError as failure:
        stopped = errno.errorcode[failure.errno]
    print(stopped, made, flush=True)


def spin():
    """Eight processes that count for so many seconds."""
    until = time.monotonic() + amount
    for _ in range(8):
        if os.fork() == 0:
            while time.monotonic() < until:
                pass
            os._exit(0)
    for _ in range(8):
        os.wait()
    print("spun", flush=True)


def deep():
    """A directory so many levels deep."""
    made = 0
    for made in range(1, amount + 1):
        os.mkdir("d")
        os.chdir("d")
    print("made", made, flush=True)


def output():
    """So many MiB."""
    block = b"y" * (1 << 20)
    for _ in range(amount):
        os.write(1, block)


places = {"fill": fill, "files": files}
if what in places:
    places[what](sys.argv[3])
else:
    {"forks": forks, "memory": memory, "descriptors": descriptors, "spin": spin, "deep": deep, "output": output}[what]()
