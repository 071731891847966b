import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "e2b";
import { figure, withWorkers } from "../figures.ts";
import { type LoopDelay, loopDelay, measuringLoop } from "../loop.ts";
import type { Row } from "../row.ts";
import { Server } from "../server.ts";
import type { Stage } from "../stage.ts";

const LONGEST_MS = 20;
const MAKERS = 4;
const MILLISECONDS = 1000;

/** Some 9 kB twenty times a second, as a build or a test run would say, and no program started for it: what is measured is the server, not the forks beside it. */
const TALK = `exec perl -e '$| = 1; my $text = join "\\n", 1 .. 2000; while (1) { print "$text\\n"; select undef, undef, undef, 0.05 }'`;

/** How long the server's event loop stands still while many sandboxes talk, beside a process that does nothing on the same machine. */
export async function streaming({ scale, signal, say }: Stage): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "sand-boxer-bench-loop-"));
  const [serverFile, idleFile] = [join(directory, "server"), join(directory, "idle")];
  const server = new Server({ pool: 8, nodeOptions: measuringLoop(serverFile) });
  const idle = spawn(process.execPath, [measuringLoop(idleFile), "-e", "setInterval(() => {}, 1000); console.log('up')"], { stdio: ["ignore", "pipe", "inherit"] }); // prettier-ignore
  try {
    await server.start();
    if (idle.stdout !== null) await once(idle.stdout, "data");
    const { url, key } = server.address;
    const connection = { apiKey: key.replace(/^sbx_/, "e2b_"), apiUrl: url, sandboxUrl: url };
    const sandboxes: Sandbox[] = [];
    await withWorkers(scale.streams, MAKERS, signal, async () => void sandboxes.push(await Sandbox.create(connection)));
    let bytes = 0;
    const talk = async (sandbox: Sandbox) =>
      sandbox.commands.run(TALK, { background: true, timeoutMs: 0, onStdout: (text) => void (bytes += text.length) });
    const handles = await Promise.all(sandboxes.map(talk));
    await server.quiet();
    const ask = async (): Promise<[LoopDelay, LoopDelay]> => [
      await loopDelay(server.pid, serverFile),
      await loopDelay(idle.pid ?? -1, idleFile),
    ];
    const samples = { server: [] as number[], idle: [] as number[], work: [] as number[] };
    bytes = 0;
    await ask();
    const began = performance.now();
    for (let second = 0; second < scale.streamSeconds; second++) {
      await pause(MILLISECONDS, undefined, { signal });
      const [ours, theirs] = await ask();
      samples.server.push(ours.longest);
      samples.work.push(ours.work);
      samples.idle.push(theirs.longest);
    }
    const rate = bytes / 1e6 / ((performance.now() - began) / MILLISECONDS);
    say(`${scale.streams} sandboxes said ${rate.toFixed(1)} MB/s`);
    if (bytes === 0) throw new Error("nothing was streamed");
    await Promise.all(handles.map((handle) => handle.kill()));
    const [ours, peer] = [figure(samples.server), { name: "idle process", figure: figure(samples.idle) }];
    return [
      {
        case: "e2b",
        what: `longest stall of the event loop in a second, ${scale.streams} sandboxes streaming`,
        unit: "ms",
        ours,
        peer,
        target: { value: Math.max(...samples.server), direction: "at_most", bound: LONGEST_MS, of: "ms, the longest of all" },
        note: `${rate.toFixed(1)} MB/s to the official SDK`,
      },
      {
        case: "e2b",
        what: `the longest work of one turn of the event loop in a second, ${scale.streams} sandboxes streaming`,
        unit: "ms",
        ours: figure(samples.work),
        target: { value: Math.max(...samples.work), direction: "at_most", bound: LONGEST_MS, of: "ms, the longest of all" },
        note: "processor time of its thread: of a stall, what is not waiting for one of the machine's cores",
      },
    ];
  } finally {
    await ended(idle);
    await server.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
