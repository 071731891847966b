import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { companionArgv } from "../../../../src/providers/shared/companion/companion.ts";
import { encodeFrame, FrameReader, u32, type Frame } from "../../../../src/providers/shared/companion/frames.ts";
import { eventually } from "../../../support/killed.ts";

/** The companion by itself, as a child of this process: here nobody else ends trees, as E2B's agent does not. */

let directory: string;
let children: ChildProcessWithoutNullStreams[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sbx-companion-"));
  children = [];
});
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }
  rmSync(directory, { recursive: true, force: true });
});

function start(line: string, options: Record<string, string | number> = {}): { child: ChildProcessWithoutNullStreams; frames: Frame[] } {
  const [program = "", ...args] = companionArgv("run", { input: "none", cap: 1e9, shell: 1, ...options }, directory, line);
  const child = spawn(program, args);
  children.push(child);
  const reader = new FrameReader();
  const frames: Frame[] = [];
  child.stdout.on("data", (piece: Buffer) => frames.push(...reader.push(piece)));
  child.stderr.on("data", (piece: Buffer) => process.stderr.write(piece));
  return { child, frames };
}

/** A child, an orphan, and one in a session of its own whose environment is empty; their ids are in the file. */
const TREE = `sleep 300 & echo $! >> ids; ( sleep 300 & echo $! >> ids ); setsid env -i sh -c 'echo $$ >> ids; exec sleep 300' & sleep 300`;

async function treeIds(): Promise<number[]> {
  const ids = await eventually(() => {
    const found = spawnSync("cat", [join(directory, "ids")], { encoding: "utf8" }).stdout.split("\n").filter(Boolean).map(Number); // prettier-ignore
    return found.length === 3 && found;
  });
  expect(ids.every(lives)).toBe(true);
  return ids;
}

function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ESRCH")) return false;
    throw thrown;
  }
}

test.each<[string, (child: ChildProcessWithoutNullStreams) => void]>([
  ["SIGTERM to it alone", (child) => child.kill("SIGTERM")],
  ["the end of what it is told by", (child) => child.stdin.end()],
])("%s ends the whole tree, orphans and sessions of their own too, and tells no exit code", async (_name, end) => {
  const { child, frames } = start(TREE);
  const ids = await treeIds();
  const ended = once(child, "exit");
  end(child);
  await ended;
  expect([ids.map(lives), frames.map(({ kind }) => kind)]).toEqual([[false, false, false], ["s"]]);
});

test("its clock ends the whole tree, with nobody to tell it to", async () => {
  const { child, frames } = start(TREE, { timeout: 1500 });
  const ids = await treeIds();
  await once(child, "exit");
  expect(ids.map(lives)).toEqual([false, false, false]);
  expect(frames.at(-1)?.body.toString()).toContain('"timed_out":true');
});

test("what a command leaves behind lives on when it ends by itself, though it holds its output open", async () => {
  const { child, frames } = start("sleep 300 & echo $!; exit 3");
  await once(child, "close");
  const [, output, end] = frames;
  const left = Number(output?.body.toString());
  expect([lives(left), end?.kind, end?.body.toString()]).toEqual([true, "x", expect.stringContaining('"code":3,"signal":0')]);
  process.kill(left, "SIGKILL");
});

test("output stops at the window until it is taken, and then comes whole", async () => {
  const { child, frames } = start("head -c 1000000 /dev/zero; echo ahead > ahead", { window: 200_000 });
  const size = (): number => frames.reduce((sum, { kind, body }) => sum + (kind === "o" ? body.length : 0), 0);
  await eventually(() => size() >= 200_000);
  // The pipe between takes 64 KiB, the last piece may go beyond the window by as much.
  expect(size()).toBeLessThanOrEqual(200_000 + 65_536);
  expect(spawnSync("ls", [directory], { encoding: "utf8" }).stdout).toBe("");
  child.stdin.write(encodeFrame("A", u32(1_000_000)));
  await once(child, "close");
  expect([size(), frames.at(-1)?.kind]).toEqual([1_000_000, "x"]);
});
