import { readFileSync } from "node:fs";
import { boundaryPids } from "../../test/support/boundary-process.ts";
import type { Server } from "../server.ts";

/** The kernel's clock ticks a second, as USER_HZ is everywhere. */
const TICKS = 100;

/** What the boundary of a server costs, as the kernel says. */
export class BoundaryProcess {
  readonly pid: number;

  constructor(server: Server) {
    const [pid, ...others] = boundaryPids(server.data);
    if (pid === undefined || others.length > 0)
      throw new Error(`${others.length + (pid === undefined ? 0 : 1)} boundaries serve ${server.data}`);
    this.pid = pid;
  }

  get residentMiB(): number {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1]) / 1024;
  }

  /** Processor time so far, of all its threads, in seconds. */
  get cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  }
}
