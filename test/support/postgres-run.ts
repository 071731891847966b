import type { TestProject } from "vitest/node";
import { openPostgresLedger } from "../../src/ledger/postgres/ledger.ts";
import { administer, PostgresServer } from "./postgres.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of the run's PostgreSQL, without a database's name. */
    postgres: string;
  }
}

/** The database that every test's is a copy of. */
export const TEMPLATE = "ledger_template";

/** One PostgreSQL for the whole run, with a ledger of the newest schema to copy. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await PostgresServer.start();
  await administer(server.url("postgres"), [`create database ${TEMPLATE}`]);
  const ledger = openPostgresLedger(server.url(TEMPLATE));
  await ledger.ready();
  await ledger.close();
  project.provide("postgres", server.url(""));
  return () => server[Symbol.asyncDispose]();
}
