import type { Config } from "../../src/contract/index.ts";

/** A backend in memory at one dollar for a vCPU and hour. */
export const priced: Config = {
  backends: [{ name: "memory", provider: "fake", options: { isolation: "container" }, price: { vcpu_hour: 1, gb_hour: 0 } }],
  log_level: "silent",
};
