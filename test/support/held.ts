import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Engine } from "../../src/engine/engine.ts";
import { read } from "./host-objects.ts";
import { OWNER } from "./local-engine.ts";

/** What a process has, as this host's /proc shows it. */
export interface Holdings {
  /** Targets of its descriptors by number. */
  readonly descriptors: Readonly<Record<string, string>>;
  readonly namespaces: Readonly<Record<string, string>>;
  readonly mounts: string;
  readonly status: ReadonlyMap<string, string>;
}

const NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/** Where a link leads; empty where it was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

export function holdings(pid: number): Holdings {
  const numbers = readdirSync(`/proc/${pid}/fd`);
  const status = readFileSync(`/proc/${pid}/status`, "utf8").trim().split("\n").map((line) => line.split(/:\s*/, 2) as [string, string]); // prettier-ignore
  return {
    descriptors: Object.fromEntries(numbers.map((number) => [number, linkOf(`/proc/${pid}/fd/${number}`)])),
    namespaces: Object.fromEntries(NAMESPACES.map((name) => [name, readlinkSync(`/proc/${pid}/ns/${name}`)])),
    mounts: readFileSync(`/proc/${pid}/mountinfo`, "utf8"),
    status: new Map(status),
  };
}

/** A process and all that come from it. */
export function treeOf(root: number): number[] {
  const children = readdirSync(`/proc/${root}/task`).flatMap((task) => read(`/proc/${root}/task/${task}/children`).trim().split(" "));
  return [root, ...children.filter((pid) => pid !== "").flatMap((pid) => treeOf(Number(pid)))];
}

/** A program that has said one line and waits for the end of its input. */
export interface Waiting {
  readonly said: string;
  /** Lets it end. */
  finish(): Promise<void>;
}

async function firstLine(chunks: AsyncIterator<string>): Promise<string> {
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await chunks.next();
    if (done === true) throw new Error(`it ended before it had said a line: ${text}`);
    text += value;
  }
  return text.slice(0, text.indexOf("\n"));
}

export async function holdInside(engine: Engine, id: string, argv: string[], user?: string): Promise<Waiting> {
  const gate = Promise.withResolvers<void>();
  async function* silence(): AsyncGenerator<Uint8Array> {
    await gate.promise;
    yield new Uint8Array();
  }
  const stdin = { kind: "pipe", stream: silence() } as const;
  const { events } = await engine.exec(OWNER, id, {
    argv,
    stdin,
    maxOutputBytes: 1 << 20,
    timeout: 120,
    ...(user === undefined ? {} : { user }),
  });
  async function* text(): AsyncGenerator<string, void, void> {
    for await (const event of events) if (event.type === "stdout" || event.type === "stderr") yield Buffer.from(event.data).toString();
  }
  const chunks = text();
  const said = await firstLine(chunks);
  return {
    said,
    async finish() {
      gate.resolve();
      while ((await chunks.next()).done !== true);
    },
  };
}

export async function holdOutside(argv: readonly string[]): Promise<Waiting & { pid: number }> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const said = await firstLine(child.stdout.setEncoding("utf8")[Symbol.asyncIterator]() as AsyncIterator<string>);
  return {
    said,
    pid: child.pid ?? 0,
    async finish() {
      child.stdin.end();
      await ended;
    },
  };
}
