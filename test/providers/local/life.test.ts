import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, type Listed, type Provider } from "../../../src/contract/index.ts";
import { CREATE_FAILPOINTS } from "../../../src/providers/local/create.ts";
import { findCgroups, Cgroup } from "../../../src/providers/local/cgroup.ts";
import { cgroupParent } from "../../../src/providers/local/host.ts";
import local from "../../../src/providers/local/index.ts";
import { findProgram } from "../../../src/providers/local/runtime.ts";
import { eventually, sandbox, say, specOf } from "./inside.ts";
import { op, Scratch, silent, unusable } from "./scratch.ts";

const reason = await unusable({});

async function listed(provider: Provider): Promise<Listed[]> {
  const all: Listed[] = [];
  for await (const one of provider.list(op())) all.push(one);
  return all;
}

describe.skipIf(reason !== undefined)(`the life of a sandbox${reason === undefined ? "" : ` (not on this host: ${reason})`}`, () => {
  const scratch = new Scratch();
  let provider: Provider;
  beforeAll(async () => {
    provider = await scratch.open();
  });
  afterAll(() => scratch.remove());

  /** Everything that a sandbox has outside its own processes. */
  const remains = (id: string): string[] => {
    const groups = new Cgroup(findCgroups(), `${cgroupParent(scratch.instance)}/${id}`).directories();
    const states = ["crun", "runc", "runsc"].flatMap((name) =>
      existsSync(scratch.path("runtimes", name)) ? readdirSync(scratch.path("runtimes", name)).filter((one) => one.startsWith(id)) : [],
    );
    const slots = readdirSync(scratch.path("slots", "live")).filter((one) => one.endsWith(id));
    return [
      ...groups.filter((path) => existsSync(path)),
      ...states,
      ...slots,
      ...readdirSync(scratch.path("sandboxes")).filter((one) => one === id),
    ];
  };

  test("ends at max_life with nobody watching, and says so afterwards", async () => {
    const ref = await sandbox(provider, { maxLifeAt: Date.now() + 1500 });
    await eventually(async () => {
      const observed = await provider.inspect(ref, op());
      return observed !== "absent" && observed.state === "stopped" && observed.stoppedBecause === "expired";
    });
    await expect(say(provider, ref, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect((await listed(provider)).find(({ id }) => id === ref.id)).toMatchObject({ running: false });
    expect(await provider.destroy(ref, op())).toBe("destroyed");
    expect(remains(ref.id)).toEqual([]);
  });

  test("begins once: the same id again is the same sandbox, from this process and from another one", async () => {
    const spec = specOf();
    const first = await provider.create(spec, op());
    await say(provider, first.ref, "echo mine > /tmp/mark");
    const second = await (await scratch.open()).create(spec, op());
    expect(second).toEqual(first);
    expect((await say(provider, second.ref, "cat /tmp/mark")).stdout).toBe("mine\n");
    await provider.destroy(first.ref, op());
  });

  test("is refused where its id would lead out of the directory of sandboxes", async () => {
    for (const id of ["../escape", "a/b", "", ".", "UPPER", "a.b"]) {
      await expect(provider.create(specOf({ id }), op()), id).rejects.toMatchObject({ code: "invalid_request" });
    }
    expect(existsSync(scratch.path("escape"))).toBe(false);
  });

  for (const point of CREATE_FAILPOINTS) {
    test(`leaves nothing where its creation is aborted at ${point}`, async () => {
      const abort = new AbortController();
      const aborting = await scratch.open({}, (name) => {
        if (name === point) abort.abort();
      });
      const spec = specOf();
      const [outcome] = await Promise.allSettled([aborting.create(spec, op(abort.signal))]);
      if (outcome.status === "fulfilled") await provider.destroy(outcome.value.ref, op());
      else expect(outcome.reason).toMatchObject({ code: "canceled" });
      expect(remains(spec.id)).toEqual([]);
    });

    test(`is listed, and can be ended, where the process that creates it dies at ${point}`, async () => {
      const spec = specOf();
      const script = `
        const { default: local } = await import(${JSON.stringify(new URL("../../../src/providers/local/index.ts", import.meta.url).href)});
        const log = { debug() {}, info() {}, warn() {}, error() {} };
        const failpoint = (name) => { if (name === ${JSON.stringify(point)}) process.kill(process.pid, "SIGKILL"); };
        const context = { backend: "local", directory: ${JSON.stringify(scratch.directory)}, instance: ${JSON.stringify(scratch.instance)}, log, failpoint };
        const provider = await local.open({ pool: 0 }, context);
        await provider.create(${JSON.stringify(spec)}, { signal: new AbortController().signal, log });`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "inherit"] });
      expect(await new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)))).toBe("SIGKILL");
      const half = (await listed(provider)).find(({ id }) => id === spec.id);
      if (half === undefined) throw new Error("it is not listed");
      expect([half.tenant, await provider.inspect(half, op())]).toEqual([spec.tenant, "absent"]);
      expect(await provider.destroy(half, op())).toBe("destroyed");
      expect(remains(spec.id)).toEqual([]);
    });
  }

  test("is listed and ended though its record is gone", async () => {
    const ref = await sandbox(provider);
    const record = JSON.parse(readFileSync(scratch.path("sandboxes", ref.id, "sandbox.json"), "utf8")) as { init: { pid: number } };
    rmSync(scratch.path("sandboxes", ref.id), { recursive: true });
    expect((await listed(provider)).map(({ id }) => id)).toContain(ref.id);
    expect(await provider.destroy(ref, op())).toBe("destroyed");
    await eventually(() => !existsSync(`/proc/${record.init.pid}`));
    expect([remains(ref.id), await provider.destroy(ref, op())]).toEqual([[], "absent"]);
  });

  test("goes on, and ends, though another runtime or none is to be used from now on", async () => {
    const ref = await sandbox(provider);
    const usual = provider.traits.isolation[0]?.runtime.split(" ")[0];
    const changed = await scratch.open({ runtimes: [usual === "runc" ? "crun" : "runc"] });
    expect((await say(changed, ref, "echo up")).stdout).toBe("up\n");
    expect(await changed.destroy(ref, op())).toBe("destroyed");
    expect(remains(ref.id)).toEqual([]);
  });

  test("leaves no control group of the data directory either once the provider is let go", async () => {
    const own = new Scratch();
    const other = await own.open();
    const ref = await sandbox(other);
    await other.destroy(ref, op());
    await other.dispose?.();
    expect(new Cgroup(findCgroups(), cgroupParent(own.instance)).directories().filter((path) => existsSync(path))).toEqual([]);
    await own.remove();
  });
});

test("a data directory that sandboxes cannot reach is said by its name, and works once it is opened", async () => {
  const closed = mkdtempSync(join(tmpdir(), "sand-boxer-closed-"));
  const directory = join(closed, "data");
  mkdirSync(directory, { mode: 0o711 });
  chmodSync(closed, 0o700);
  const context = { backend: "local", directory, instance: newId("instance"), log: silent, failpoint: () => undefined };
  try {
    if (process.getuid?.() !== 0) return;
    const provider = await local.open({ pool: 0 }, context);
    expect(provider.traits.unavailable).toContain(`${closed} (mode 0700)`);
    await expect(provider.create(specOf(), op())).rejects.toMatchObject({
      code: "isolation_unavailable",
      message: expect.stringContaining(`chmod o+x ${closed}`) as string,
    });
    expect(await listed(provider)).toEqual([]);
    await provider.dispose?.();
    chmodSync(closed, 0o711);
    const reopened = await local.open({ pool: 0 }, context);
    expect(reopened.traits.unavailable).toBe(reason);
    await reopened.maintain?.(op());
    await reopened.dispose?.();
  } finally {
    rmSync(closed, { recursive: true, force: true });
  }
});

test("a host with root and an OCI runtime reaches the level container", async () => {
  const installed = (await Promise.all((["crun", "runc"] as const).map((name) => findProgram(name)))).some((path) => path !== undefined);
  // What this file's other tests are left out for must not be a fault of ours.
  if (process.getuid?.() === 0 && installed) expect(reason).toBeUndefined();
});

test("where no runtime works the provider opens, and says of each what is wrong", async () => {
  const scratch = new Scratch();
  const programs = scratch.path("programs");
  mkdirSync(programs);
  // Found first on the PATH, and broken.
  for (const name of ["crun", "runc", "runsc"])
    writeFileSync(join(programs, name), "#!/bin/sh\necho broken >&2\nexit 1\n", { mode: 0o755 });
  const path = process.env["PATH"];
  process.env["PATH"] = `${programs}:${path}`;
  try {
    const provider = await scratch.open({ disk: "tmpfs" });
    expect(provider.traits).toMatchObject({ isolation: [], capabilities: {} });
    for (const name of ["crun", "runc", "runsc"])
      expect(provider.traits.unavailable).toContain(`${name}: ${programs}/${name} does not run`);
    await expect(provider.create(specOf(), op())).rejects.toMatchObject({
      code: "isolation_unavailable",
      message: expect.stringContaining("does not run") as string,
    });
  } finally {
    process.env["PATH"] = path;
    await scratch.remove();
  }
});
