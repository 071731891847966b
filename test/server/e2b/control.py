"""What control-python.test.ts runs: the control plane through the official Python SDK. Prints one line when all of it held."""
import os
import sys

from e2b import Sandbox, SandboxQuery, SandboxState
from e2b.exceptions import AuthenticationException, NotFoundException, SandboxException

connection = {"api_key": os.environ["E2B_API_KEY"], "api_url": os.environ["E2B_API_URL"], "sandbox_url": os.environ["E2B_SANDBOX_URL"]}
value = "a b+c%20&=/ä✓"

sandbox = Sandbox.create(timeout=120, metadata={"user": value}, envs={"A": "1"}, **connection)
other = Sandbox.create("python:1", timeout=120, metadata={"user": "other"}, **connection)
info = sandbox.get_info()
assert info.sandbox_id == sandbox.sandbox_id, info
assert info.template_id == "base" and info.state == SandboxState.RUNNING, info
assert info.metadata == {"user": value}, info.metadata
assert (info.end_at - info.started_at).total_seconds() == 120, info
assert sandbox.get_host(3000) == f"3000-{sandbox.sandbox_id}.localhost:{os.environ['PORT']}", sandbox.get_host(3000)

pages = Sandbox.list(limit=1, **connection)
ids = []
while pages.has_next:
    ids += [one.sandbox_id for one in pages.next_items()]
assert ids == [other.sandbox_id, sandbox.sandbox_id], ids
found = Sandbox.list(query=SandboxQuery(metadata={"user": value}, state=[SandboxState.RUNNING]), **connection).next_items()
assert [one.sandbox_id for one in found] == [sandbox.sandbox_id], found

Sandbox.connect(sandbox.sandbox_id, timeout=60, **connection)
assert sandbox.get_info().end_at == info.end_at
sandbox.set_timeout(60)
assert sandbox.get_info().end_at < info.end_at
assert isinstance(sandbox.get_metrics(), list)

sandbox.pause()
assert not sandbox.is_running()
sandbox.connect(timeout=60)
assert sandbox.is_running()
for refused in (sandbox.create_snapshot,):
    try:
        refused()
        sys.exit("was not refused")
    except SandboxException as error:
        assert "400" in str(error), error
try:
    Sandbox.create(network={"allow_out": ["1.1.1.1"]}, **connection)
    sys.exit("was not refused")
except SandboxException as error:
    assert "allowOut" in str(error), error
try:
    Sandbox.create(**{**connection, "api_key": "e2b_" + "0" * 40})
    sys.exit("was let in")
except AuthenticationException:
    pass

assert sandbox.kill() is True
assert Sandbox.kill(sandbox.sandbox_id, **connection) is False
try:
    sandbox.get_info()
    sys.exit("is still there")
except NotFoundException:
    pass
assert other.kill() is True
print("all of it held")
