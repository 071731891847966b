import { Sandbox } from "e2b";
import { type Sandbox as OwnSandbox, SandBoxer } from "../../src/sdk/index.ts";
import { figure, interleaved, timed } from "../figures.ts";
import { beside, type Row } from "../row.ts";
import { Server } from "../server.ts";
import type { Stage } from "../stage.ts";
import { streaming } from "./e2b-streams.ts";

const MIB = 1024 ** 2;
const SHELL = ["/bin/bash", "-l", "-c"] as const;

interface Clients {
  readonly own: SandBoxer;
  /** How the official SDK is pointed here. */
  readonly theirs: { apiKey: string; apiUrl: string; sandboxUrl: string };
}

/** E2B's official SDK over its wire, beside our own SDK over our own API: the same server, the same jobs. */
export async function e2b(stage: Stage): Promise<Row[]> {
  const server = new Server({ pool: stage.scale.creates * 2 + 4 });
  try {
    await server.start();
    const { url, key } = server.address;
    const clients = {
      own: new SandBoxer({ url, apiKey: key }),
      theirs: { apiKey: key.replace(/^sbx_/, "e2b_"), apiUrl: url, sandboxUrl: url },
    };
    await server.quiet(stage.scale.creates);
    const rows = [await creates(stage, server, clients)];
    const sandbox = await Sandbox.create(clients.theirs);
    const own = await clients.own.connect(sandbox.sandboxId);
    rows.push(await commands(stage, sandbox, own), ...(await files(stage, sandbox, own)));
    await sandbox.kill();
    return [...rows, ...(await streaming(stage))];
  } finally {
    await server.dispose();
  }
}

async function creates({ scale, signal }: Stage, server: Server, { own, theirs }: Clients): Promise<Row> {
  const samples = { ours: [] as number[], own: [] as number[] };
  const e2bOnce = async (): Promise<void> => {
    const { ms, value } = await timed(async () => {
      const sandbox = await Sandbox.create(theirs);
      await sandbox.commands.run("true");
      return sandbox;
    });
    samples.ours.push(ms);
    await value.kill();
    await server.quiet();
  };
  const ownOnce = async (): Promise<void> => {
    const { ms, value } = await timed(async () => {
      const sandbox = await own.create({ profile: "e2b-base", ttl: "5m" });
      await sandbox.exec([...SHELL, "true"]);
      return sandbox;
    });
    samples.own.push(ms);
    await value.destroy();
    await server.quiet();
  };
  // What a server loads with the first call of its kind is not what a call costs.
  await e2bOnce();
  await ownOnce();
  for (const list of Object.values(samples)) list.length = 0;
  await interleaved({ rounds: scale.creates, seconds: scale.seconds, signal }, e2bOnce, ownOnce);
  const peer = { name: "own SDK", figure: figure(samples.own) };
  return beside(
    { case: "e2b", what: "Sandbox.create + first command, e2b SDK", unit: "ms", ours: figure(samples.ours), peer },
    "at_most",
    1.3,
  );
}

const OVER_EXEC_MS = 2;

async function commands({ scale, signal }: Stage, sandbox: Sandbox, own: OwnSandbox): Promise<Row> {
  const samples = { ours: [] as number[], own: [] as number[] };
  await interleaved(
    { rounds: scale.execs, seconds: scale.seconds, signal },
    async () => void samples.ours.push((await timed(() => sandbox.commands.run("true"))).ms),
    async () => void samples.own.push((await timed(async () => own.exec([...SHELL, "true"]))).ms),
  );
  const [ours, peer] = [figure(samples.ours), { name: "own SDK", figure: figure(samples.own) }];
  return {
    case: "e2b", what: "commands.run, e2b SDK", unit: "ms", ours, peer, note: "own SDK: exec of the same shell",
    target: { value: ours.median - peer.figure.median, direction: "at_most", bound: OVER_EXEC_MS, of: "ms over own exec" },
  }; // prettier-ignore
}

async function files({ scale, signal, say }: Stage, sandbox: Sandbox, own: OwnSandbox): Promise<Row[]> {
  const size = scale.transfer;
  const content = new Blob([new Uint8Array(size * MIB).fill(97)]);
  const rates = { up: [] as number[], down: [] as number[], ownUp: [] as number[], ownDown: [] as number[] };
  const rate = (ms: number): number => size / (ms / 1000);
  const whole = (bytes: Uint8Array): void => {
    if (bytes.byteLength !== size * MIB) throw new Error(`${bytes.byteLength} bytes came back`);
  };
  const clean = async (): Promise<void> => void (await own.exec(["sh", "-c", "rm -f /home/user/big; sync"]));
  const e2bOnce = async (): Promise<void> => {
    rates.up.push(rate((await timed(() => sandbox.files.write("/home/user/big", content))).ms));
    const down = await timed(() => sandbox.files.read("/home/user/big", { format: "bytes" }));
    whole(down.value);
    rates.down.push(rate(down.ms));
    await clean();
  };
  const ownOnce = async (): Promise<void> => {
    rates.ownUp.push(rate((await timed(() => own.files.write("/home/user/big", content))).ms));
    const down = await timed(() => own.files.read("/home/user/big"));
    whole(down.value);
    rates.ownDown.push(rate(down.ms));
    await clean();
  };
  await interleaved({ rounds: scale.fileRounds + 1, seconds: scale.seconds, signal }, e2bOnce, ownOnce);
  say(`files of ${size} MiB`);
  const row = (what: string, ours: number[], theirs: number[]): Row =>
    beside(
      {
        case: "e2b",
        what: `${what} of ${size} MiB, e2b SDK`,
        unit: "MiB/s",
        ours: figure(ours),
        peer: { name: "own SDK", figure: figure(theirs) },
      },
      "at_least",
      0.6,
    );
  return [row("upload", rates.up, rates.ownUp), row("download", rates.down, rates.ownDown)];
}
