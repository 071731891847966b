import { mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Opened } from "../main.ts";
import { SandBoxer } from "../sdk/index.ts";
import type { Connection } from "./connect.ts";
import { note } from "./print.ts";

/** Between two sweeps of commands that work without a server. */
const SWEEP_EVERY_MS = 30_000;

/** An engine of our own, reached through the same API as a server's, without a socket in between. */
export async function openInProcess(data: string): Promise<Connection> {
  const { localFetch, openSandboxer } = await import("../main.ts");
  const opened = await openSandboxer({ dataDir: data });
  const client = new SandBoxer({
    url: "http://localhost",
    apiKey: "",
    fetch: await localFetch(opened),
    // Attaching goes over the same fetch: there is no socket to open.
    WebSocket: false,
    timeoutMs: 0,
  });
  return {
    client,
    where: "this process",
    async [Symbol.asyncDispose]() {
      try {
        await sweepIfDue(opened, data);
      } finally {
        await opened.close();
      }
    },
  };
}

/** Without a server nobody else ends what has expired: each command does, when the last one was a while ago. Its own work is done by then. */
async function sweepIfDue({ engine }: Opened, data: string): Promise<void> {
  const stamp = join(data, "cache", "last-sweep");
  const now = new Date();
  const last = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (Math.abs(now.getTime() - last) < SWEEP_EVERY_MS) return;
  if (last === 0) {
    mkdirSync(join(data, "cache"), { recursive: true, mode: 0o700 });
    writeFileSync(stamp, "");
  } else utimesSync(stamp, now, now);
  const { errors } = await engine.sweep({ adopt: true });
  for (const { code, message } of errors) note(`the sweep could not do everything: ${code}: ${message}`);
}
