import { describe, expect, it, onTestFinished } from "vitest";
import type { Scope } from "../../src/contract/index.ts";
import { SandBoxer } from "../../src/sdk/index.ts";
import { createServer } from "../../src/server/server.ts";
import { ADMIN, OWNER, silent } from "../engine/bench.ts";
import { openStage } from "../engine/network/stage.ts";

/** A listening server over the real engine with a boundary in memory, and a sandbox with egress. */
async function open() {
  const stage = await openStage();
  const server = createServer({ engine: stage.engine, log: silent, version: "1.2.3", limits: {} });
  onTestFinished(async () => {
    await server.close();
    await stage[Symbol.asyncDispose]();
  });
  const { url } = await server.listen({ port: 0 });
  const key = async (scopes: Scope[], tenant = "acme") => (await stage.engine.keys.create(ADMIN, { name: "k", tenant, scopes })).secret;
  const client = new SandBoxer({ url, apiKey: await key(["read", "write"]) });
  const { sandbox: info } = await stage.engine.create(OWNER, { profile: "net" }, {});
  return { stage, url, key, client, sandbox: await client.connect(info.id), info };
}

describe("the network over HTTP, as the SDK uses it", () => {
  it("is read, changed and changed back", async () => {
    const { sandbox } = await open();
    expect(await sandbox.network.get()).toMatchObject({
      state: "attached",
      revision: 1,
      rules: [{ host: "api.example.com" }, { host: "*.example.org" }],
    });
    expect(await sandbox.network.update({ allow: [], dry_run: true })).toMatchObject({ dry_run: true, network: { revision: 1 } });
    expect(await sandbox.network.update({ allow: [] })).toMatchObject({ dry_run: false, network: { revision: 2, rules: [] } });
  });

  it("is not changed by a key that may only read, nor seen by another tenant's", async () => {
    const { url, key, info } = await open();
    const reader = new SandBoxer({ url, apiKey: await key(["read"]) });
    const { network } = await reader.connect(info.id);
    await expect(network.update({ allow: [] })).rejects.toMatchObject({ code: "forbidden" });
    const path = `${url}/v1/sandboxes/${info.id}/network`;
    const headers = { authorization: `Bearer ${await key(["read", "write"], "other")}` };
    for (const address of [path, `${path}/log`, `${path}/suggest`, `${path}/log?follow=true`])
      expect((await fetch(address, { headers })).status, address).toBe(404);
  });

  it("logs page by page, then as it comes, until the sandbox has ended", async () => {
    const { stage, sandbox, info } = await open();
    for (let count = 0; count < 600; count++)
      stage.boundary.decide(info.id, { host: `h${count}.test`, verdict: count % 2 === 0 ? "deny" : "allow" });
    const seen: string[] = [];
    for await (const { host } of sandbox.network.log({ denied: true, follow: true })) {
      seen.push(host);
      if (host === "h598.test") stage.boundary.decide(info.id, { host: "late.test" });
      if (host === "late.test") await sandbox.destroy();
    }
    expect([seen.length, seen[0], seen.at(-1)]).toEqual([301, "h0.test", "late.test"]);
  });

  it("names the event of each entry, and goes on after Last-Event-ID", async () => {
    const { stage, url, key, info } = await open();
    stage.boundary.decide(info.id, { host: "one.test" });
    stage.boundary.decide(info.id, { host: "two.test", verdict: "allow" });
    stage.boundary.decide(info.id, { host: "three.test", verdict: "audit" });
    await stage.engine.destroy(OWNER, info.id);
    const headers = { authorization: `Bearer ${await key(["read"])}`, accept: "text/event-stream", "last-event-id": "1" };
    const text = await (await fetch(`${url}/v1/sandboxes/${info.id}/network/log`, { headers })).text();
    expect([...text.matchAll(/^(?:id|event): (.*)$/gm)].map(([, value]) => value)).toEqual([
      "2",
      "network.allowed",
      "3",
      "network.audited",
      "end",
    ]);
  });

  it("checks a profile and suggests rules", async () => {
    const { stage, client, sandbox, info } = await open();
    expect(await client.network.check({ profile: "net", url: "https://api.example.com/" })).toMatchObject({
      verdict: "allow",
      rule: "allow[0]",
    });
    stage.boundary.decide(info.id, { host: "pypi.org" });
    expect((await sandbox.network.suggest()).allow).toEqual([{ host: "pypi.org" }]);
  });

  it("counts its bytes in the usage", async () => {
    const { stage, sandbox, info } = await open();
    Object.assign(stage.boundary.store.get(info.id) ?? {}, { bytesUp: 10, bytesDown: 20 });
    expect(await sandbox.usage()).toMatchObject({ egress_bytes_up: 10, egress_bytes_down: 20 });
  });
});
