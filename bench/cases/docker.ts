import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { figure, interleaved, timed } from "../figures.ts";
import { succeed } from "../raw.ts";
import type { Row } from "../row.ts";
import { type Stage, withBoth } from "../stage.ts";

const ENGINE = "/usr/sbin/dockerd";
const IMAGE = "sand-boxer-bench:latest";
const BUSYBOX = "/bin/busybox";
const START_MS = 20_000;

/** The same job with Docker, where an engine is there: `run -d` and `exec`. Installs nothing. */
export async function docker({ scale, signal, say }: Stage): Promise<Row[]> {
  const started = await engine();
  if (started === "none") {
    say("docker: no engine here");
    return [];
  }
  try {
    execFileSync("sh", ["-c", `tar -c -C / bin/busybox 2>/dev/null | docker import - ${IMAGE}`], { stdio: "ignore" });
    return await withBoth({ pool: 32, disks: 32 }, async (ours) => {
      const samples = { ours: [] as number[], docker: [] as number[] };
      let number = 0;
      const oursOnce = async (): Promise<void> => {
        const { ms, value } = await timed(async () => {
          const id = await ours.create();
          await ours.exec(id);
          return id;
        });
        samples.ours.push(ms);
        await ours.destroy(value);
      };
      const dockerOnce = async (): Promise<void> => {
        const name = `sand-boxer-bench-${process.pid}-${number++}`;
        try {
          const { ms } = await timed(async () => {
            await call("run", "-d", "--network", "none", "--name", name, IMAGE, BUSYBOX, "sleep", "600");
            await call("exec", name, BUSYBOX, "true");
          });
          samples.docker.push(ms);
        } finally {
          await call("rm", "-f", name);
        }
      };
      await interleaved({ rounds: Math.min(20, scale.creates), seconds: scale.seconds, signal }, oursOnce, dockerOnce);
      const peer = { name: "docker", figure: figure(samples.docker) };
      return [
        {
          case: "docker",
          what: "create + first exec beside docker run + exec",
          unit: "ms",
          ours: figure(samples.ours),
          peer,
          note: "docker with --network none and no more hardening than its own",
        },
      ];
    });
  } finally {
    spawn("docker", ["rmi", "-f", IMAGE], { stdio: "ignore" }).unref();
    if (started !== "running") started.kill("SIGTERM");
  }
}

function call(...args: string[]): Promise<void> {
  return succeed(spawn("docker", args, { stdio: "ignore" }), `docker ${args[0] ?? ""}`);
}

/** Whether an engine answers; one that is installed but does not run is started, and is the caller's to end. */
async function engine(): Promise<"running" | "none" | ChildProcess> {
  if (answers()) return "running";
  if (!existsSync(ENGINE)) return "none";
  const child = spawn(ENGINE, [], { stdio: "ignore" });
  for (const until = performance.now() + START_MS; performance.now() < until && child.exitCode === null; await pause(200)) {
    if (answers()) return child;
  }
  child.kill("SIGTERM");
  return "none";
}

function answers(): boolean {
  try {
    execFileSync("docker", ["version", "--format", "{{.Server.Version}}"], { stdio: "ignore", timeout: 5000 });
    return true;
  } catch (error) {
    // Not installed, no engine behind it, or one that hangs: no engine for us. Anything else is no answer of docker's.
    if (error instanceof Error && ("status" in error || "code" in error)) return false;
    throw error;
  }
}
