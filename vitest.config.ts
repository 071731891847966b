import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Sandboxes, servers and child processes: a slow machine may take its time; nothing here asserts a duration.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Each file has its own data directory, so files run side by side; two workers suit the smallest machine.
    maxWorkers: 2,
    pool: "forks",
    // Where many things share a machine a kernel can be slow for a minute. A test that fails twice in a row is a fault; the report shows retries.
    retry: process.env["CI"] === "true" ? 2 : 0,
    reporters: ["default"],
  },
});
