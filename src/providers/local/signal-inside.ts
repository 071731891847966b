import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { newId } from "../../contract/index.ts";
import { directoryOf, type Host, scratchOf } from "./host.ts";
import { commandProcess, MARK, type OciProcess } from "./oci-process.ts";
import type { SandboxRecord } from "./record.ts";
import { run } from "./run.ts";
import { runtimeArgv } from "./runtime.ts";
import { HELPERS } from "./skeleton.ts";

/**
 * Signals every process whose environment carries the mark, from inside. First it stops them, looking again until a look finds none new,
 * since they may fork meanwhile, and since a shell whose child has been ended would go on to its next command. Says on standard output how
 * many it reached.
 */
const SCRIPT = `
busybox=$1 mark=$2 signal=$3 reached=0 found=1 rounds=0 stopped=
while [ $found -gt 0 ] && [ $rounds -lt 20 ]; do
  found=0 rounds=$((rounds + 1))
  for environment in /proc/[0-9]*/environ; do
    pid=\${environment#/proc/} pid=\${pid%/environ}
    [ "$pid" = $$ ] && continue
    case "$stopped " in *" $pid "*) continue ;; esac
    $busybox tr '\\0' '\\n' 2>/dev/null <"$environment" | $busybox grep -qxF "$mark" || continue
    kill -s STOP "$pid" 2>/dev/null && found=$((found + 1)) stopped="$stopped $pid"
  done
done
for pid in $stopped; do kill -s "$signal" "$pid" 2>/dev/null && reached=$((reached + 1)); done
case $signal in KILL | STOP) ;; *) for pid in $stopped; do kill -s CONT "$pid" 2>/dev/null; done ;; esac
echo $reached`;

/** The process that signals a command's tree from inside. */
export function signaller({ spec, runtime, image }: SandboxRecord, execId: string, signal: string): OciProcess {
  const busybox = `${HELPERS}/busybox`;
  const argv = [busybox, "sh", "-c", SCRIPT, "signal", busybox, `${MARK}=${execId}`, signal.replace(/^SIG/, "")];
  return commandProcess(spec, { id: newId("exec"), run: { argv } }, { runtime, inside: image?.inside });
}

/** Bounds a sandbox that answers nothing any more. */
const ANSWERS_WITHIN_MS = 10_000;

/**
 * For runtimes that keep their processes to themselves (gVisor). A process that cleared its environment is not reached: it stays
 * within the sandbox, and ends with it. Costs an exec. Answers whether anything was reached.
 */
export async function signalInside(host: Host, sandboxId: string, execId: string, signal: string): Promise<boolean> {
  const record = directoryOf(host, sandboxId).read();
  const runtime = record === undefined ? undefined : host.runtimes.get(record.runtime);
  if (record === undefined || runtime === undefined) return false;
  const id = newId("exec");
  const scratch = scratchOf(host, sandboxId);
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  const [file, log] = [join(scratch, `${id}.json`), join(scratch, `${id}.log`)];
  writeFileSync(file, JSON.stringify(signaller(record, execId, signal)), { mode: 0o600 });
  try {
    const answer = await run(runtimeArgv(runtime, log, "exec", "--process", file, sandboxId), { timeoutMs: ANSWERS_WITHIN_MS });
    return Number(answer.stdout.trim()) > 0;
  } finally {
    await Promise.all([file, log].map((path) => rm(path, { force: true })));
  }
}
