import type { Client } from "pg";
import { clientConfig } from "./connect.ts";

/** What every transaction of every control plane says as it commits. */
export const CHANNEL = "sandboxer_ledger";

const FIRST_WAIT_MS = 100;
const LAST_WAIT_MS = 5000;

/**
 * A connection that hears of other processes' transactions and calls back. It comes back by itself after the server was away, and
 * then calls back once: something may have been missed. Answers the way to stop.
 */
export function listen(url: string, heard: () => void): () => Promise<void> {
  let stopped = false;
  let client: Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wait = FIRST_WAIT_MS;

  const later = () => {
    if (stopped || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      void connect();
    }, wait).unref();
    wait = Math.min(wait * 2, LAST_WAIT_MS);
  };
  const connect = async () => {
    const { Client: PostgresClient } = await import("pg");
    const fresh = new PostgresClient(await clientConfig(url));
    fresh.on("error", () => {});
    fresh.on("end", later);
    fresh.on("notification", heard);
    try {
      await fresh.connect();
      await fresh.query(`listen ${CHANNEL}`);
      client = fresh;
      wait = FIRST_WAIT_MS;
      if (stopped) await fresh.end();
      else heard();
    } catch {
      await fresh.end().catch(() => undefined);
      later();
    }
  };
  const connecting = connect();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await connecting;
    await client?.end().catch(() => undefined);
  };
}
