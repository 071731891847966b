import type { ClientConfig, CustomTypesConfig, Pool } from "pg";
import { SandboxerError } from "../../contract/index.ts";

const BIGINT = 20;
const NUMERIC = 1700;
/** Of one process; writers queue before they take one. */
const CONNECTIONS = 10;
const CONNECT_MS = 5000;

function toNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  throw new SandboxerError("internal", `the ledger holds ${text}, which is no number that can be counted on`, { phase: "ledger" });
}

type Parser = (text: string) => unknown;

/** Whole numbers are numbers, as SQLite gives them; one that would lose digits is an error. */
function numbers(parserOf: CustomTypesConfig["getTypeParser"]): CustomTypesConfig {
  return {
    getTypeParser: (oid: number, format?: "text" | "binary"): Parser =>
      oid === BIGINT || oid === NUMERIC ? toNumber : parserOf(oid, format),
  };
}

/** How every connection of ours is set up. One that stands still in a transaction is ended by the server, since all others wait for it. */
export async function clientConfig(url: string): Promise<ClientConfig> {
  const { types } = await import("pg");
  return {
    connectionString: url,
    application_name: "sand-boxer",
    connectionTimeoutMillis: CONNECT_MS,
    idle_in_transaction_session_timeout: 15_000,
    keepAlive: true,
    types: numbers(types.getTypeParser),
  };
}

export async function openPool(url: string): Promise<Pool> {
  const { Pool: PostgresPool } = await import("pg");
  const pool = new PostgresPool({ ...(await clientConfig(url)), max: CONNECTIONS, allowExitOnIdle: true });
  // An idle connection that the server has ended: the pool drops it, and the next query makes another.
  pool.on("error", () => {});
  return pool;
}

/** The address without its password, for messages. */
export function withoutPassword(url: string): string {
  try {
    const parsed = new URL(url);
    parsed.password = "";
    for (const name of ["password", "sslkey", "sslpassword"]) parsed.searchParams.delete(name);
    return parsed.href;
  } catch {
    return "postgres://...";
  }
}
