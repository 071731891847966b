import { Ours, takeBundle } from "./ours.ts";
import { Raw } from "./raw.ts";
import { Server, type ServerOptions } from "./server.ts";

/** How much is measured. */
export interface Scale {
  /** Rounds of create, first exec and teardown. */
  readonly creates: number;
  readonly execs: number;
  readonly burst: number;
  /** Creates and execs at a time in a burst, for both sides. */
  readonly workers: number;
  readonly live: number;
  readonly restarts: number;
  /** Sizes of the files, in MiB. */
  readonly fileSizes: readonly number[];
  readonly fileRounds: number;
  readonly commands: number;
  /** Files of the directory that is synced. */
  readonly syncFiles: number;
  readonly idleRounds: number;
  /** MiB of a file that the E2B SDK moves. */
  readonly transfer: number;
  /** Sandboxes that talk at a time, and for how many seconds. */
  readonly streams: number;
  /** Finished sandboxes in the ledger that is asked; five events each. */
  readonly ledgerRows: number;
  readonly streamSeconds: number;
  /** Creates a second that come whatever the server does, and for how many seconds. */
  readonly rate: number;
  readonly rateSeconds: number;
  /** Connections through the boundary, one after another, and for how many seconds at most. */
  readonly connections: number;
  readonly connectionSeconds: number;
  /** Seconds that any one measurement may take. */
  readonly seconds: number;
}

export const FULL: Scale = {
  creates: 60, execs: 200, burst: 100, workers: 8, live: 500, restarts: 3, fileSizes: [256, 1024], fileRounds: 3, commands: 20, syncFiles: 20_000, idleRounds: 20, transfer: 100, streams: 50, ledgerRows: 1_000_000, streamSeconds: 20, rate: 200, rateSeconds: 20, connections: 1_000_000, connectionSeconds: 180, seconds: 40,
}; // prettier-ignore

export const QUICK: Scale = {
  creates: 15, execs: 30, burst: 20, workers: 8, live: 40, restarts: 1, fileSizes: [64], fileRounds: 2, commands: 4, syncFiles: 20_000, idleRounds: 4, transfer: 100, streams: 50, ledgerRows: 50_000, streamSeconds: 5, rate: 200, rateSeconds: 5, connections: 10_000, connectionSeconds: 60, seconds: 6,
}; // prettier-ignore

/** What a case is given. */
export interface Stage {
  readonly scale: Scale;
  readonly signal: AbortSignal;
  /** Progress, for people. */
  readonly say: (text: string) => void;
}

/** A warm server and the raw runtime with the same bundle; both gone afterwards, whatever happens. */
export async function withBoth<T>(options: ServerOptions & { disks?: number }, work: (ours: Ours, raw: Raw) => Promise<T>): Promise<T> {
  const server = new Server(options);
  try {
    await server.start();
    const ours = new Ours(server);
    const raw = new Raw(await takeBundle(ours));
    try {
      await server.quiet(options.disks ?? 0);
      return await work(ours, raw);
    } finally {
      await raw.dispose();
    }
  } finally {
    await server.dispose();
  }
}
