import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { IMAGE, openDockerEngine, withoutEngine } from "../../test/support/docker-engine.ts";
import { openSshd, withoutSshd } from "../../test/support/sshd.ts";
import { figure, interleaved, timed } from "../figures.ts";
import { Ours } from "../ours.ts";
import { beside, NotMeasured, type Row } from "../row.ts";
import { Server } from "../server.ts";
import type { Stage } from "../stage.ts";

const run = promisify(execFile);

/** Sandboxes at a Docker engine, beside the same by the `docker` program; and how many connections many of them take by SSH. */
export async function engine({ scale, signal, say }: Stage): Promise<Row[]> {
  const missing = withoutEngine() ?? withoutSshd();
  if (missing !== undefined) throw new NotMeasured(missing);
  await using docker = await openDockerEngine();
  await using sshd = await openSshd();
  const image = { image: IMAGE, pull: "never" };
  const ssh = {
    reach: { form: "direct", address: "127.0.0.1", port: sshd.port },
    identity: { form: "file", private_key: sshd.userKeyFile },
    host_key: { form: "pinned", keys: [sshd.hostKey] },
  };
  const server = new Server({
    backends: [
      { name: "docker", provider: "docker", options: { ...image, host: docker.host } },
      { name: "box", provider: "docker", options: { ...image, ssh, socket: docker.socket } },
    ],
  });
  try {
    await server.start();
    const ours = new Ours(server);
    const samples = { create: [] as number[], exec: [] as number[], peerCreate: [] as number[], peerExec: [] as number[] };
    const oursOnce = async (): Promise<void> => {
      const create = await timed(() => ours.create());
      const first = await timed(() => ours.exec(create.value));
      const exec = await timed(() => ours.exec(create.value));
      samples.create.push(create.ms + first.ms);
      samples.exec.push(exec.ms);
      await ours.destroy(create.value);
    };
    let number = 0;
    const call = (...args: string[]) => run("docker", ["-H", docker.host, ...args]);
    const peerOnce = async (): Promise<void> => {
      const name = `sand-boxer-bench-${number++}`;
      const create = await timed(() => call("run", "-d", "--network", "none", "--cap-drop", "ALL", "--memory", "512m", "--pids-limit", "256", "--name", name, IMAGE, "sleep", "600")); // prettier-ignore
      const first = await timed(() => call("exec", name, "true"));
      const exec = await timed(() => call("exec", name, "true"));
      samples.peerCreate.push(create.ms + first.ms);
      samples.peerExec.push(exec.ms);
      await call("rm", "-f", name);
    };
    // The first of an image prepares it.
    await ours.destroy(await ours.create());
    await interleaved({ rounds: Math.min(30, scale.creates), seconds: scale.seconds, signal }, oursOnce, peerOnce);

    say("many sandboxes by SSH");
    const made: string[] = [];
    for (let left = scale.streams; left > 0; left -= 5)
      made.push(...(await Promise.all(Array.from({ length: Math.min(5, left) }, () => ours.create({ routing: { only: ["box"] } }))))); // prettier-ignore
    await Promise.all(made.map((id) => ours.exec(id)));
    const connections = sshd.connections().length;
    for (let at = 0; at < made.length; at += 5) await Promise.all(made.slice(at, at + 5).map((id) => ours.destroy(id)));

    const peer = (of: readonly number[]) => ({ name: "docker", figure: figure(of) });
    return [
      beside(
        {
          case: "engine",
          what: "create + first exec at a Docker engine",
          unit: "ms",
          ours: figure(samples.create),
          peer: peer(samples.peerCreate),
          note: "docker run -d and docker exec at the same engine, with its own hardening and no capabilities",
        },
        "at_most",
        1.1,
      ),
      { case: "engine", what: "exec at a Docker engine", unit: "ms", ours: figure(samples.exec), peer: peer(samples.peerExec) },
      {
        case: "engine",
        what: `SSH connections for ${made.length} sandboxes at one host`,
        unit: "x",
        ours: figure([connections]),
        target: { value: connections, direction: "at_most", bound: 1, of: "connection" },
        note: "each with a command at the same time",
      },
    ];
  } finally {
    await server.dispose();
  }
}
