import { constants } from "node:os";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Processes, Ref } from "../../../contract/index.ts";
import { nearest, SandboxerError } from "../../../contract/index.ts";
import { cgroupOf, directoryOf, type Host } from "../host.ts";
import { shared } from "../../shared/at-once.ts";
import { isAlive, signalTree } from "../process-tree.ts";
import { signalInside } from "../signal-inside.ts";
import { ShimConnections } from "./control.ts";
import { readJournal } from "./journal.ts";
import { ProcessPlace, processesOf } from "./place.ts";
import { startProcess } from "./start.ts";
import { hasExited, hasStarted, type ProcessRecord, readRecord, rootOf, shimOf, statusOf, writtenEnd } from "./state.ts";

/** Background processes of the local provider: each has a directory, and a shim that outlives this process. */
export function localProcesses(host: Host): Processes & { dispose(): void } {
  const connections = new ShimConnections();
  const starting = new Map<string, Promise<void>>();

  const checkSandbox = (ref: Ref): void => {
    if (directoryOf(host, ref.id).read()?.spec.generation !== ref.generation) {
      throw new SandboxerError("sandbox_not_found", `sandbox ${ref.id} is not on this host`, { backend: host.backend });
    }
  };
  const placeOf = (ref: Ref, id: string): ProcessPlace => {
    checkSandbox(ref);
    return new ProcessPlace(host, ref.id, id);
  };
  const sandboxAlive = (ref: Ref): boolean => {
    const init = directoryOf(host, ref.id).read()?.init;
    return init !== undefined && isAlive(init);
  };
  /** The record of a process that can be given input. Throws `wrong_state` where it cannot. */
  const withInput = (ref: Ref, id: string, what: "input" | "terminal"): { directory: string; record: ProcessRecord } => {
    const { directory } = placeOf(ref, id);
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
      checkSandbox(ref);
      return processesOf(host, ref.id).map(({ directory }) => statusOf(directory, () => alive));
    },

    async status(ref, id) {
      const { directory } = placeOf(ref, id);
      return hasStarted(directory) ? statusOf(directory, () => sandboxAlive(ref)) : "absent";
    },

    async *output(ref, id, from, op) {
      const place = placeOf(ref, id);
      const { directory } = place;
      readRecord(directory);
      let offset = from.offset;
      const shim = shimOf(directory);
      const ended = (): boolean => shim === undefined || hasExited(place.directory) || !isAlive(shim);
      for await (const { stream, data, next } of readJournal(directory, from, ended, op.signal)) {
        offset = next;
        yield { type: stream, data, offset };
      }
      const alive = (): boolean => sandboxAlive(ref);
      // It may have been moved meanwhile.
      const last = place.directory;
      const end = writtenEnd(last, alive)?.end ?? statusOf(last, alive).end;
      if (end !== null) yield { type: "ended", offset, ...end };
    },

    async signal(ref, id, name) {
      const signal = Object.keys(constants.signals).find((known) => known === name) as NodeJS.Signals | undefined;
      if (signal === undefined) {
        const near = nearest(name, Object.keys(constants.signals));
        const issue = { path: "signal", message: `unknown signal "${name}"`, ...(near === undefined ? {} : { nearest: near }) };
        throw new SandboxerError("invalid_request", issue.message, { issues: [issue] });
      }
      const { directory } = placeOf(ref, id);
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
