import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { exactly, hostObjects } from "../support/host-objects.ts";
import { endOfChild, eventually, startChild } from "../support/killed.ts";
import { dataDirectory, openLocal, OWNER } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const PATH = process.env["PATH"];
afterEach(() => {
  process.env["PATH"] = PATH;
});

/** A directory for PATH with a runtime that is killed so many milliseconds into each `run` (-1: never), or that begins so late. */
function mortalRuntime(runtime: string): { directory: string; dieAfter(ms: number): void; startAfter(ms: number): void } {
  const directory = mkdtempSync(join(tmpdir(), "sbx-mortal-"));
  const real = execFileSync("sh", ["-c", `PATH=$PATH:/usr/sbin:/sbin; command -v ${runtime}`], { encoding: "utf8" }).trim();
  const fuse = join(directory, "fuse");
  const script = `#!/bin/sh
read -r seconds <${fuse}
case " $* " in *" run --detach "*) ;; *) exec ${real} "$@" ;; esac
case $seconds in slow*) sleep "\${seconds#slow}"; exec ${real} "$@" ;; esac
[ "$seconds" = never ] && exec ${real} "$@"
( sleep "$seconds"; kill -9 $$ ) >/dev/null 2>&1 &
exec ${real} "$@"
`;
  writeFileSync(join(directory, runtime), script);
  chmodSync(join(directory, runtime), 0o755);
  const dieAfter = (ms: number): void => writeFileSync(fuse, ms < 0 ? "never\n" : `${ms / 1000}\n`);
  dieAfter(-1);
  return { directory, dieAfter, startAfter: (ms) => writeFileSync(fuse, `slow${ms / 1000}\n`) };
}

describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))("case 72 with $runtime", ({ runtime }) => {
  it("a runtime killed at forty moments of its create leaves nothing each time, and the next create works", async () => {
    const mortal = mortalRuntime(runtime);
    process.env["PATH"] = `${mortal.directory}:${PATH ?? ""}`;
    await using local = await openLocal("half", { runtime });
    expect((await local.create()).state).toBe("ready");
    const met = { made: 0, refused: 0 };
    for (let moment = 0; moment < 40; moment++) {
      mortal.dieAfter(1 + moment * 0.75);
      const made = await local.create({ resources: { disk: "16MiB", inodes: 256 } }).catch((thrown: unknown) => thrown);
      if (made instanceof Error) {
        met.refused++;
        expect(made).toMatchObject({ code: "backend_unavailable" });
      } else met.made++;
    }
    console.log(`made ${met.made}, refused ${met.refused}`);
    expect(met.refused).toBeGreaterThan(0);
    mortal.dieAfter(-1);
    // What a killed runtime's own children still do after it must be over, and found.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const live = (await local.engine.list(OWNER, { states: ["ready"], limit: 100 })).data.map(({ id }) => id);
    expect(live).toHaveLength(met.made + 1);
    await local.engine.sweep();
    const seen = hostObjects(local.dataDir);
    expect(seen).toEqual(exactly(live, seen));
    for (const id of live) expect(await local.sh(id, "echo works")).toMatchObject({ exitCode: 0, stdout: "works\n" });
    rmSync(mortal.directory, { recursive: true });
  });

  it("a runtime that is slow when the control plane dies makes nothing after the next start has cleaned up", async () => {
    const mortal = mortalRuntime(runtime);
    const dataDir = dataDirectory("slow");
    process.env["PATH"] = `${mortal.directory}:${PATH ?? ""}`;
    const first = await openLocal("slow", { runtime, dataDir });
    await first.opened.close();
    mortal.startAfter(1500);
    const child = startChild("../crash/child.ts", import.meta.url, [dataDir, runtime, "none", "slow"]);
    const ended = endOfChild(child);
    // The positive control: it is about to make one.
    await eventually(() => hostObjects(dataDir).helpers.some((words) => words.includes(mortal.directory)));
    child.kill("SIGKILL");
    await ended;
    mortal.dieAfter(-1);
    await using local = await openLocal("slow", { runtime, dataDir });
    expect((await local.engine.sweep({ adopt: true })).errors).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const seen = hostObjects(dataDir);
    expect(seen).toEqual(exactly([], seen));
    rmSync(mortal.directory, { recursive: true });
  });
});
