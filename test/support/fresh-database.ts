import { inject, onTestFinished } from "vitest";
import { administer } from "./postgres.ts";
import { TEMPLATE } from "./postgres-run.ts";

let made = 0;

/** The address of a database of the run's PostgreSQL that goes away with the test: an empty ledger, or with nothing in it at all. */
export async function freshDatabase({ bare = false } = {}): Promise<string> {
  const server = inject("postgres");
  const name = `fresh_${process.pid}_${++made}`;
  await administer(`${server}postgres`, [`create database ${name}${bare ? "" : ` template ${TEMPLATE}`}`]);
  onTestFinished(() => administer(`${server}postgres`, [`drop database ${name} with (force)`]));
  return `${server}${name}`;
}
