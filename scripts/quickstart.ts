/** The main job on real input, from nothing to nothing. Run it with `npm run quickstart`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../src/contract/format.ts";
import { localFetch, openSandboxer } from "../src/main.ts";
import { type Sandbox, SandBoxer, SandboxerError } from "../src/sdk/index.ts";
import { tryToGetOut } from "./quickstart/boundary.ts";
import { copyTree, example, makeRepository } from "./quickstart/inputs.ts";
import { interrupt } from "./quickstart/interrupt.ts";
import { countHostObjects } from "./quickstart/leftovers.ts";
import { runLive } from "./quickstart/live.ts";
import { brokenPromises, duration, line, note, paint, promise, step, table } from "./quickstart/terminal.ts";

/** Of its own, so that what is counted at the end is this run's. */
const dataDir = join(process.env["SANDBOXER_DATA"] ?? "/var/lib/sand-boxer", "quickstart");
/** No disks are prepared for a next sandbox: at the end nothing is to be left. */
const config = { backends: [{ name: "local", provider: "local", options: { pool: 0 } }] };

async function main(): Promise<void> {
  step("Look at this host");
  const opened = await openSandboxer({ dataDir, config });
  try {
    const client = new SandBoxer({ url: "http://localhost", fetch: await localFetch(opened) });
    for (const { available, reason, isolation } of await client.backends()) {
      for (const { level, runtime } of isolation) note(`can give isolation level ${level}, by ${runtime}`);
      if (!available) note(`cannot run sandboxes: ${reason}`);
    }
    await client.sweep();
    note(`keeps everything in ${dataDir}`);
    await mainJob(client);
  } finally {
    await opened.close();
  }
}

async function mainJob(client: SandBoxer): Promise<void> {
  const before = countHostObjects(dataDir);

  step('Provision a sandbox from the profile "python"');
  const started = performance.now();
  const sandbox = await client.create({ profile: "python", name: "quickstart", ttl: "10m", signal: interrupt });
  const took = duration(started);
  try {
    const { isolation, profile, route, resources } = sandbox.info;
    promise(sandbox.info.state === "ready", `${sandbox.id} is ready after ${took}`);
    promise(
      isolation.effective !== null && isolation.effective !== "process",
      `isolation ${isolation.effective} by ${isolation.runtime}, read back from the kernel`,
    );
    for (const text of isolation.notes) note(paint("yellow", text));
    note(
      `profile ${profile.name}@${profile.version}: ${resources.cpu} CPU, ${formatBytes(resources.memory_bytes)} memory, ${formatBytes(resources.disk_bytes)} disk, ${resources.pids} processes`,
    );
    note(`route: ${route.reason}`);

    await analyseSales(sandbox);
    await testRepository(sandbox);
    await lookOutside(sandbox);

    step("What it used");
    const usage = await sandbox.usage();
    const bytes = (amount: number | null) => (amount === null ? "unknown" : formatBytes(amount));
    note(
      `CPU ${usage.cpu_seconds?.toFixed(2) ?? "unknown"} s, memory ${bytes(usage.memory_bytes)} (peak ${bytes(usage.memory_peak_bytes)}), disk ${bytes(usage.disk_bytes)}, ${usage.inodes ?? "unknown"} files, ${usage.pids ?? "unknown"} processes now`,
    );
    const during = countHostObjects(dataDir);

    step("Tear it down");
    const ending = performance.now();
    const { state, termination } = await sandbox.destroy();
    promise(state === "terminated", `${state} after ${duration(ending)}, reason: ${termination?.reason}`);
    // The disk of an ended sandbox goes with the next sweep; a server sweeps every 10 s.
    await client.sweep();
    await showEvents(client, sandbox.id);

    step("Nothing is left");
    const after = countHostObjects(dataDir);
    const names = Object.keys(after) as (keyof typeof after)[];
    table([
      ["on this host", "before", "while it ran", "after"],
      ...names.map((name) => [name, ...[before, during, after].map((counts) => String(counts[name]))]),
    ]);
    // Where the host has no loop devices, the writable places are in memory, and there is no disk to count.
    const sure = ["processes", "control groups", "sandbox directories"] as const;
    promise(
      sure.every((name) => during[name] > before[name]),
      "the counts saw the sandbox while it ran",
    );
    promise(
      names.every((name) => after[name] <= before[name]),
      "no count is above what it was before",
    );
  } finally {
    await sandbox.destroy();
  }
}

async function analyseSales(sandbox: Sandbox): Promise<void> {
  step("Copy in a CSV and a script, and analyse it");
  for (const name of ["sales.csv", "analyse.py"]) await sandbox.files.write(`sales/${name}`, await readFile(example("sales", name)));
  await runLive(sandbox, ["python3", "analyse.py", "sales.csv", "summary.json"], "sales");
  const summary = JSON.parse(await sandbox.files.readText("sales/summary.json")) as { region: Record<string, number> };
  promise(Object.keys(summary.region).length === 4, `summary.json was read back: ${Object.keys(summary.region).join(", ")}`);
}

async function testRepository(sandbox: Sandbox): Promise<void> {
  step("Copy in a git repository, and run its tests");
  using repository = makeRepository("wordcount");
  await copyTree(sandbox, repository.path, "wordcount");
  await runLive(sandbox, ["git", "log", "--oneline"], "wordcount");
  await runLive(sandbox, ["python3", "-m", "unittest", "-v"], "wordcount");
}

async function lookOutside(sandbox: Sandbox): Promise<void> {
  step("Try to reach the network and the host from inside");
  const attempts = await tryToGetOut(sandbox);
  table([
    ["attempt", "on the host", "in the sandbox"],
    ...attempts.map(({ what, host, sandbox: inside }) => [what, host ?? "not tried", inside]),
  ]);
  promise(
    attempts.every(({ host, hostReached }) => host === undefined || hostReached),
    "each control reached its aim on the host",
  );
  promise(
    attempts.every(({ sandboxReached }) => !sandboxReached),
    "nothing was reached from the sandbox",
  );
}

async function showEvents(client: SandBoxer, sandboxId: string): Promise<void> {
  note(paint("dim", "its event trail:"));
  const types: string[] = [];
  for await (const { seq, at, type, data } of client.events({ sandboxId, follow: false })) {
    types.push(type);
    const facts = Object.entries(data).flatMap(([name, value]) =>
      typeof value === "string" || typeof value === "number" ? [`${name}=${value}`] : [],
    );
    note(
      `${paint("dim", `${String(seq).padStart(5)}  ${at.slice(11, 23)}`)}  ${type.padEnd(20)}  ${paint("dim", facts.join(" ").slice(0, 90))}`,
    );
  }
  promise(types[0] === "sandbox.provisioning" && types.at(-1) === "sandbox.terminated", "the trail goes from provisioning to terminated");
}

try {
  line(paint("bold", "sand-boxer quickstart"));
  if (process.getuid?.() !== 0) {
    throw new SandboxerError("isolation_unavailable", "the quickstart needs root, for control groups and disk quotas", {
      hint: "Run: sudo npm run quickstart",
    });
  }
  await main();
  const broken = brokenPromises();
  line(
    broken.length === 0
      ? `\n${paint("green", "Done")} in ${duration(0)}. Next: ${paint("bold", "bin/sand-boxer run -p python -- python3 -c 'print(6*7)'")}`
      : `\n${paint("red", "Failed")}: ${broken.length} of the promises above do not hold`,
  );
  process.exitCode = broken.length === 0 ? 0 : 1;
} catch (thrown) {
  const { code, message, hint } = SandboxerError.from(thrown);
  line(`\n${paint("red", `Failed: ${code}`)}: ${message}\n   next: ${hint}`);
  process.exitCode = interrupt.aborted ? 130 : 1;
}
