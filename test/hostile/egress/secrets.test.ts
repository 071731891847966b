import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LOCAL_OPERATOR } from "../../../src/contract/index.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../../support/runtimes.ts";
import { arrived, type Inside, openStage, type Stage } from "./stage.ts";

const VALUE = "real-value-4f9c2d7e81";
const NETWORK = {
  allow: [
    { host: "allowed.test", ports: [443, 80], tls: "inspect" },
    { host: "a.wild.test", ports: [443], tls: "inspect" },
    { host: "badcert.test", ports: [443], tls: "inspect" },
  ],
};
const SECRETS = [
  { name: "TOKEN", source: { vault: "TOKEN" }, inject: { type: "bearer", hosts: ["allowed.test", "badcert.test"], paths: ["/echo*", "/stream", "/"] }, expose: { env: "TOKEN" } },
  { name: "OTHER", source: { vault: "OTHER" }, inject: { type: "header", header: "x-api-key", hosts: ["a.wild.test"] }, expose: { env: "OTHER" } },
]; // prettier-ignore

// With one runtime: what is judged here is the boundary, which does not know what made the sandbox. `reach` and `dns` try each.
describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))("secrets of a sandbox of $runtime", ({ runtime }) => {
  let stage: Stage;
  let inside: Inside;
  const authorizations = async (): Promise<unknown[]> =>
    (await arrived(stage.world)).flatMap((seen) => (seen.kind === "http" ? [seen.headers["authorization"]] : []));
  const withValue = async (value = VALUE): Promise<unknown[]> =>
    (await arrived(stage.world)).filter((seen) => JSON.stringify(seen).includes(value));
  beforeAll(async () => {
    stage = await openStage(runtime);
    await stage.local.engine.secrets.set(LOCAL_OPERATOR, "TOKEN", { value: VALUE });
    await stage.local.engine.secrets.set(LOCAL_OPERATOR, "OTHER", { value: "another-value-77aa" });
    // A small disk: it is searched whole.
    inside = await stage.sandbox(NETWORK, { secrets: SECRETS, request: { resources: { disk: "64MiB" } } });
  }, 900_000);
  afterAll(() => stage[Symbol.asyncDispose]());
  beforeEach(() => stage.world.forget());

  it("the positive control: the far side gets the value, the sandbox has a placeholder", async () => {
    const { text } = await inside.curl("https://allowed.test/echo", "-H", "Authorization: Bearer mine");
    expect(await authorizations()).toEqual([`Bearer ${VALUE}`]);
    expect((await inside.sh("echo $TOKEN")).stdout).toMatch(/^sbx_secret_\S{20,}\n$/);
    // Case 52: what the far side echoes is scrubbed, in headers and in the body.
    expect(text).not.toContain(VALUE);
    expect(
      (await inside.sh(`curl -sSi https://allowed.test/echo; curl -sS --compressed https://allowed.test/echo-gzip`)).stdout,
    ).not.toContain(VALUE);
  });

  it("case 48: the value is nowhere inside, in no file of ours in the clear, in no log, no event and no process list", async () => {
    await inside.curl("https://allowed.test/echo");
    const look = `env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; grep -rs "${VALUE.slice(0, 12)}" /home /workspace /tmp /etc /run /var/tmp /dev/shm; exit 0`;
    expect((await inside.sh(look)).stdout).not.toContain(VALUE);
    const found = execFileSync(
      "sh",
      ["-c", `grep -rlaF --exclude=*.img -- "$1" "$2" /dev/shm/sand-boxer 2>/dev/null; exit 0`, "sh", VALUE, stage.local.dataDir],
      { encoding: "utf8" },
    );
    expect(found).toBe("");
    const { data } = await stage.local.engine.events.list(LOCAL_OPERATOR, { sandboxId: inside.id, limit: 1000 });
    expect(JSON.stringify(data)).not.toContain(VALUE);
    expect(JSON.stringify(await stage.local.engine.network.log(LOCAL_OPERATOR, inside.id, { limit: 1000 }))).not.toContain(VALUE);
    const lists = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).map(processText).join("\n"); // prettier-ignore
    expect(lists).not.toContain(VALUE);
  });

  it("case 49: a placeholder for another host, another path, another port or plain http gets nothing out", async () => {
    const attempts = [
      `curl -sS https://a.wild.test/echo -H "Authorization: Bearer $TOKEN"`, `curl -sS http://allowed.test/echo -H "Authorization: Bearer $TOKEN"`,
      `curl -sS https://allowed.test/other -H "Authorization: Bearer $TOKEN"`, `curl -sS "https://allowed.test/echo?q=$TOKEN"`, `curl -sS https://allowed.test/echo -d "body=$TOKEN"`,
      `curl -sS https://allowed.test/echo -H "X-Other: $TOKEN"`, `curl -sS "https://allowed.test/$TOKEN"`, `curl -sS https://allowed.test/echo -H "Cookie: a=$TOKEN"`,
    ]; // prettier-ignore
    for (const attempt of attempts) {
      stage.world.forget();
      const { stdout } = await inside.sh(attempt);
      expect(stdout, attempt).toMatch(/placeholder/i);
      expect(await withValue(), attempt).toEqual([]);
      expect(JSON.stringify((await arrived(stage.world)).filter(({ kind }) => kind !== "tcp")), attempt).not.toContain("sbx_secret_");
    }
  });

  it("cases 50 and 51: another host's secret and another sandbox's placeholder are refused", async () => {
    expect((await inside.sh(`curl -sS https://allowed.test/echo -H "X-Api-Key: $OTHER"`)).stdout).toMatch(/placeholder/i);
    const second = await stage.sandbox(NETWORK, { secrets: SECRETS });
    const stolen = (await inside.sh("echo $TOKEN")).stdout.trim();
    expect((await second.sh("echo $TOKEN")).stdout.trim()).not.toBe(stolen);
    expect((await second.sh(`curl -sS https://allowed.test/echo -H "Authorization: Bearer ${stolen}"`)).stdout).toMatch(/placeholder/i);
    expect(await withValue("another-value-77aa")).toEqual([]);
    expect((await arrived(stage.world)).filter(({ kind }) => kind === "http")).toEqual([]);
  });

  it("case 53: a value with a line break is refused before it is stored", async () => {
    for (const value of ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
      await expect(stage.local.engine.secrets.set(LOCAL_OPERATOR, "BROKEN", { value })).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("case 54: a rotation holds for the next request of an open connection, and a removal denies", async () => {
    const two = `curl -sS https://allowed.test/echo https://allowed.test/echo --rate 1/s`;
    const running = inside.sh(two);
    for (let round = 0; round < 100 && (await authorizations()).length === 0; round++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await stage.local.engine.secrets.rotate(LOCAL_OPERATOR, "TOKEN", { value: "rotated-value-5c5c" });
    await running;
    expect(await authorizations()).toEqual([`Bearer ${VALUE}`, "Bearer rotated-value-5c5c"]);
    stage.world.forget();
    await stage.local.engine.secrets.remove(LOCAL_OPERATOR, "TOKEN");
    await inside.curl("https://allowed.test/echo");
    expect(JSON.stringify(await arrived(stage.world))).not.toMatch(/rotated-value|real-value/);
    await stage.local.engine.secrets.set(LOCAL_OPERATOR, "TOKEN", { value: VALUE });
  });

  it("case 55: a server with a bad certificate gets no request and no secret", async () => {
    const { stdout } = await inside.sh(`curl -sSk -i https://badcert.test/echo`);
    expect(stdout).toMatch(/certificate/i);
    expect((await arrived(stage.world)).filter(({ kind }) => kind === "http")).toEqual([]);
    expect(await withValue()).toEqual([]);
  });
});

function processText(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1") + readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch (thrown) {
    // Ended meanwhile, or a kernel thread.
    if (thrown instanceof Error && "code" in thrown) return "";
    throw thrown;
  }
}
