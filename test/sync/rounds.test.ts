import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { SandBoxer } from "../../src/sdk/index.ts";
import { sync } from "../../src/sync/index.ts";
import { openLocal } from "../support/local-engine.ts";
import { containerRuntime } from "../support/runtimes.ts";
import { root, tree } from "./tree.ts";

const NAMES = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/c", "f", "f/g"];
const ROUNDS = 12;

/** Numbers that look random and are the same each time: mulberry32. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** A few changes as shell: new content, the same again, a removal, a mode, a symlink, a thing of another kind. */
function changes(next: (below: number) => number): string {
  const one = (): string => {
    const name = NAMES[next(NAMES.length)] ?? "a";
    const parent = name.includes("/") ? `mkdir -p ${name.slice(0, name.lastIndexOf("/"))} 2>/dev/null;` : "";
    const text = `printf ${next(4)}`;
    const kinds = [
      `${parent} ${text} > ${name}`,
      `${parent} rm -rf ${name}; ${text} > ${name}`,
      `rm -rf ${name}`,
      `chmod ${next(2) === 0 ? 755 : 700} ${name}`,
      `${parent} rm -rf ${name}; ln -s x${next(3)} ${name}`,
      `${parent} rm -rf ${name}; mkdir ${name}`,
    ];
    return `{ ${kinds[next(kinds.length)]}; } 2>/dev/null`;
  };
  return `${Array.from({ length: 1 + next(4) }, one).join("\n")}\ntrue`;
}

/** Files and symlinks alone: a directory stays as long as something is in it. */
function things(all: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(all).filter(([, what]) => what !== "dir"));
}

test.runIf(root)("after any changes on both sides what is no conflict is alike, and what is one is as it was", async () => {
  const base = mkdtempSync(join(tmpdir(), "sand-boxer-rounds-"));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  await using local = await openLocal("rounds", { runtime: await containerRuntime() });
  const { url, key } = await local.listen();
  const sandbox = await new SandBoxer({ url, apiKey: await key() }).create();
  const here = join(base, "here");
  mkdirSync(here);
  const inside = async (): Promise<Record<string, string>> => {
    const out = mkdtempSync(join(base, "out-"));
    writeFileSync(`${out}.tar`, (await sandbox.exec(["tar", "-c", "."])).stdoutBytes);
    spawnSync("tar", ["-x", "-p", "-f", `${out}.tar`, "-C", out]);
    return tree(out);
  };
  const seed = 20_261_126;
  const next = numbers(seed);
  let conflicts = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const [ours, theirs] = [changes(next), changes(next)];
    spawnSync("sh", ["-c", `umask 022; ${ours}`], { cwd: here });
    await sandbox.exec(theirs);
    const before = { here: things(tree(here)), inside: things(await inside()) };
    const settle = round % 5 === 4 ? { [next(2) === 0 ? "ours" : "theirs"]: ["."] } : {};
    const report = await sync(sandbox, here, { stateDirectory: join(base, "state"), ...settle });
    const after = { here: things(tree(here)), inside: things(await inside()) };
    const where = `round ${round}: ${JSON.stringify({ ours, theirs, report, before, after }, null, 1)}`;
    const held = new Set(report.conflicts.map(({ path }) => path));
    conflicts += held.size;
    expect(report.refused, where).toEqual([]);
    for (const path of NAMES) {
      if (held.has(path))
        expect([after.here[path], after.inside[path]], `${path} in ${where}`).toEqual([before.here[path], before.inside[path]]);
      else expect(after.here[path]?.slice(3), `${path} in ${where}`).toEqual(after.inside[path]?.slice(3));
    }
    const again = await sync(sandbox, here, { stateDirectory: join(base, "state") });
    expect([again.pushed, again.pulled, again.conflicts.map(({ path }) => path)], where).toEqual([[], [], [...held].sort()]);
  }
  // Or the rounds would prove little.
  expect(conflicts).toBeGreaterThan(5);
  rmSync(base, { recursive: true, force: true });
});
