import { afterAll, inject, vi } from "vitest";
import type * as Open from "../../src/ledger/open.ts";
import { openPostgresLedger } from "../../src/ledger/postgres/ledger.ts";
import { administer } from "./postgres.ts";
import { TEMPLATE } from "./postgres-run.ts";

/**
 * Makes the same tests run on PostgreSQL: what opens the ledger of a data directory gets a database that belongs to that
 * directory. Everything behind `openLedger` is the real thing.
 */
const server = inject("postgres");
const databases = new Map<string, Promise<string>>();
let made = 0;

function databaseOf(directory: string): Promise<string> {
  const known = databases.get(directory);
  if (known !== undefined) return known;
  const name = `t_${process.pid}_${++made}`;
  const making = administer(`${server}postgres`, [`create database ${name} template ${TEMPLATE}`]).then(() => `${server}${name}`);
  databases.set(directory, making);
  return making;
}

vi.mock("../../src/ledger/open.ts", (): typeof Open => ({
  openLedger: (directory, address) => openPostgresLedger(address ?? (() => databaseOf(directory))),
}));

afterAll(async () => {
  const urls = await Promise.all(databases.values());
  await administer(`${server}postgres`, urls.map((url) => `drop database if exists ${url.slice(server.length)} with (force)`)); // prettier-ignore
  databases.clear();
});
