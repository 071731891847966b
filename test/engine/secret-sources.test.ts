import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LOCAL_OPERATOR, type Principal } from "../../src/contract/index.ts";
import { binding, openStage } from "./secret-stage.ts";

const KEY: Principal = { tenant: "default", key_id: "ky1", scopes: ["read", "write", "secrets", "admin"] };
const values = (bound: readonly { value: string }[]) => bound.map(({ value }) => value);

describe("placeholders", () => {
  it("are unlike for every secret and every sandbox, stand where the profile says, and hold nothing of the value", async () => {
    const { engine, sandbox } = await openStage();
    await engine.secrets.set(KEY, "npm", { value: "tell-no-one" });
    const profile = [binding("npm", { vault: "npm" }, {}, { env: "NPM_TOKEN", file: "/run/npm" }), binding("hidden", { vault: "npm" })];
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const { secrets } = await sandbox(KEY, profile);
      const [first = "", second = ""] = secrets.bound.map(({ binding }) => binding.placeholder);
      expect(secrets.expose).toEqual({ env: { NPM_TOKEN: first }, files: [{ path: "/run/npm", text: first }] });
      for (const one of [first, second]) expect(one).toMatch(/^sbx_secret_[A-Za-z0-9_-]{32}$/);
      seen.add(first).add(second);
    }
    expect(seen.size).toBe(40);
  });

  it("and all else of a binding come back after a restart from the ledger, without the value", async () => {
    const { engine, sandbox, ctx } = await openStage();
    await engine.secrets.set(KEY, "npm", { value: "tell-no-one" });
    const { id, secrets } = await sandbox(KEY, [
      binding(
        "npm",
        { vault: "npm" },
        { methods: ["GET"], paths: ["/a/*"], ports: [8443], replace_in: ["query"], on_violation: "terminate" },
      ),
    ]);
    const rows = await ctx.ledger.db.selectFrom("sandbox_secrets").selectAll().where("sandbox_id", "=", id).execute();
    expect(JSON.parse(rows[0]?.binding ?? "")).toEqual(secrets.bound[0]?.binding);
    expect(JSON.stringify(rows)).not.toContain("tell-no-one");
    expect(secrets.bound[0]?.binding).toMatchObject({
      ports: [8443],
      methods: ["GET"],
      paths: ["/a/*"],
      replaceIn: ["query"],
      onViolation: "terminate",
    });
  });

  it("of a profile without secrets are none, and no key is made for them", async () => {
    const { sandbox, directory } = await openStage();
    expect((await sandbox(KEY, [])).secrets).toMatchObject({ bound: [], expose: { env: {}, files: [] } });
    const { existsSync } = await import("node:fs");
    expect(existsSync(join(directory, "secrets.key"))).toBe(false);
  });
});

describe("a source on this host", () => {
  it("is read for the operator with a profile of the operator's own", async () => {
    const { directory, sandbox } = await openStage();
    writeFileSync(join(directory, "token"), "from-a-file\n");
    const { secrets } = await sandbox(LOCAL_OPERATOR, [
      binding("a", { file: join(directory, "token") }),
      binding("b", { command: ["echo", "from-a-command"] }),
    ]);
    expect(values(secrets.bound)).toEqual(["from-a-file", "from-a-command"]);
  });

  it("is not read for a key that no list allows it to, an admin's neither, and the refusal names the field", async () => {
    const { directory, sandbox } = await openStage({ secrets: { env: ["LISTED"], files: [], commands: [["pass", "show"]] } });
    writeFileSync(join(directory, "token"), "tell-no-one");
    for (const source of [{ file: join(directory, "token") }, { command: ["cat", join(directory, "token")] }, { env: "PATH" }]) {
      const attempt = sandbox(KEY, [binding("ok", { env: "LISTED" }), binding("a", source)].slice(1), { storedBy: LOCAL_OPERATOR });
      await expect(attempt).rejects.toMatchObject({ code: "policy_denied", details: { issues: [{ path: "secrets[0].source" }] } });
    }
  });

  it("is not read for the operator either with a profile that a key has stored: its text is a stranger's", async () => {
    const { directory, sandbox } = await openStage();
    writeFileSync(join(directory, "token"), "tell-no-one");
    const evil = [binding("a", { file: join(directory, "token") }, { hosts: ["collector.test"] })];
    await expect(sandbox(LOCAL_OPERATOR, evil, { storedBy: KEY })).rejects.toMatchObject({ code: "policy_denied" });
    expect(values((await sandbox(LOCAL_OPERATOR, evil, { storedBy: LOCAL_OPERATOR })).secrets.bound), "the positive control").toEqual([
      "tell-no-one",
    ]);
  });

  it("becomes the operator's own when the operator stores the same text", async () => {
    const { engine, ctx } = await openStage();
    const document = { kind: "profile", name: "mine", version: 1 };
    await engine.profiles.apply(KEY, document);
    const local = () => ctx.ledger.db.selectFrom("profiles").select("local").executeTakeFirst();
    expect(await local()).toEqual({ local: 0 });
    expect(await engine.profiles.apply(LOCAL_OPERATOR, document)).toMatchObject({ created: false });
    expect(await local()).toEqual({ local: 1 });
    await engine.profiles.apply(KEY, document);
    expect(await local(), "and stays so").toEqual({ local: 1 });
  });

  it("is read for a key where it is listed", async () => {
    const { directory, sandbox } = await openStage({ secrets: { commands: [["echo", "-n"]], files: ["/tmp"] } });
    writeFileSync(join(directory, "token"), "from-a-file");
    const { secrets } = await sandbox(KEY, [
      binding("a", { file: join(directory, "token") }),
      binding("b", { command: ["echo", "-n", "said"] }),
    ]);
    expect(values(secrets.bound)).toEqual(["from-a-file", "said"]);
  });
});

describe("a secret that may go to some hosts only", () => {
  it("is bound to those, and to nothing wider", async () => {
    const { engine, sandbox } = await openStage();
    await engine.secrets.set(KEY, "git", { value: "x", hosts: ["api.github.com", "*.example.com"] });
    const attempt = (...hosts: string[]) => sandbox(KEY, [binding("git", { vault: "git" }, { hosts })]);
    await attempt("api.github.com", "API.GitHub.com", "a.example.com", "a.b.example.com", "*.example.com", "*.b.example.com");
    for (const host of [
      "github.com",
      "*.github.com",
      "evil-api.github.com",
      "example.com",
      "*.com",
      "*",
      "a.example.com.evil.test",
      "xexample.com",
    ])
      await expect(attempt("api.github.com", host), host).rejects.toMatchObject({
        code: "policy_denied",
        details: { issues: [{ path: "secrets[0].inject.hosts[1]" }] },
      });
  });

  it("keeps them when it is rotated, and a narrower list withholds it from sandboxes that were made before", async () => {
    const { engine, sandbox, told } = await openStage();
    await engine.secrets.set(KEY, "git", { value: "x", hosts: ["api.test"] });
    const { id } = await sandbox(KEY, [binding("git", { vault: "git" })]);
    expect(await engine.secrets.rotate(KEY, "git", { value: "y" })).toMatchObject({ hosts: ["api.test"] });
    expect(told.of.get(id)).toMatchObject([{ value: "y" }]);
    await engine.secrets.rotate(KEY, "git", { value: "z", hosts: ["other.test"] });
    expect(told.of.get(id)).toMatchObject([{ value: "", revoked: true }]);
  });
});

describe("a value for a header", () => {
  it("is refused where a header cannot hold it, and taken for basic, which is encoded", async () => {
    const { engine, sandbox } = await openStage();
    await engine.secrets.set(KEY, "odd", { value: "pässword" });
    await engine.secrets.set(KEY, "blank", { value: " token" });
    for (const name of ["odd", "blank"])
      for (const inject of [{}, { type: "header", header: "X-Token" }])
        await expect(sandbox(KEY, [binding("a", { vault: name }, inject)])).rejects.toMatchObject({ code: "secret_unavailable" });
    expect(values((await sandbox(KEY, [binding("a", { vault: "odd" }, { type: "basic" })])).secrets.bound)).toEqual(["pässword"]);
  });

  it("cannot be put into a header that frames the request, nor a name or place be taken twice", async () => {
    const { engine } = await openStage();
    await engine.secrets.set(KEY, "npm", { value: "x" });
    const apply = (secrets: unknown[]) => engine.profiles.apply(KEY, { kind: "profile", name: "bad", version: 1, secrets });
    const source = { vault: "npm" };
    for (const header of ["Host", "content-length", "Transfer-Encoding", "Proxy-Authorization", "a b", "x\r\ny", ""])
      await expect(apply([binding("a", source, { type: "header", header })]), header).rejects.toMatchObject({ code: "invalid_request" });
    for (const secrets of [
      [binding("a", source), binding("a", source)], [binding("a", source, {}, { env: "T" }), binding("b", source, {}, { env: "T" })],
      [binding("a", source, {}, { file: "/t" }), binding("b", source, {}, { file: "/t" })],
      [binding("a", source, { type: "header" })], [binding("a", source, { header: "X-A" })], [binding("a", source, { username: "u" })], [binding("a", "inline")],
      [binding("a", { vault: "npm", env: "X" })],
    ]) await expect(apply(secrets)).rejects.toMatchObject({ code: "invalid_request" }); // prettier-ignore
  });
});
