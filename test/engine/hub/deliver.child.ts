import { openSealer } from "../../../src/guard/index.ts";
import { openBenchIn } from "../bench.ts";

/** Tells webhooks over a data directory, and is killed by the kernel at the step named on the command line. */
const [directory = "", at] = process.argv.slice(2);
await openBenchIn(directory, {
  config: { sweep_interval: 3600 },
  engine: {
    background: true,
    sealer: () => openSealer(directory, {}),
    failpoint: (name) => {
      if (name === at) process.kill(process.pid, "SIGKILL");
    },
  },
});
// The engine's own timers keep nothing alive.
setInterval(() => {}, 1000);
