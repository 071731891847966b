import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Sandbox } from "e2b";
import { onTestFinished, expect, test } from "vitest";
import { openE2bDoor, type E2bTestDoor } from "./e2b-door.ts";

const health = (door: Pick<E2bTestDoor, "url">, id: string, headers: Record<string, string>): Promise<Response> =>
  fetch(`${door.url}/health`, { headers: { "e2b-sandbox-id": id, "e2b-sandbox-port": "49983", ...headers } });

async function makeOne(door: E2bTestDoor, body: object = {}): Promise<Record<string, string>> {
  const answer = await door.call("/v2/sandboxes", { method: "POST", body: JSON.stringify(body) });
  expect(answer.status).toBe(201);
  return (await answer.json()) as Record<string, string>;
}

test("commands and files are for those who have the sandbox's own token", async () => {
  const door = await openE2bDoor();
  const [mine, other] = [await makeOne(door), await makeOne(door)];
  const id = mine["sandboxID"] ?? "";
  expect((await health(door, id, { "x-access-token": mine["envdAccessToken"] ?? "" })).status).toBe(204);
  for (const token of [other["envdAccessToken"] ?? "", "", "x", (mine["envdAccessToken"] ?? "").toUpperCase()]) {
    expect((await health(door, id, { "x-access-token": token })).status).toBe(401);
  }
  expect((await health(door, id, {})).status).toBe(401);
  expect((await health(door, "nonsense", { "x-access-token": "x" })).status).toBe(502);
});

test("a token survives a restart, and holds at no other data directory", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "sbx-e2b-"));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const before = await openE2bDoor({}, { dataDir });
  const { sandboxID = "", envdAccessToken = "" } = await makeOne(before);
  await before.close();
  const after = await openE2bDoor({}, { dataDir });
  // The backend is only in memory, so the sandbox itself is gone: its token is still known, and a wrong one is not.
  expect((await health(after, sandboxID, { "x-access-token": "0".repeat(64) })).status).toBe(401);
  expect((await health(after, sandboxID, { "x-access-token": envdAccessToken })).status).not.toBe(401);
  const elsewhere = await openE2bDoor();
  expect((await health(elsewhere, sandboxID, { "x-access-token": envdAccessToken })).status).toBe(401);
});

test("a signed address works without a token and without an id, and only as it was signed", async () => {
  const door = await openE2bDoor();
  const sandbox = await Sandbox.create(await door.connection());
  await Sandbox.create(await door.connection());
  const url = await sandbox.downloadUrl("/home/user/a b+ä.txt", { useSignatureExpiration: 600 });
  expect(url).toContain(`${door.url}/files?`);
  const admitted = (await fetch(url)).status;
  expect([401, 403, 502]).not.toContain(admitted);
  expect((await fetch(url.replace("a+b", "a+c"))).status).toBe(401);
  expect((await fetch(url, { method: "POST" })).status).toBe(401);
  expect((await fetch(url.replace(/signature=v1_./, "signature=v1_!"))).status).toBe(401);
  const expired = await fetch(await sandbox.downloadUrl("/x", { useSignatureExpiration: -10 }));
  expect(expired.status).toBe(401);
  expect(await expired.json()).toEqual({ code: 401, message: "signature is already expired" });
  await sandbox.kill();
  expect((await fetch(url)).status).toBe(401);
});

test("ports are open where E2B's are, and closed without the traffic token where nobody opened them", async () => {
  const door = await openE2bDoor();
  const ask = (id: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${door.url}/`, { headers: { "e2b-sandbox-id": id, "e2b-sandbox-port": "3000", ...headers } });
  const open = await makeOne(door);
  expect((await ask(open["sandboxID"] ?? "")).status).not.toBe(401);
  const closed = await makeOne(door, { network: { allowPublicTraffic: false } });
  expect(closed["trafficAccessToken"]).toMatch(/^[0-9a-f]{64}$/);
  expect((await ask(closed["sandboxID"] ?? "")).status).toBe(401);
  expect((await ask(closed["sandboxID"] ?? "", { "e2b-traffic-access-token": closed["envdAccessToken"] ?? "" })).status).toBe(401);
  expect((await ask(closed["sandboxID"] ?? "", { "e2b-traffic-access-token": closed["trafficAccessToken"] ?? "" })).status).not.toBe(401);
  const who = { tenant: "acme", key_id: null, scopes: ["write"] as const };
  const { sandbox } = await door.opened.engine.create(who, {}, {});
  expect((await ask(sandbox.id)).status).toBe(401);
});
