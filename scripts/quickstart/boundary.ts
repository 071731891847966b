/** Tries to reach the network and the host from a sandbox, and the same on the host as a control. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Sandbox } from "../../src/sdk/index.ts";
import { example } from "./inputs.ts";

/** What is tried, and whether the host itself must reach it: a check that fails there too would prove nothing. */
const CHECKS: Readonly<Record<string, { readonly what: string; readonly control: boolean }>> = {
  dns: { what: "DNS: example.com", control: false },
  internet: { what: "TCP: 1.1.1.1 port 443", control: false },
  metadata: { what: "cloud metadata: 169.254.169.254", control: false },
  listener: { what: "a server on the host's loopback", control: true },
  interfaces: { what: "a network interface", control: false },
  shadow: { what: "the host's /etc/shadow", control: true },
  home: { what: "the host's /root", control: false },
  file: { what: "a file in the host's temp directory", control: true },
  process: { what: "a process of the host", control: true },
  environment: { what: "a secret in the host's environment", control: true },
};

export interface Attempt {
  readonly what: string;
  /** What the host saw; undefined where it was not tried there. */
  readonly host: string | undefined;
  readonly hostReached: boolean;
  readonly sandbox: string;
  readonly sandboxReached: boolean;
}

export async function tryToGetOut(sandbox: Sandbox): Promise<Attempt[]> {
  const token = `canary-${randomBytes(12).toString("hex")}`;
  const directory = mkdtempSync(join(tmpdir(), "sand-boxer-canary-"));
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A process of the host that carries the token in its command line and its environment.
  const bystander = promisify(execFile)(process.execPath, ["--eval", "process.stdin.resume()", token], { env: { CANARY: token } });
  try {
    writeFileSync(join(directory, "canary"), token);
    const options = { port: (server.address() as AddressInfo).port, file: join(directory, "canary"), token };
    const all = Object.keys(CHECKS);
    const controls = all.filter((name) => CHECKS[name]?.control);
    const script = readFileSync(example("boundary/look.py"), "utf8");
    // On standard input, since in an argument or the environment the canary would be found in the command itself.
    const input = (checks: string[]) => JSON.stringify({ ...options, checks });
    const control = promisify(execFile)("python3", ["-c", script]);
    control.child.stdin?.end(input(controls));
    const [host, inside] = await Promise.all([control, sandbox.exec(["python3", "-c", script], { stdin: input(all), timeout: 30 })]);
    const [outside, within] = [results(host.stdout), results(inside.stdout)];
    return all.map((name) => {
      const [hostWord = "", hostDetail] = outside.get(name) ?? [];
      const [word = "no answer", detail = ""] = within.get(name) ?? [];
      return {
        what: CHECKS[name]?.what ?? name,
        host: controls.includes(name) ? (hostDetail ?? "no answer") : undefined,
        hostReached: hostWord === "reached",
        sandbox: `${word}${detail === "" ? "" : `: ${detail}`}`,
        sandboxReached: word !== "out of reach",
      };
    });
  } finally {
    bystander.child.kill("SIGKILL");
    await bystander.catch(() => undefined);
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function results(text: string): Map<string, [string, string]> {
  const rows = text.trim().split("\n").map((row) => row.split("\t")); // prettier-ignore
  return new Map(rows.map(([name = "", word = "", detail = ""]) => [name, [word, detail]]));
}
