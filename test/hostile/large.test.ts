import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { exactly, hostObjects, read } from "../support/host-objects.ts";
import { dataDirectory, openLocal, OWNER, removeDataDirectory } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const EXHAUST = readFileSync(new URL("attacks/exhaust.py", import.meta.url), "utf8");
const attack = (...words: (string | number)[]): string[] => ["/usr/bin/python3", "-c", EXHAUST, ...words.map(String)];
const MIB = 1024 ** 2;

/** A server in a process of its own, whose memory is nobody else's. */
async function startServer(runtime: string): Promise<{ url: string; pid: number; key: string; dataDir: string; stop(): Promise<void> }> {
  const dataDir = dataDirectory("large");
  const program = fileURLToPath(new URL("../support/serve.ts", import.meta.url));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, dataDir, runtime], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const { url, key } = JSON.parse(line) as { url: string; key: string };
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await ended;
    removeDataDirectory(dataDir);
  };
  return { url, key, pid: child.pid ?? 0, dataDir, stop };
}

const residentMiB = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1]) / 1024;

describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))("with $runtime", ({ runtime }) => {
  it("case 22: twenty thousand descriptors end at the limit, and the next command has its own", async () => {
    await using local = await openLocal("descriptors", { runtime });
    const { id } = await local.create();
    const { stdout } = await local.exec(id, { argv: attack("descriptors", 20_000) });
    expect(stdout).toMatch(/^EMFILE \d+\n$/);
    expect(Number(stdout.split(" ")[1])).toBeGreaterThan(4000);
    expect(Number(stdout.split(" ")[1])).toBeLessThanOrEqual(4096);
    expect((await local.sh(id, "ulimit -n 20000 && echo raised; echo alive")).stdout).toBe("alive\n");
  });

  it("case 23: a directory ten thousand deep is removed through the API, and another with its sandbox", async () => {
    await using local = await openLocal("deep", { runtime });
    const { id } = await local.create({ resources: { inodes: 30_000 } });
    expect(await local.exec(id, { argv: attack("deep", 10_000) })).toMatchObject({ stdout: "made 10000\n" });
    await expect(local.engine.files.list(OWNER, id, "d", { depth: 3 })).resolves.toHaveLength(3);
    await local.engine.files.remove(OWNER, id, "d", { recursive: true });
    await expect(local.engine.files.stat(OWNER, id, "d")).rejects.toMatchObject({ code: "file_not_found" });
    expect(await local.exec(id, { argv: attack("deep", 10_000) })).toMatchObject({ stdout: "made 10000\n" });
    await local.engine.destroy(OWNER, id);
    await local.engine.sweep();
    const seen = hostObjects(local.dataDir);
    expect(seen).toEqual(exactly([], seen));
  });

  it("case 24: a sparse file of 1 TiB cannot be made; one as large as the quota is read by its length, and the host pays nothing for it", async () => {
    await using local = await openLocal("sparse", { runtime });
    const { id } = await local.create({ resources: { disk: "64MiB" } });
    const sparse = (bytes: number) =>
      local.exec(id, {
        argv: ["/usr/bin/python3", "-c", `import os; f = open("sparse", "wb"); os.truncate("sparse", ${bytes}); print("made")`],
      });
    expect((await sparse(2 ** 40)).stdout).toBe("");
    expect((await local.engine.files.stat(OWNER, id, "sparse")).size).toBe(0);
    expect((await sparse(64 * MIB)).stdout).toBe("made\n");
    const { info, body } = await local.engine.files.read(OWNER, id, "sparse", { offset: 63 * MIB, length: 10 * MIB });
    let length = 0;
    for await (const chunk of body) length += chunk.length;
    expect([info.size, length]).toEqual([64 * MIB, MIB]);
    expect((await local.engine.usage(OWNER, id)).disk_bytes).toBeLessThan(8 * MIB);
  });

  it("case 25: output without end is capped and flagged, the command goes on to its end, and the server's memory stays flat", async () => {
    const server = await startServer(runtime);
    onTestFinished(() => server.stop());
    const headers = { authorization: `Bearer ${server.key}`, "content-type": "application/json" };
    const post = (path: string, body: unknown, accept = "application/json") =>
      fetch(server.url + path, { method: "POST", headers: { ...headers, accept }, body: JSON.stringify(body) });
    const { id } = (await (await post("/v1/sandboxes", {})).json()) as { id: string };
    const run = async (megabytes: number, cap: number) =>
      (await (await post(`/v1/sandboxes/${id}/exec`, { argv: attack("output", megabytes), max_output_bytes: cap })).json()) as {
        exit_code: number;
        truncated: boolean;
        stdout: string;
      };
    // The positive control: below the cap all of it comes, and no flag.
    const whole = await run(2, 4 * MIB);
    expect([whole.exit_code, whole.truncated, whole.stdout.length]).toEqual([0, false, 2 * MIB]);
    const capped = await run(1024, MIB);
    expect([capped.exit_code, capped.truncated, capped.stdout.length]).toEqual([0, true, MIB]);
    // To a reader that takes everything: what the server holds must not grow with what comes out.
    const stream = async (cap: number): Promise<number> => {
      let most = 0;
      const watch = setInterval(() => (most = Math.max(most, residentMiB(server.pid))), 20);
      const streamed = await post(
        `/v1/sandboxes/${id}/exec`,
        { argv: attack("output", cap + 64), max_output_bytes: cap * MIB },
        "text/event-stream",
      );
      let bytes = 0;
      let tail = "";
      for await (const chunk of streamed.body ?? []) {
        bytes += (chunk as Uint8Array).length;
        tail = (tail + Buffer.from(chunk as Uint8Array).toString("latin1")).slice(-2000);
      }
      clearInterval(watch);
      expect(bytes).toBeGreaterThan(cap * MIB);
      expect(tail).toContain('"truncated":true');
      return most;
    };
    const [little, much] = [await stream(192), await stream(768)];
    console.log(`the server held at most ${little.toFixed(0)} MiB while 192 MiB came out, ${much.toFixed(0)} MiB while 768 MiB did`);
    expect(much - little).toBeLessThan(128);
  });
});
