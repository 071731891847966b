import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { boundaryPids, sessionsOnDisk } from "../support/boundary-process.ts";
import { hostObjects } from "../support/host-objects.ts";
import { type Local, openLocal, OWNER } from "../support/local-engine.ts";
import { openUpstream, type Upstream } from "../support/upstream.ts";

const PROFILE = {
  kind: "profile",
  name: "reach",
  version: 1,
  network: { allow: [{ host: "allowed.test" }, { host: "later.test" }] },
};

describe("a profile that allows one host, on crun", () => {
  let upstream: Upstream;
  let local: Local;
  let id: string;

  beforeAll(async () => {
    upstream = await openUpstream(["allowed.test", "other.test"]);
    local = await openLocal("network", {
      runtime: "crun",
      config: {
        log_level: "silent",
        backends: [{ name: "local", provider: "local", options: { pool: 2, runtimes: ["crun"] } }],
        network: { resolvers: [upstream.resolver] },
      },
    });
    await local.engine.profiles.apply(OWNER, PROFILE);
    ({ id } = await local.create({ profile: "reach", network: { allow: [{ host: "allowed.test" }] } }));
    const pem = readFileSync(upstream.caFile);
    await local.engine.files.write(OWNER, id, "ca.pem", (async function* () { yield pem; })(), {}); // prettier-ignore
  }, 120_000);

  afterAll(async () => {
    const { dataDir } = local;
    await local[Symbol.asyncDispose]();
    for (const pid of boundaryPids(dataDir)) process.kill(pid, "SIGKILL");
    await upstream[Symbol.asyncDispose]();
  });

  const curl = (words: string) => local.sh(id, `curl -sS --max-time 10 --cacert ca.pem ${words}`);

  it("reaches it over TLS, by the proxy that the variables name and without them", async () => {
    expect(await curl("https://allowed.test/one")).toMatchObject({ exitCode: 0, stdout: "hello over TLS from /one\n" });
    expect(await curl("--noproxy '*' https://allowed.test/two")).toMatchObject({ exitCode: 0, stdout: "hello over TLS from /two\n" });
    expect(upstream.asked).toEqual(["https allowed.test GET /one -", "https allowed.test GET /two -"]);
  });

  it.each([
    ["another name", "https://other.test/"],
    ["another name, without the proxy", "--noproxy '*' https://other.test/"],
    ["the same server by its address", "--noproxy '*' -k https://ADDRESS/"],
    ["another name behind the allowed one's address", "--noproxy '*' -k --connect-to other.test:443:allowed.test:443 https://other.test/"],
    ["another port", "http://allowed.test/"],
    ["the host", "--noproxy '*' http://192.0.2.2:8420/"],
    ["the metadata service", "http://169.254.169.254/latest/"],
  ])("does not reach %s", async (_what, words) => {
    const before = upstream.asked.length;
    const { exitCode, stdout } = await curl(`--fail ${words.replace("ADDRESS", upstream.address)}`);
    expect(exitCode).not.toBe(0);
    expect(stdout).not.toContain("hello");
    expect(upstream.asked).toHaveLength(before);
  });

  it("looks up no name that is not allowed", async () => {
    expect((await local.sh(id, "getent hosts secret-data.other.test")).exitCode).not.toBe(0);
    expect(upstream.looked.filter((name) => !name.endsWith("allowed.test"))).toEqual([]);
  });

  it("writes everything down, and makes a rule of what was denied", async () => {
    const { data } = await local.engine.network.log(OWNER, id, { limit: 1000 });
    expect(data.filter(({ verdict, host }) => verdict === "allow" && host === "allowed.test").length).toBeGreaterThanOrEqual(2);
    const denied = data.filter(({ verdict }) => verdict === "deny").map(({ host }) => host);
    expect(denied).toEqual(expect.arrayContaining(["other.test", upstream.address]));
    expect((await local.engine.network.suggest(OWNER, id)).allow.map(({ host }) => host)).toContain("other.test");
    const usage = await local.engine.usage(OWNER, id);
    expect(usage.egress_bytes_down).toBeGreaterThan(0);
  });

  it("can be narrowed and opened again within its profile while it lives", async () => {
    await local.engine.network.update(OWNER, id, { allow: [] });
    expect((await curl("https://allowed.test/three")).exitCode).not.toBe(0);
    const change = await local.engine.network.update(OWNER, id, { allow: [{ host: "allowed.test" }, { host: "other.test" }] });
    expect(change.narrowed).toEqual(["network.allow[1]"]);
    expect((await curl("https://allowed.test/four")).stdout).toBe("hello over TLS from /four\n");
    expect((await curl("https://other.test/")).exitCode).not.toBe(0);
  });

  it("has its way out back after a kill -9 of the boundary, with the policy it had", async () => {
    const pids = boundaryPids(local.dataDir);
    expect(pids.length).toBeGreaterThan(0);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    // The call that was under way may have met the dying one; the next finds the one that was started in its place.
    await local.engine.sweep();
    expect((await local.engine.sweep()).errors).toEqual([]);
    expect(await local.engine.network.get(OWNER, id)).toMatchObject({ state: "attached", problem: null, revision: 3, applied_revision: 3 });
    expect((await curl("https://allowed.test/five")).stdout).toBe("hello over TLS from /five\n");
    expect((await curl("https://other.test/")).exitCode).not.toBe(0);
  });

  it("leaves nothing behind when it is destroyed", async () => {
    await local.engine.destroy(OWNER, id);
    await local.engine.sweep();
    expect(sessionsOnDisk(local.dataDir)).toEqual([]);
    expect(hostObjects(local.dataDir).networks).toEqual([]);
  });
});
