import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openSshd, withoutSshd } from "../../test/support/sshd.ts";
import { figure, interleaved, timed } from "../figures.ts";
import { Ours } from "../ours.ts";
import { beside, NotMeasured, type Row } from "../row.ts";
import { Server } from "../server.ts";
import type { Stage } from "../stage.ts";

const run = promisify(execFile);
const PROFILE = { kind: "profile", name: "bench", version: 1, isolation_level: { min: "process" } };

/** Sandboxes on a host by SSH, beside `ssh` over a connection that stands, `ssh` by a fresh one each time, and `scp`. */
export async function ssh({ scale, signal, say }: Stage): Promise<Row[]> {
  const missing = withoutSshd();
  if (missing !== undefined) throw new NotMeasured(missing);
  // Or bash would take the commands for a person's and read .bashrc first, which is none of ssh's time.
  await using sshd = await openSshd(["SetEnv SHLVL=2"]);
  const root = mkdtempSync(join(tmpdir(), "sand-boxer-bench-ssh-"));
  const options = {
    reach: { form: "direct", address: "127.0.0.1", port: sshd.port },
    identity: { form: "file", private_key: sshd.userKeyFile },
    host_key: { form: "pinned", keys: [sshd.hostKey] },
    root: join(root, "sandboxes"),
  };
  writeFileSync(join(root, "known_hosts"), `[127.0.0.1]:${sshd.port} ${sshd.hostKey}\n`);
  const login = ["-F", "none", "-i", sshd.userKeyFile, "-o", `UserKnownHostsFile=${join(root, "known_hosts")}`, "-o", "BatchMode=yes"];
  const shared = [...login, "-o", `ControlPath=${join(root, "control")}`];
  const peer = (words: readonly string[]) => run("ssh", [...words, "-p", String(sshd.port), "root@127.0.0.1", "true"]);
  const server = new Server({ backends: [{ name: "box", provider: "ssh", options }] });
  try {
    await server.start();
    const ours = new Ours(server);
    await server.client.json("POST", "/v1/profiles", PROFILE);
    await run("ssh", [...shared, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-p", String(sshd.port), "-fN", "root@127.0.0.1"]);
    const samples = { create: [] as number[], exec: [] as number[], shared: [] as number[], fresh: [] as number[] };
    const id = await ours.create({ profile: "bench" });
    const take = async (into: number[], work: () => Promise<unknown>): Promise<void> => void into.push((await timed(work)).ms);
    await interleaved(
      { rounds: scale.execs, seconds: scale.seconds, signal },
      () => take(samples.exec, () => ours.exec(id)),
      () => take(samples.shared, () => peer(shared)),
    );
    await interleaved(
      { rounds: Math.min(20, scale.execs), seconds: scale.seconds, signal },
      async () => {
        const create = await timed(() => ours.create({ profile: "bench" }));
        samples.create.push(create.ms);
        await ours.destroy(create.value);
      },
      () => take(samples.fresh, () => peer(login)),
    );

    say("files by SSH");
    const size = Math.min(...scale.fileSizes);
    const rates = { ours: [] as number[], scp: [] as number[] };
    const rate = (ms: number): number => size / (ms / 1000);
    const from = join(root, "file");
    writeFileSync(from, "");
    truncateSync(from, size * 1024 ** 2);
    await interleaved(
      { rounds: Math.max(3, scale.fileRounds), seconds: scale.seconds, signal },
      async () => {
        const { ms } = await timed(() => server.client.upload(`/v1/sandboxes/${id}/files?path=/workspace/file`, size * 1024 ** 2));
        rates.ours.push(rate(ms));
      },
      async () => {
        const to = `root@127.0.0.1:${join(root, "copied")}`;
        rates.scp.push(rate((await timed(() => run("scp", [...shared, "-q", "-P", String(sshd.port), from, to]))).ms));
      },
    );
    await ours.destroy(id);
    const fresh = figure(samples.fresh);
    const exec = figure(samples.exec);
    return [
      beside({ case: "ssh", what: "exec on a host by SSH", unit: "ms", ours: exec, peer: { name: "ssh, ControlMaster", figure: figure(samples.shared) }, note: "over HTTP with a key, in a sandbox; the peer's command is in none" }, "at_most", 1.5),
      { case: "ssh", what: "exec on a host by SSH, and a fresh ssh", unit: "ms", ours: exec, peer: { name: "ssh", figure: fresh }, target: { value: fresh.median / exec.median, direction: "at_least", bound: 5, of: "x as fast as a fresh ssh" } },
      beside({ case: "ssh", what: `write a file of ${size} MiB by SSH`, unit: "MiB/s", ours: figure(rates.ours), peer: { name: "scp, ControlMaster", figure: figure(rates.scp) } }, "at_least", 0.6),
      { case: "ssh", what: "create on a host by SSH", unit: "ms", ours: figure(samples.create) },
    ]; // prettier-ignore
  } finally {
    await run("ssh", [...shared, "-O", "exit", "root@127.0.0.1"]).catch(() => undefined);
    await server.dispose();
    rmSync(root, { recursive: true, force: true });
  }
}
