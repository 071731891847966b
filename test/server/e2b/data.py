"""What data-python.test.ts runs: commands, files, watches and terminals through the official Python SDK. Prints one line when all of it held."""
import asyncio
import os
import time

from e2b import AsyncSandbox, CommandExitException, FileType, FilesystemEventType, NotFoundException, Sandbox
from e2b.sandbox.commands.command_handle import PtySize

connection = {"api_key": os.environ["E2B_API_KEY"], "api_url": os.environ["E2B_API_URL"], "sandbox_url": os.environ["E2B_SANDBOX_URL"]}
sandbox = Sandbox.create(timeout=120, **connection)


def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


result = sandbox.commands.run("echo out; echo err >&2; echo $CALL", envs={"CALL": "x"})
assert (result.stdout, result.stderr, result.exit_code) == ("out\nx\n", "err\n", 0), result
try:
    sandbox.commands.run("exit 3")
    raise SystemExit("a failed command did not raise")
except CommandExitException as failed:
    assert failed.exit_code == 3, failed
handle = sandbox.commands.run("cat", background=True, stdin=True)
sandbox.commands.send_stdin(handle.pid, "typed\n")
assert [one.pid for one in sandbox.commands.list()] == [handle.pid]
handle.disconnect()
again = sandbox.commands.connect(handle.pid)
assert again.kill() is True
assert sandbox.commands.kill(99_999) is False

assert sandbox.files.write("dir/a", "text ü").path == "/home/user/dir/a"
assert sandbox.files.read("dir/a") == "text ü"
assert bytes(sandbox.files.read("dir/a", format="bytes")) == "text ü".encode()
assert b"".join(sandbox.files.read("dir/a", format="stream")) == "text ü".encode()
sandbox.files.write_files([{"path": "dir/b", "data": b"\x00\xff"}, {"path": "dir/c", "data": ""}])
assert [(one.name, one.type, one.size) for one in sandbox.files.list("dir")] == [("a", FileType.FILE, 7), ("b", FileType.FILE, 2), ("c", FileType.FILE, 0)]
assert sandbox.files.get_info("dir").type == FileType.DIR
assert sandbox.files.make_dir("new") is True and sandbox.files.make_dir("new") is False
sandbox.files.rename("dir/b", "new/b")
sandbox.files.remove("dir/c")
assert sandbox.files.exists("new/b") and not sandbox.files.exists("dir/c")
try:
    sandbox.files.read("none")
    raise SystemExit("a missing file did not raise")
except NotFoundException:
    pass

seen = []
watch = sandbox.files.watch_dir("dir", recursive=True)
sandbox.files.write("dir/sub/w", "1")
until(lambda: seen.extend(watch.get_new_events()) or ("sub/w", FilesystemEventType.CREATE) in [(one.name, one.type) for one in seen])
watch.stop()

terminal = sandbox.pty.create(PtySize(rows=24, cols=80))
sandbox.pty.resize(terminal.pid, PtySize(rows=30, cols=90))
sandbox.pty.send_stdin(terminal.pid, b"exit 6\n")
try:
    terminal.wait()
    raise SystemExit("the terminal's status was lost")
except CommandExitException as ended:
    assert ended.exit_code == 6, ended


async def together():
    same = await AsyncSandbox.connect(sandbox.sandbox_id, **connection)
    results = await asyncio.gather(*[same.commands.run(f"echo {number}") for number in range(20)])
    assert [one.stdout for one in results] == [f"{number}\n" for number in range(20)]
    events = []
    stop = await same.files.watch_dir("new", lambda event: events.append(event.name))
    await same.files.write("new/seen", "1")
    for _ in range(500):
        if "seen" in events:
            break
        await asyncio.sleep(0.02)
    assert "seen" in events, events
    await stop.stop()


asyncio.run(together())
assert sandbox.is_running() is True
sandbox.kill()
assert sandbox.is_running() is False
print("all of it held")
