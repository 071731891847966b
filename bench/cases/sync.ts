import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SandBoxer } from "../../src/sdk/index.ts";
import { sync as syncOnce, type SyncReport } from "../../src/sync/index.ts";
import { figure, interleaved, timed } from "../figures.ts";
import { succeed } from "../raw.ts";
import type { Row } from "../row.ts";
import { type Stage, withBoth } from "../stage.ts";

const TARGET_MS = 150;
const CHANGES = 5;
const WALK = ["find", ".", "-printf", "%y %m %s %T@ %C@ %i %p\\n"];

/** A directory of small files that is kept in step, beside the two walks that any sync needs: find here, and find in a raw exec. */
export async function sync({ scale, signal, say }: Stage): Promise<Row[]> {
  const files = scale.syncFiles;
  const home = mkdtempSync(join(tmpdir(), "sand-boxer-bench-sync-"));
  const directory = join(home, "tree");
  const name = (index: number): string => join(directory, `d${index % 200}`, `f${index}`);
  try {
    for (let index = 0; index < 200; index++) mkdirSync(join(directory, `d${index}`), { recursive: true });
    for (let index = 0; index < files; index++) writeFileSync(name(index), `${index}\n`.repeat(20));
    return await withBoth({}, async (ours, raw) => {
      const id = await ours.create({ resources: { inodes: 2 * files + 10_000 } });
      const { url, key } = ours.server.address;
      const sandbox = await new SandBoxer({ url, apiKey: key }).connect(id);
      const once = async (changed: number): Promise<SyncReport> => {
        const report = await syncOnce(sandbox, directory, { stateDirectory: join(home, "state") });
        if (report.pushed.length !== changed) throw new Error(`${report.pushed.length} of ${changed} changes travelled`);
        return report;
      };
      const first = await timed(() => once(files + 200));
      say(`sync: ${files} files`);
      await once(0);
      const samples = { changed: [] as number[], same: [] as number[], walks: [] as number[] };
      let round = 0;
      const oursOnce = async (): Promise<void> => {
        round++;
        for (let index = 0; index < CHANGES; index++) writeFileSync(name((round * 37 + index * 101) % files), `${round} changed\n`);
        samples.changed.push((await timed(() => once(CHANGES))).ms);
        // Takes in what the one before it has written; then all is as it was.
        await once(0);
        samples.same.push((await timed(() => once(0))).ms);
      };
      const rawOnce = async (): Promise<void> => {
        const both = async (): Promise<void> => {
          const here = succeed(spawn("sh", ["-c", `exec find . -printf '%p %s %T@\\n' >/dev/null`], { cwd: directory, stdio: ["ignore", "inherit", "inherit"] }), "find"); // prettier-ignore
          const child = raw.inside(ours.server.backend, id, ["sh", "-c", 'cd /workspace && "$@" >/dev/null', "walk", ...WALK]);
          child.stdin?.end();
          await Promise.all([here, succeed(child, "find inside")]);
        };
        samples.walks.push((await timed(both)).ms);
      };
      await interleaved({ rounds: scale.commands, seconds: scale.seconds, signal }, oursOnce, rawOnce);
      const peer = { name: "raw walks", figure: figure(samples.walks) };
      const changed = figure(samples.changed);
      return [
        {
          case: "sync", what: `sync of ${files} files, ${CHANGES} changed`, unit: "ms", ours: changed, peer,
          target: { value: changed.median, direction: "at_most", bound: TARGET_MS, of: "ms" },
        },
        { case: "sync", what: `sync of ${files} files, nothing changed`, unit: "ms", ours: figure(samples.same), peer },
        { case: "sync", what: `first sync of ${files} files`, unit: "ms", ours: figure([first.ms]) },
      ]; // prettier-ignore
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
