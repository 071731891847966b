import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Config, LOCAL_OPERATOR, type Principal } from "../../src/contract/index.ts";
import { type Local, openLocal, OWNER } from "../support/local-engine.ts";
import { containerRuntime } from "../support/runtimes.ts";

const STRANGER: Principal = { ...OWNER, tenant: "other" };

const root = process.getuid?.() === 0;
if (!root) console.log("not tested: mounts of host directories, which take root");

describe.runIf(root)("a host directory at the workspace", () => {
  const base = mkdtempSync(join(tmpdir(), "sand-boxer-roots-"));
  chmodSync(base, 0o755);
  for (const name of ["wide/deep/in", "narrow", "wide-not"]) mkdirSync(join(base, name), { recursive: true });
  writeFileSync(join(base, "wide/deep/in/file"), "read");
  const roots = [
    { path: join(base, "wide"), access: "rw" as const, tenants: ["acme"] },
    { path: join(base, "wide/deep"), tenants: ["acme"] },
    { path: join(base, "narrow") },
  ];
  let local: Local;
  beforeAll(async () => void (local = await openLocal("roots", { runtime: await containerRuntime(), config: { workspaces: { roots } } })));
  afterAll(async () => {
    await local[Symbol.asyncDispose]();
    rmSync(base, { recursive: true, force: true });
  });

  it("is mounted only below a root that is listed for the tenant, as far as that gives", async () => {
    const asked = (path: string, access: "ro" | "rw", who: Principal = OWNER) =>
      local.create({ workspace: { access, path: join(base, path) } }, who).then(
        ({ workspace, isolation }) => [workspace?.access, isolation.notes.some((note) => note.includes(base))],
        (thrown: unknown) => (thrown as { code: string; details: { issues: { path: string }[] } }).details.issues[0]?.path,
      );
    expect(await asked("wide/deep/in", "ro")).toEqual(["ro", true]);
    expect(await asked("wide", "rw")).toEqual(["rw", true]);
    expect(await asked("wide/deep/in", "rw")).toBe("workspace.access");
    for (const path of ["wide-not", "narrow", "absent"]) expect(await asked(path, "ro"), path).toBe("workspace.path");
    expect(await asked("wide/deep/in", "ro", STRANGER)).toBe("workspace.path");
    expect(await asked("narrow", "ro", LOCAL_OPERATOR)).toEqual(["ro", true]);
    for (const path of [`${base}/wide/../narrow`, `${base}/wide/`, "wide"])
      await expect(local.create({ workspace: { access: "ro", path } }), path).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("is no wider and no other by a request than its profile says, and rules can ask for it", async () => {
    const { engine } = local;
    const workspace = { access: "ro", path: join(base, "wide/deep/in"), shadow: [] };
    await engine.profiles.apply(OWNER, { kind: "profile", name: "site", version: 1, workspace });
    const made = await local.create({ profile: "site", workspace: { access: "rw" } });
    expect(made).toMatchObject({ workspace: { access: "ro", path: workspace.path, as_owner: false }, narrowed: ["workspace.access"] });
    expect((await local.sh(made.id, "cat file; echo x > file")).stdout).toBe("read");
    await expect(local.create({ profile: "site", workspace: { path: join(base, "wide") } })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(local.create({ workspace: { access: "rw" } })).rejects.toMatchObject({ code: "invalid_request" });
    const text = `@id("all") permit (principal, action, resource);
@id("no-deep") forbid (principal, action == Action::"sandbox.create", resource)
when { context.workspace == "ro" && context has workspace_path && context.workspace_path like "*/deep/*" };`;
    const applied = await engine.policy.apply(LOCAL_OPERATOR, { files: [{ name: "w.cedar", text }] });
    expect(applied.refuses).toContainEqual(expect.objectContaining({ sandbox_id: made.id, rule: "no-deep" }));
    await expect(local.create({ profile: "site" })).rejects.toMatchObject({ code: "policy_denied", details: { rule: "no-deep" } });
    expect((await local.create({ workspace: { access: "ro", path: join(base, "wide") } })).state).toBe("ready");
  });

  it.each(["/", "/etc", "/etc/ssh", "/var", "/run/user", "/var/lib/docker", "relative", "/srv/../etc", "/srv/"])(
    "%s is no root that can be listed",
    (path) => {
      expect(Config.safeParse({ workspaces: { roots: [{ path }] } }).success).toBe(false);
      expect(Config.safeParse({ workspaces: { roots: [{ path: "/srv/projects" }] } }).success).toBe(true);
    },
  );
});
