import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MountedWorkspace, Provider, Ref } from "../../../src/contract/index.ts";
import { SandboxDirectory } from "../../../src/providers/local/record.ts";
import { lookAtWorkspace, prepareWorkspace } from "../../../src/providers/local/workspace.ts";
import { mountsBelow } from "../../support/host-objects.ts";
import { sandbox, say, specOf } from "./inside.ts";
import { containerRuntime } from "../../support/runtimes.ts";
import { op, Scratch } from "./scratch.ts";

const DEVELOPER = 1234;

/** A project of a developer's: a secret, a script anyone may read, a directory anyone may write. */
function project(parent: string): string {
  const directory = mkdtempSync(join(parent, "project-"));
  mkdirSync(join(directory, "sub"));
  mkdirSync(join(directory, "open"));
  mkdirSync(join(directory, "node_modules"));
  for (const [name, text] of [
    [".env", "KEY=host"],
    ["sub/.env", "KEY=sub"],
    ["read.txt", "read"],
    ["private.txt", "owner's"],
    ["node_modules/host.js", "1"],
  ] as const)
    writeFileSync(join(directory, name), text);
  spawnSync("chown", ["-R", `${DEVELOPER}:${DEVELOPER}`, directory]);
  for (const name of ["", "sub", "node_modules"]) chmodSync(join(directory, name), 0o755);
  chmodSync(join(directory, "open"), 0o777);
  chmodSync(join(directory, "private.txt"), 0o600);
  return directory;
}

const mounted = (path: string, changes: Partial<MountedWorkspace> = {}): MountedWorkspace => ({
  path, access: "rw", as_owner: false, shadow: [], ...changes,
}); // prettier-ignore

const root = process.getuid?.() === 0;
if (!root) console.log("not tested: mounts of host directories, which take root");

describe.each(["crun", "runc", "runsc"] as const)("a host directory at the workspace, with %s", (runtime) => {
  const scratch = new Scratch();
  const host = mkdtempSync(join(tmpdir(), "sand-boxer-host-"));
  let provider: Provider;
  let works = false;
  const said = async (ref: Ref, shell: string) => {
    const { stdout, stderr } = await say(provider, ref, shell);
    return `${stderr}${stdout}`.trim();
  };
  beforeAll(async () => {
    if (!root) return;
    chmodSync(host, 0o755);
    provider = await scratch.open({ runtimes: [runtime] });
    works = provider.traits.capabilities["workspace.mount"] !== undefined;
  });
  afterAll(async () => {
    await scratch.remove();
    rmSync(host, { recursive: true, force: true });
  });

  test("is read-only where it is to be, with what is hidden hidden by every way to it", async ({ skip }) => {
    if (!works) skip(`mounts do not work here with ${runtime}`);
    const path = project(host);
    const ref = await sandbox(provider, { workspace: mounted(path, { access: "ro", shadow: [".env", "sub/.env"] }) });
    expect(await said(ref, "cat read.txt")).toBe("read");
    expect(await said(ref, "cat .env sub/.env; cat sub/../.env; cat /proc/self/root/workspace/.env")).toBe("");
    expect(
      await said(ref, "echo x > open/new || echo x > read.txt || mkdir open/d || rm -f read.txt || mv .env e || ln .env e || echo none"),
    ).toMatch(/none$/);
    expect(await said(ref, "mount -o remount,rw,bind /workspace && echo remounted; umount .env && echo shown; cat .env")).not.toMatch(
      /remounted|shown|KEY/,
    );
    expect(readFileSync(join(path, "read.txt"), "utf8")).toBe("read");
    await provider.destroy(ref, op());
  });

  test("takes writes as a stranger's where others may, keeps the hidden hidden under another name, and gives a fresh directory", async ({
    skip,
  }) => {
    if (!works) skip(`mounts do not work here with ${runtime}`);
    const path = project(host);
    const ref = await sandbox(provider, { workspace: mounted(path, { shadow: [".env", "sub/.env", "node_modules/"] }) });
    expect(await said(ref, "echo node_modules/*; echo 2 > node_modules/own.js; cat node_modules/own.js")).toBe("node_modules/*\n2");
    expect(existsSync(join(path, "node_modules/own.js"))).toBe(false);
    expect(await said(ref, "echo in > open/in; cat open/in; echo x > read.txt")).toMatch(/[Dd]enied\nin$/);
    expect(readFileSync(join(path, "open/in"), "utf8")).toBe("in\n");
    expect(statSync(join(path, "open/in")).uid).toBeGreaterThan(2 ** 30);
    expect(
      await said(ref, "cat private.txt && echo seen; cat .env sub/.env; mv .env open/e; rm -f .env; ln .env open/l; cat .env open/*"),
    ).not.toMatch(/seen|KEY/);
    expect(mountsBelow(scratch.directory).filter((at) => !at.includes("/slots/"))).toEqual([]);
    await provider.destroy(ref, op());
    expect(readFileSync(join(path, ".env"), "utf8")).toBe("KEY=host");
    expect(readFileSync(join(path, "node_modules/host.js"), "utf8")).toBe("1");
  });

  test("acts as the directory's owner where the operator says so, and never makes a program that runs as them", async ({ skip }) => {
    if (!works) skip(`mounts do not work here with ${runtime}`);
    const path = project(host);
    const workspace = mounted(path, { as_owner: true, shadow: [".env", "sub/.env"] });
    if (runtime === "runsc") {
      await expect(provider.create(specOf({ workspace }), op())).rejects.toMatchObject({ code: "capability_unsupported" });
      return;
    }
    const ref = await sandbox(provider, { workspace });
    expect(await said(ref, "cat private.txt; stat -c %u:%g read.txt; echo new > made; mkdir d; mv sub moved; cat moved/.env")).toBe(
      "owner's1000:1000",
    );
    expect(statSync(join(path, "made"))).toMatchObject({ uid: DEVELOPER, gid: DEVELOPER });
    const setId = "cp /bin/true made; chmod 4755 made && echo set; chmod 2755 made && echo set; chmod 755 made && echo plain";
    expect(await said(ref, setId)).toMatch(/^(?!.*\bset\b).*plain$/s);
    const opens = `perl -e 'use Fcntl; print sysopen(my $f, "suid", O_CREAT|O_WRONLY, 04755) ? "set" : "refused"; print sysopen(my $g, "plain", O_CREAT|O_WRONLY, 0755) ? " made" : " no"'`;
    expect(await said(ref, opens)).toBe("refused made");
    expect(statSync(join(path, "made")).mode & 0o7000).toBe(0);
    await provider.destroy(ref, op());
  });
});

describe.skipIf(!root)("what is mounted", () => {
  const scratch = new Scratch();
  const host = mkdtempSync(join(tmpdir(), "sand-boxer-host-"));
  let provider: Provider;
  let slots = 0;
  beforeAll(async () => void (provider = await scratch.open({ runtimes: [await containerRuntime()] })));
  afterAll(async () => {
    await scratch.remove();
    rmSync(host, { recursive: true, force: true });
  });
  const refusal = async (changes: Partial<MountedWorkspace> & { path: string }): Promise<unknown> =>
    provider.create(specOf({ workspace: mounted(changes.path, changes) }), op()).then(
      () => "made",
      (thrown: unknown) => thrown,
    );

  test("is never a place of the system's or ours, a symlink, or anything that is not there", async () => {
    const path = project(host);
    symlinkSync(path, join(host, "link"));
    symlinkSync(".env", join(path, "env-link"));
    const denied = [
      "/",
      "/etc",
      "/var/run",
      "/proc/self",
      "/var/lib/docker/volumes",
      scratch.directory,
      scratch.path("sandboxes"),
      tmpdir(),
    ];
    for (const place of denied) expect(await refusal({ path: place }), place).toMatchObject({ code: "policy_denied" });
    for (const place of [join(host, "link"), join(host, "link/sub"), join(path, "read.txt"), join(path, "absent")])
      expect(await refusal({ path: place }), place).toMatchObject({ code: "invalid_request" });
    for (const shadow of ["absent", "env-link", "read.txt/"]) {
      const issues = [expect.objectContaining({ path: "workspace.shadow[0]" })];
      expect(await refusal({ path, shadow: [shadow] }), shadow).toMatchObject({ code: "invalid_request", details: { issues } });
    }
    chownSync(path, 0, 0);
    expect(await refusal({ path, as_owner: true })).toMatchObject({ code: "policy_denied" });
    spawnSync("mount", ["-t", "tmpfs", "none", join(path, "sub")]);
    expect(await refusal({ path })).toMatchObject({ code: "invalid_request" });
    spawnSync("umount", [join(path, "sub")]);
    expect(mountsBelow(scratch.directory).filter((at) => !at.includes("/slots/"))).toEqual([]);
  });

  test("is as it was when a create fails after the mount, and nothing of it is left on the host", async () => {
    const path = project(host);
    const failing = await scratch.open({ runtimes: [await containerRuntime()] }, (name) => {
      if (name === "local.create.after_run") throw new Error("failed after the mount");
    });
    const workspace = mounted(path, { as_owner: true, shadow: [".env", "node_modules/"] });
    await expect(failing.create(specOf({ workspace }), op())).rejects.toThrow("failed after the mount");
    expect(readdirSync(scratch.path("sandboxes"))).toEqual([]);
    expect(readFileSync(join(path, ".env"), "utf8")).toBe("KEY=host");
    expect(existsSync(join(path, "node_modules/host.js"))).toBe(true);
  });

  /** The very program, over a command instead of a runtime, after the directory was looked at. */
  const mountAfter = (workspace: MountedWorkspace, change: () => void) => {
    const directory = new SandboxDirectory(scratch.path("sandboxes"), `race${slots++}`);
    directory.create();
    const seen = lookAtWorkspace(workspace, { sandboxes: scratch.path("sandboxes"), disks: true, gvisor: false });
    const prepared = prepareWorkspace(seen, {
      directory,
      slot: { number: 0, directory: undefined, root: "" },
      user: { uid: 1000, gid: 1000 },
    });
    change();
    const [program = "", ...args] = prepared.around(
      ["cat", join(prepared.source, "read.txt"), join(prepared.source, ".env")],
      directory.file("log"),
    );
    const { stdout, status } = spawnSync(program, args, { encoding: "utf8" });
    const why = existsSync(directory.file("log")) ? readFileSync(directory.file("log"), "utf8") : "";
    return { stdout, status, why };
  };

  test("is the directory that was looked at, whatever is put in its place meanwhile", () => {
    const [path, other] = [project(host), project(host)];
    expect(mountAfter(mounted(path), () => undefined)).toMatchObject({ stdout: "readKEY=host", status: 0 });
    const swaps = [() => symlinkSync(other, path), () => renameSync(other, path)];
    for (const swap of swaps) {
      renameSync(path, `${path}-away`);
      const seen = mountAfter(mounted(`${path}-away`), () => {
        renameSync(`${path}-away`, path);
        renameSync(path, `${path}-gone`);
        swap();
        renameSync(path, `${path}-away`);
      });
      expect(seen).toMatchObject({ stdout: "", status: 125 });
      rmSync(`${path}-away`, { recursive: true, force: true });
      renameSync(`${path}-gone`, path);
    }
  });

  test("hides what is named, or is not mounted at all, where a symlink takes its place", () => {
    const path = project(host);
    const workspace = mounted(path, { shadow: [".env"] });
    expect(mountAfter(workspace, () => undefined)).toMatchObject({ stdout: "read", status: 0 });
    const seen = mountAfter(workspace, () => {
      renameSync(join(path, ".env"), join(path, "secret"));
      symlinkSync("secret", join(path, ".env"));
    });
    expect(seen).toMatchObject({ stdout: "", status: 125, why: expect.stringContaining("symlink") as string });
  });
});
