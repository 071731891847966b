import { join } from "node:path";
import { openSandboxer } from "../../src/main.ts";
import { OWNER } from "../support/principals.ts";

/**
 * A control plane under load: creates, uses and ends sandboxes until its standard input ends, and stays, sweeping, until it is killed.
 * Its wall clock is wrong by so many milliseconds.
 */
const [dataDir = "", world = "", skew = "0"] = process.argv.slice(2);
const { now } = Date;
Date.now = () => now() + Number(skew);
const { engine } = await openSandboxer({
  dataDir,
  stays: true,
  config: {
    backends: [{ name: "far", provider: join(import.meta.dirname, "../support/shared-fake.ts"), options: { url: world } }],
    fleet: { lease: 2, name: `host-${skew}` },
    sweep_interval: 0.3,
    log_level: "error",
  },
});
await engine.sweep({ adopt: true });
const enough = new AbortController();
// Its own timers keep no process alive.
setInterval(() => {}, 60_000);
process.stdin.resume().once("end", () => enough.abort());
async function worker(): Promise<void> {
  while (!enough.signal.aborted) {
    try {
      const { sandbox } = await engine.create(OWNER, { ttl: "1h" }, {});
      process.stdout.write(`made ${sandbox.id}\n`);
      const { events } = await engine.exec(OWNER, sandbox.id, { shell: "echo hello", stdin: { kind: "none" }, maxOutputBytes: 100 });
      for await (const event of events) void event;
      if (Math.random() < 0.7) {
        await engine.destroy(OWNER, sandbox.id);
        process.stdout.write(`ended ${sandbox.id}\n`);
      }
    } catch (thrown) {
      process.stdout.write(`failed ${String(thrown)}\n`);
    }
  }
}
process.stdout.write("up\n");
await Promise.all([worker(), worker(), worker()]);
process.stdout.write("idle\n");
