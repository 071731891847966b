import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LOCAL_OPERATOR, Profile } from "../../src/contract/index.ts";
import { userIds } from "../../src/providers/local/oci-process.ts";
import { exactly, hostObjects, read, sandboxProcesses, scratchOf } from "../support/host-objects.ts";
import { holdInside } from "../support/held.ts";
import { openLocal, OWNER } from "../support/local-engine.ts";

console.warn(
  "case 12 is not run: an image with symlinks for /proc or /dev needs OCI images, which this version refuses as capability_unsupported",
);

const NOBODY_MAY_BE = [
  "4294967296",
  "4294967296:0",
  "1000:4294967296",
  "2147483648",
  "0",
  "0:0",
  "1000:0",
  "root",
  "-1",
  "65534",
  "1e3",
  "1000 ",
  "١٠٠٠",
];

describe("case 13: a user that would wrap to root", () => {
  it.each(NOBODY_MAY_BE)("%j is refused in a profile or by the provider, and never becomes ids", (user) => {
    const parsed = Profile.safeParse({ kind: "profile", name: "p", version: 1, user });
    if (parsed.success) expect(() => userIds(user)).toThrow(expect.objectContaining({ code: "invalid_request" }));
    expect(Profile.safeParse({ kind: "profile", name: "p", version: 1, user: "1234" }).success).toBe(true);
  });

  it("is refused for a sandbox and for a command, and nothing runs; a plain number works and is that user on the host", async () => {
    await using local = await openLocal("users");
    const { engine } = local;
    for (const [index, user] of NOBODY_MAY_BE.entries()) {
      const applied = await engine.profiles
        .apply(OWNER, { kind: "profile", name: `u${index}`, version: 1, user })
        .catch((thrown: unknown) => thrown);
      if (applied instanceof Error) expect(applied).toMatchObject({ code: "invalid_request" });
      else await expect(local.create({ profile: `u${index}` }), user).rejects.toMatchObject({ code: "invalid_request" });
    }
    const empty = hostObjects(local.dataDir);
    expect(empty.running).toEqual([]);
    await engine.profiles.apply(OWNER, { kind: "profile", name: "plain", version: 1, user: "1234:1235" });
    const { id } = await local.create({ profile: "plain" });
    for (const user of NOBODY_MAY_BE)
      await expect(local.exec(id, { argv: ["id"], user }), user).rejects.toMatchObject({ code: "invalid_request" });
    const held = await holdInside(engine, id, ["/bin/sh", "-c", "id -u; cat >/dev/null"]);
    expect(held.said).toBe("1234");
    const users = sandboxProcesses(local.dataDir, id).map((pid) =>
      Number(/^Uid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 2 ** 30),
    );
    expect(users.every((uid) => uid >= 2 ** 30)).toBe(true);
    expect(users.map((uid) => uid % 65_536)).toContain(1234);
    await held.finish();
  });
});

describe("case 15: fields of a container that are smuggled into a request", () => {
  it("are refused by name, make nothing, and what passes does not reach the container's own document", async () => {
    await using local = await openLocal("smuggled");
    const { url, key } = await local.listen();
    const headers = { authorization: `Bearer ${await key()}`, "content-type": "application/json" };
    const post = (path: string, body: unknown) => fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
    const smuggled: Record<string, unknown> = {
      privileged: true, devices: ["/dev/mem"], mounts: [{ source: "/", destination: "/host" }], binds: ["/var/run/docker.sock:/var/run/docker.sock"],
      namespaces: { pid: "host" }, network_mode: "host", pid: "host", cap_add: ["SYS_ADMIN"], capabilities: ["ALL"], security_opt: ["seccomp=unconfined"],
      linux: { namespaces: [] }, hooks: { createRuntime: [] }, annotations: { "run.oci.hooks": "x" }, user: "0", image: "host", cgroup_parent: "/", rootfs: "/", setup: ["id"],
    }; // prettier-ignore
    for (const [name, value] of Object.entries(smuggled)) {
      const answer = await post("/v1/sandboxes", { [name]: value });
      expect(answer.status, name).toBe(400);
      const { error } = (await answer.json()) as { error: { issues: { path: string }[] } };
      expect(error.issues.map(({ path }) => path)).toContain(name);
      if (["user", "image", "setup"].includes(name)) continue;
      expect((await post("/v1/profiles", { kind: "profile", name: "smuggled", version: 1, [name]: value })).status, name).toBe(400);
    }
    for (const workspace of [
      { access: "rw", path: "/" },
      { access: "ro", path: "/etc" },
      { access: "rw", path: "/var/run/docker.sock" },
    ]) {
      await local.engine.profiles.apply(LOCAL_OPERATOR, {
        kind: "profile",
        name: `w${workspace.access}${workspace.path.length}`,
        version: 1,
        workspace,
      });
      const answer = await post("/v1/sandboxes", { profile: `w${workspace.access}${workspace.path.length}` });
      expect([400, 404, 422]).toContain(answer.status);
    }
    const bodyless = hostObjects(local.dataDir);
    expect(bodyless.running).toEqual([]);

    // What a request may say is data, wherever it ends up.
    const strange = { name: '"},"mounts":[{"destination":"/x"', metadata: { a: '","privileged":"true' }, env: { X: 'a\n"b",\u2028' } };
    const made = await post("/v1/sandboxes", strange);
    expect(made.status).toBe(201);
    const { id } = (await made.json()) as { id: string };
    const plain = await local.create();
    const configOf = (sandbox: string) =>
      JSON.parse(readFileSync(join(scratchOf(local.dataDir, sandbox), "config.json"), "utf8")) as {
        linux: { namespaces: object };
        mounts: { destination: string }[];
        process: object;
      };
    expect(configOf(id).linux.namespaces).toEqual(configOf(plain.id).linux.namespaces);
    expect(configOf(id).mounts.map(({ destination }) => destination)).toEqual(
      configOf(plain.id).mounts.map(({ destination }) => destination),
    );
    expect(configOf(id).process).toEqual(configOf(plain.id).process);
    await local.engine.sweep();
    const seen = hostObjects(local.dataDir);
    expect(seen).toEqual(exactly([id, plain.id], seen));
  });
});
