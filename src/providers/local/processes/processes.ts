import { constants } from "node:os";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Processes, Ref } from "../../../contract/index.ts";
import { nearest, SandboxerError } from "../../../contract/index.ts";
import { cgroupOf, checkedName, directoryOf, type Host } from "../host.ts";
import { shared } from "../shared-work.ts";
import { isAlive, signalTree } from "../process-tree.ts";
import { signalInside } from "../signal-inside.ts";
import { ShimConnections } from "./control.ts";
import { readJournal } from "./journal.ts";
import { startProcess } from "./start.ts";
import { hasExited, hasStarted, processIds, type ProcessRecord, readRecord, rootOf, shimOf, statusOf, writtenEnd } from "./state.ts";

/** Background processes of the local provider: each has a directory, and a shim that outlives this process. */
export function localProcesses(host: Host): Processes & { dispose(): void } {
  const connections = new ShimConnections();
  const starting = new Map<string, Promise<void>>();

  const parentOf = (ref: Ref): string => {
    const directory = directoryOf(host, ref.id);
    if (directory.read()?.spec.generation !== ref.generation) {
      throw new SandboxerError("sandbox_not_found", `sandbox ${ref.id} is not on this host`, { backend: host.backend });
    }
    return directory.file("processes");
  };
  const directoryOfProcess = (ref: Ref, id: string): string => join(parentOf(ref), checkedName(id, "process"));
  const sandboxAlive = (ref: Ref): boolean => {
    const init = directoryOf(host, ref.id).read()?.init;
    return init !== undefined && isAlive(init);
  };
  /** The record of a process that can be given input. Throws `wrong_state` where it cannot. */
  const withInput = (ref: Ref, id: string, what: "input" | "terminal"): { directory: string; record: ProcessRecord } => {
    const directory = directoryOfProcess(ref, id);
    const record = readRecord(directory);
    if (hasExited(directory)) throw new SandboxerError("wrong_state", `process ${id} has ended`, { phase: "processes" });
    if (what === "input" && !record.input) {
      throw new SandboxerError("wrong_state", `process ${id} has no input`, {
        phase: "processes",
        hint: 'Start it with stdin: "pipe", or with a pty.',
      });
    }
    if (what === "terminal" && !record.pty)
      throw new SandboxerError("wrong_state", `process ${id} has no terminal`, { phase: "processes", hint: "Start it with a pty." });
    return { directory, record };
  };

  return {
    start: (ref, command, options, op) => shared(starting, `${ref.id}/${command.id}`, () => startProcess(host, ref, command, options, op)),

    async list(ref) {
      const alive = sandboxAlive(ref);
      return processIds(parentOf(ref)).map((id) => statusOf(directoryOfProcess(ref, id), () => alive));
    },

    async status(ref, id) {
      const directory = directoryOfProcess(ref, id);
      return hasStarted(directory) ? statusOf(directory, () => sandboxAlive(ref)) : "absent";
    },

    async *output(ref, id, from, op) {
      const directory = directoryOfProcess(ref, id);
      readRecord(directory);
      let offset = from.offset;
      const shim = shimOf(directory);
      const ended = (): boolean => shim === undefined || hasExited(directory) || !isAlive(shim);
      for await (const { stream, data, next } of readJournal(directory, from, ended, op.signal)) {
        offset = next;
        yield { type: stream, data, offset };
      }
      const alive = (): boolean => sandboxAlive(ref);
      const end = writtenEnd(directory, alive)?.end ?? statusOf(directory, alive).end;
      if (end !== null) yield { type: "ended", offset, ...end };
    },

    async signal(ref, id, name) {
      const signal = Object.keys(constants.signals).find((known) => known === name) as NodeJS.Signals | undefined;
      if (signal === undefined) {
        const near = nearest(name, Object.keys(constants.signals));
        const issue = { path: "signal", message: `unknown signal "${name}"`, ...(near === undefined ? {} : { nearest: near }) };
        throw new SandboxerError("invalid_request", issue.message, { issues: [issue] });
      }
      const directory = directoryOfProcess(ref, id);
      const root = rootOf(directory);
      const reached = readRecord(directory).hostProcesses
        ? root !== undefined && (await signalTree(cgroupOf(host, ref.id), root, signal))
        : await signalInside(host, ref.id, id, signal);
      if (!reached) throw new SandboxerError("wrong_state", `process ${id} has ended`, { phase: "processes" });
    },

    async write(ref, id, data) {
      const { directory } = withInput(ref, id, "input");
      if (existsSync(join(directory, "input-closed")))
        throw new SandboxerError("wrong_state", `the input of process ${id} was closed`, { phase: "processes" });
      await connections.send(directory, { kind: "I", body: data });
    },

    async closeStdin(ref, id) {
      const { directory, record } = withInput(ref, id, "input");
      if (!record.pty) closeInput(directory);
      await connections.send(directory, { kind: "E" });
    },

    async resize(ref, id, size) {
      const { directory } = withInput(ref, id, "terminal");
      await connections.send(directory, { kind: "R", ...size });
    },

    dispose: () => connections.dispose(),
  };
}

/** Remembered on disk, for whoever asks after a restart. */
function closeInput(directory: string): void {
  closeSync(openSync(join(directory, "input-closed"), "a", 0o600));
}
