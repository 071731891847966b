import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { scratch } from "./scratch.ts";

/** A whole run tries what is shipped, which starts in a third of the processor's time; while one works on it, the source as it stands. */
const ENTRY = join(import.meta.dirname, "../..", process.env["CI"] === "true" ? "dist/bundle/index.js" : "src/cli/index.ts");

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real CLI as a child process, over a data directory of the test's own whose backend is the in-memory one. */
export interface Cli {
  readonly data: string;
  /** Runs to the end. `input` goes to its standard input, which is else /dev/null. */
  run(args: string[], options?: { input?: string | Buffer; env?: NodeJS.ProcessEnv; cwd?: string }): Promise<Ran>;
  /** Starts it and leaves it running; `done` resolves with how it ended. */
  start(
    args: string[],
    options?: { env?: NodeJS.ProcessEnv },
  ): { child: ChildProcess; done: Promise<Ran>; seen: (pattern: RegExp) => Promise<RegExpExecArray> };
  /** `sand-boxer serve` on a free port; resolves when it listens. */
  serve(): Promise<{ url: string; stop: (signal?: NodeJS.Signals) => Promise<Ran> }>;
}

export function cli(fake: Record<string, unknown> = {}): Cli {
  const data = scratch();
  writeFileSync(
    join(data, "sand-boxer.yaml"),
    JSON.stringify({ backends: [{ name: "fake", provider: "fake", options: { isolation: "container", ...fake } }] }),
  );
  const { SANDBOXER_URL: _url, SANDBOXER_API_KEY: _key, SANDBOXER_CONFIG: _config, FORCE_COLOR: _color, ...clean } = process.env;
  const environment: NodeJS.ProcessEnv = { ...clean, SANDBOXER_DATA: data, NODE_NO_WARNINGS: "1" };

  function launch(args: string[], stdin: "ignore" | "pipe", env: NodeJS.ProcessEnv = {}, cwd?: string) {
    const child = spawn(process.execPath, [ENTRY, ...args], {
      stdio: [stdin, "pipe", "pipe"],
      env: { ...environment, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    const output = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
    const done = new Promise<Ran>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal, ...output }));
    });
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await done;
    });
    const seen = (pattern: RegExp) =>
      new Promise<RegExpExecArray>((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(output.stdout + output.stderr);
          if (match !== null) resolve(match);
        };
        child.stdout?.on("data", look);
        child.stderr?.on("data", look);
        look();
        void done.then(
          ({ code }) => reject(new Error(`it ended with ${code} before ${pattern} was seen: ${output.stdout}${output.stderr}`)),
          reject,
        );
      });
    return { child, done, seen };
  }

  return {
    data,
    async run(args, { input, env, cwd } = {}) {
      const { child, done } = launch(args, input === undefined ? "ignore" : "pipe", env, cwd);
      // A command that ends without reading its input closes the pipe under us.
      child.stdin?.on("error", () => undefined).end(input);
      return done;
    },
    start: (args, { env } = {}) => launch(args, "pipe", env),
    async serve() {
      const { child, done, seen } = launch(["serve", "--port", "0", "--json"], "ignore");
      const [, url = ""] = await seen(/"url":"([^"]+)"/);
      return {
        url,
        stop(signal = "SIGTERM") {
          child.kill(signal);
          return done;
        },
      };
    },
  };
}

/** The JSON document a command printed. */
export function document({ stdout, stderr }: Ran): unknown {
  if (stdout === "") throw new Error(`nothing on standard output; standard error: ${stderr}`);
  return JSON.parse(stdout) as unknown;
}
