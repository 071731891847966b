/**
 * Loaded into a server with `--import`, so that its event loop is measured where it runs: on SIGUSR2 it writes what was seen
 * since the last time into the file that this module's address names after `?`, and begins anew.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { RESOLUTION_MS, type LoopDelay } from "./loop.ts";

const file = decodeURIComponent(new URL(import.meta.url).search.slice(1));
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
histogram.enable();

let [spent, work] = [process.threadCpuUsage(), 0];
setInterval(() => {
  const now = process.threadCpuUsage();
  work = Math.max(work, (now.user + now.system - spent.user - spent.system) / 1000);
  spent = now;
}, RESOLUTION_MS).unref();

process.on("SIGUSR2", () => {
  const over = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  const seen: LoopDelay = { longest: over(histogram.max), p99: over(histogram.percentile(99)), work };
  histogram.reset();
  work = 0;
  writeFileSync(`${file}.draft`, JSON.stringify(seen));
  renameSync(`${file}.draft`, file);
});
