import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { COMPILE_CACHE } from "./test/support/compile-cache.ts";
import { LongestFirst } from "./test/support/longest-first.ts";

/** What asks for SQLite's own file, disk, plan or lock: it says nothing about PostgreSQL, which has tests of its own. */
const ONLY_SQLITE = [
  "test/ledger/access-upgrade.test.ts",
  "test/ledger/backup.test.ts",
  "test/ledger/open.test.ts",
  "test/ledger/plan.test.ts",
  "test/ledger/process-numbers.test.ts",
  "test/ledger/secrets.test.ts",
  "test/engine/storage.test.ts",
  "test/engine/crash.test.ts",
  // Its child opens the file by itself.
  "test/engine/hub/crash.test.ts",
  "test/ledger/transaction.test.ts",
];
/** The others are of the door alone, over an engine without a ledger. */
const SERVERS_WITH_A_LEDGER = ["access", "events", "every-door", "policy-doors", "real-engine", "secrets"].map(
  (name) => `test/server/${name}.test.ts`,
);
/** What a whole run tries on PostgreSQL too; SANDBOXER_TEST_POSTGRES=all adds every suite of the engine and the server, some eight minutes. */
const ON_BOTH = [
  "test/ledger/**/*.test.ts",
  "test/fleet/**/*.test.ts",
  "test/engine/{lifecycle,idempotency,create,keys,read,sweep}.test.ts",
];
const ONLY_POSTGRES = ["test/ledger/postgres/**", "test/fleet/**"];

export default defineConfig({
  test: {
    // Sandboxes, servers and child processes: a slow machine may take its time; nothing here asserts a duration.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Each file has its own data directory, so files run side by side. With as many as there are cores, two fifths of the processors'
    // time was spent waiting for clocks, disks and children; four share what a machine of any size has of loop devices and address space.
    maxWorkers: Math.min(4, availableParallelism() + 1),
    pool: "forks",
    globalSetup: ["test/support/compile-cache.ts"],
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE },
    sequence: { sequencer: LongestFirst },
    // Where many things share a machine a kernel can be slow for a minute. A test that fails twice in a row is a fault; the report shows retries.
    retry: process.env["CI"] === "true" ? 2 : 0,
    reporters: ["default"],
    projects: [
      { extends: true, test: { name: "sqlite", include: ["test/**/*.test.ts"], exclude: ONLY_POSTGRES } },
      {
        extends: true,
        test: {
          name: "postgres",
          include: [
            ...ON_BOTH,
            ...(process.env["SANDBOXER_TEST_POSTGRES"] === "all" ? ["test/engine/**/*.test.ts", ...SERVERS_WITH_A_LEDGER] : []),
          ],
          exclude: ONLY_SQLITE,
          globalSetup: "test/support/postgres-run.ts",
          setupFiles: "test/support/on-postgres.ts",
        },
      },
    ],
  },
});
