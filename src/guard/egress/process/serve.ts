import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Netns } from "../../../netns/index.ts";
import type { Sealer } from "../../secrets/index.ts";
import { Dialler } from "../dial/dialler.ts";
import type { Authority, Inspector, InspectorOptions } from "../inspect/types.ts";
import { Journal } from "../journal/journal.ts";
import { Sessions } from "../session/sessions.ts";
import { SessionStore } from "../session/store.ts";
import { Control } from "./control.ts";
import { boundaryDirectory, readClosed, readConfig, socketPath, writeClosed } from "./place.ts";

/** How often counters are written down: what a crash may leave out of them. Milliseconds. */
const CHECKPOINT_MS = 2000;
/** How long it stays with no sandbox and no caller. Milliseconds. */
const LONELY_MS = 5 * 60_000;

export interface ServeOptions {
  readonly dataDirectory: string;
  readonly sealer: Sealer;
  readonly netns: Netns;
  readonly makeAuthority: () => Authority;
  readonly makeInspector: (options: InspectorOptions) => Inspector;
  readonly log: (message: string, thrown?: unknown) => void;
  /** Called when it has ended by itself. */
  readonly onEnd: () => void;
}

/** Runs the boundary of one data directory, of which there must be one only: see `start.ts`. Resolves when it answers; what it returns ends it. */
export async function serveBoundary(options: ServeOptions): Promise<() => void> {
  const { dataDirectory, sealer, netns, makeAuthority, makeInspector, log, onEnd } = options;
  log(`pid ${process.pid} starts`);
  const directory = boundaryDirectory(dataDirectory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const config = readConfig(directory);
  const dialler = new Dialler({
    closed: readClosed(directory),
    ...(config.resolvers === undefined ? {} : { resolvers: config.resolvers }),
  });
  const inspector = makeInspector(config.caFile === undefined ? {} : { upstreamCa: readFileSync(config.caFile, "utf8") });
  const journal = new Journal(join(directory, "verdicts"));
  const store = new SessionStore(join(directory, "sessions"), sealer);
  const sessions = new Sessions({ store, journal, dialler, netns, inspector, makeAuthority, log });
  await sessions.restore();
  const control = new Control({
    path: socketPath(dataDirectory),
    sessions,
    journal,
    hello: ({ config: wanted, closed }) => {
      if (dialler.close(closed)) writeClosed(directory, dialler.closed);
      const restarts = wanted !== null && JSON.stringify(wanted) !== JSON.stringify(config);
      if (restarts) setImmediate(end);
      return { restarts };
    },
  });
  let lonelySince = performance.now();
  const timer = setInterval(() => {
    sessions.checkpoint();
    if (sessions.size > 0 || control.callers > 0) lonelySince = performance.now();
    else if (performance.now() - lonelySince > LONELY_MS) end();
  }, CHECKPOINT_MS);
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    control.close();
    sessions.close();
    journal.close();
    netns.dispose();
    onEnd();
  };
  await control.listen();
  log(`pid ${process.pid} answers, with ${sessions.size} sandboxes`);
  return end;
}
