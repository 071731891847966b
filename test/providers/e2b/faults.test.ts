import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, SandboxerError, type ErrorCode, type Op, type Provider, type Ref, type SandboxSpec } from "../../../src/contract/index.ts";
import { FaultProxy, type Fault } from "../../support/fault-proxy.ts";
import { eventually } from "../../support/killed.ts";
import { openOwnDoor, openProvider, type OwnDoor } from "./door.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("not tested: faults of E2B, in front of our own door, which needs root for disks of its own");

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const op = (signal: AbortSignal = new AbortController().signal): Op => ({ signal, log: silent });
const CREATE = /^\/v2\/sandboxes$/;
const LIST = /^\/v2\/sandboxes\?/;
const START = /^\/process\.Process\/Start$/;

function spec(): SandboxSpec {
  const resources = { cpu: 1, memoryBytes: 2 ** 29, diskBytes: 2 ** 30, inodes: 50_000, pids: 256 };
  const base = { tenant: "acme", generation: 1, image: "host", hostname: "faults", env: {}, resources, isolationMin: "container" } as const;
  return { ...base, id: newId("sandbox"), allowPtrace: false, maxLifeAt: Date.now() + 600_000, metadata: {} };
}

describe.skipIf(!isRoot)("faults between us and E2B", () => {
  let door: OwnDoor;
  let proxy: FaultProxy;
  let provider: Provider;
  /** Past the proxy: what is really there. */
  let truth: Provider;
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    door = await openOwnDoor();
    proxy = await FaultProxy.open(door.url);
    for (const [url, set] of [[proxy.url, (one: Provider) => (provider = one)], [door.url, (one: Provider) => (truth = one)]] as const) {
      const opened = await openProvider({ url, key: door.key }, { request_timeout_seconds: 2 }, { instance: "faults" });
      set(opened.provider);
      closers.push(opened.dispose);
    } // prettier-ignore
  });
  afterAll(async () => {
    for (const close of closers) await close();
    await proxy[Symbol.asyncDispose]();
    await door[Symbol.asyncDispose]();
  });

  async function codeOf(act: () => Promise<unknown>): Promise<SandboxerError> {
    const [outcome] = await Promise.allSettled([act()]);
    if (outcome.status === "fulfilled") throw new Error("it succeeded");
    expect(outcome.reason).toBeInstanceOf(SandboxerError);
    return outcome.reason as SandboxerError;
  }
  async function listed(): Promise<string[]> {
    const ids: string[] = [];
    for await (const { id } of truth.list(op())) ids.push(id);
    return ids;
  }
  async function drain(items: AsyncIterable<unknown>): Promise<void> {
    for await (const item of items) void item;
  }
  const exec = (ref: Ref, shell: string, timeoutMs?: number) =>
    provider.exec(ref, { id: newId("exec"), run: { shell }, ...(timeoutMs === undefined ? {} : { timeoutMs }) }, { stdin: { kind: "none" }, maxOutputBytes: 1e6 }, op()); // prettier-ignore
  async function withSandbox(use: (ref: Ref) => Promise<void>): Promise<void> {
    const { ref } = await provider.create(spec(), op());
    try {
      await use(ref);
    } finally {
      proxy.heal();
      await truth.destroy(ref, op());
    }
  }

  const ANSWERS: [name: string, fault: Fault, code: ErrorCode, after: number | undefined][] = [
    ["401", { do: "answer", status: 401 }, "backend_auth", undefined],
    ["403", { do: "answer", status: 403 }, "backend_auth", undefined],
    ["429 with Retry-After", { do: "answer", status: 429, headers: { "retry-after": "17" } }, "backend_rate_limited", 17],
    ["500", { do: "answer", status: 500 }, "backend_unavailable", undefined],
    ["503 with Retry-After", { do: "answer", status: 503, headers: { "retry-after": "4" } }, "backend_unavailable", 4],
    ["a gateway's own 404", { do: "answer", status: 404, body: "<h1>Not Found</h1>" }, "backend_rejected", undefined],
    ["a reset connection", { do: "reset" }, "backend_unavailable", undefined],
    ["no answer at all", { do: "stall" }, "backend_unavailable", undefined],
  ];

  test.each(ANSWERS)("%s to the control plane is told by its code, and never looks empty or gone", async (_name, fault, code, after) => {
    await withSandbox(async (ref) => {
      proxy.strike("*", /sandboxes/, fault);
      for (const act of [
        () => drain(provider.list(op())),
        () => provider.inspect(ref, op()),
        () => provider.destroy(ref, op()),
        () => provider.create(spec(), op()),
      ]) {
        const error = await codeOf(act);
        expect([error.code, error.details.retry_after]).toEqual([code, after]);
      }
      proxy.heal();
      expect(await listed()).toEqual([ref.id]);
    });
  });

  test.each(ANSWERS.filter(([name]) => !name.startsWith("a reset") && !name.startsWith("no answer")))(
    "%s to a create leaves nothing, and is sent once",
    async (_name, fault, code) => {
      proxy.strike("POST", CREATE, fault);
      const from = proxy.seen.length;
      const error = await codeOf(() => provider.create(spec(), op()));
      proxy.heal();
      expect([error.code, await listed()]).toEqual([code, []]);
      expect(proxy.seen.slice(from).filter((line) => line === "POST /v2/sandboxes")).toHaveLength(1);
    },
  );

  test("a 404 to a create is the template's, and not that of a sandbox", async () => {
    proxy.strike("POST", CREATE, { do: "answer", status: 404 });
    expect((await codeOf(() => provider.create(spec(), op()))).code).toBe("backend_rejected");
    proxy.heal();
  });

  test.each<[string, Fault]>([
    ["lost with the connection", { do: "lose" }],
    ["replaced by a 500", { do: "replace", status: 500 }],
    ["replaced by something else than JSON", { do: "replace", status: 201, body: "<h1>created</h1>" }],
    ["replaced by what names no sandbox", { do: "replace", status: 201, body: {} }],
    ["cut off in the middle", { do: "cut", after: 20 }],
  ])("a create whose answer is %s is found by its label, and is one sandbox that works", async (_name, fault) => {
    proxy.strike("POST", CREATE, fault);
    const wanted = spec();
    const { ref } = await provider.create(wanted, op());
    proxy.heal();
    expect(await listed()).toEqual([wanted.id]);
    await drain(exec(ref, "true"));
    expect(await provider.destroy(ref, op())).toBe("destroyed");
  });

  test.each<[string, Fault]>([
    ["is reset", { do: "reset" }],
    ["gets no answer", { do: "stall" }],
  ])("a create that %s and left no trace is ambiguous, since it may still be at work there", async (_name, fault) => {
    proxy.strike("POST", CREATE, fault);
    const error = await codeOf(() => provider.create(spec(), op()));
    proxy.heal();
    expect([error.code, await listed()]).toEqual(["ambiguous_create", []]);
  });

  test("a create whose answer is lost, and that cannot be looked up, is ambiguous, and destroyed by its label afterwards", async () => {
    proxy.strike("POST", CREATE, { do: "lose" });
    proxy.strike("GET", LIST, { do: "answer", status: 200, body: [] }, 1);
    proxy.strike("GET", LIST, { do: "reset" });
    const wanted = spec();
    const error = await codeOf(() => provider.create(wanted, op()));
    proxy.heal();
    expect([error.code, await listed()]).toEqual(["ambiguous_create", [wanted.id]]);
    const { id, tenant, generation, maxLifeAt } = wanted;
    const unknown = { id, tenant, generation, native: "", maxLifeAt };
    expect([await provider.destroy(unknown, op()), await provider.destroy(unknown, op()), await listed()]).toEqual([
      "destroyed",
      "absent",
      [],
    ]);
  });

  test("an address where nobody listens is told as such, and nothing is ambiguous", async () => {
    const nowhere = await openProvider({ url: "http://127.0.0.1:1", key: "e2b_00" });
    const error = await codeOf(() => nowhere.provider.create(spec(), op()));
    expect(error.code).toBe("backend_unavailable");
    await nowhere.dispose();
  });

  test.each<[string, Fault, ErrorCode]>([
    ["401", { do: "answer", status: 401 }, "backend_auth"],
    ["403", { do: "answer", status: 403 }, "backend_auth"],
    ["429", { do: "answer", status: 429 }, "backend_unavailable"],
    ["500", { do: "answer", status: 500 }, "backend_unavailable"],
    ["502 while the sandbox is there", { do: "answer", status: 502 }, "backend_unavailable"],
    ["a reset connection", { do: "reset" }, "backend_unavailable"],
  ])("%s to a command is told by its code, and has no exit code", async (_name, fault, code) => {
    await withSandbox(async (ref) => {
      proxy.strike("POST", START, fault);
      const seen: string[] = [];
      const error = await codeOf(async () => {
        for await (const { type } of exec(ref, "true")) seen.push(type);
      });
      expect([error.code, seen]).toEqual([code, []]);
    });
  });

  test("a command whose stream breaks has no exit code, and its tree is ended", async () => {
    await withSandbox(async (ref) => {
      proxy.strike("POST", START, { do: "cut", after: 2000 });
      const seen: string[] = [];
      const shell = "( while sleep 0.2; do date >> /tmp/alive; done ) & yes | head -c 100000; wait";
      const error = await codeOf(async () => {
        for await (const { type } of exec(ref, shell)) seen.push(type);
      });
      expect([error.code, seen.includes("exited")]).toEqual(["backend_unavailable", false]);
      proxy.heal();
      const size = async (): Promise<string> => {
        let text = "";
        for await (const event of exec(ref, "wc -c /tmp/alive 2>&1; pgrep -c sleep")) if (event.type === "stdout") text += Buffer.from(event.data).toString(); // prettier-ignore
        return text;
      };
      await eventually(async () => (await size()).endsWith("\n0\n"));
    });
  });

  /** Processes of that name inside. */
  async function running(ref: Ref, name: string): Promise<string> {
    let text = "";
    const command = { id: newId("exec"), run: { shell: `pgrep -c -x ${name}` } };
    for await (const event of truth.exec(ref, command, { stdin: { kind: "none" }, maxOutputBytes: 1e6 }, op()))
      if (event.type === "stdout") text += Buffer.from(event.data).toString();
    return text.trim();
  }

  test("exec_timeout ends the whole tree inside, also where we can reach E2B no more", async () => {
    await withSandbox(async (ref) => {
      const error = await codeOf(async () => {
        for await (const { type } of exec(ref, "echo begun; ( setsid sleep 300 & ); sleep 300 | sleep 300", 2000)) {
          if (type !== "stdout") continue;
          await eventually(async () => (await running(ref, "sleep")) === "3");
          proxy.strike("*", /./, { do: "reset" });
          proxy.cut();
        }
      });
      expect(error.code).toBe("backend_unavailable");
      await eventually(async () => (await running(ref, "sleep")) === "0");
    });
  });

  test("a command that a dead control plane left is ended by its id, and doing so again is no error", async () => {
    await withSandbox(async (ref) => {
      const command = { id: newId("exec"), run: { shell: "echo begun; ( setsid sleep 300 & ); sleep 300" } };
      const left = codeOf(async () => {
        for await (const { type } of provider.exec(ref, command, { stdin: { kind: "none" }, maxOutputBytes: 1e6 }, op()))
          if (type === "stdout") await truth.abandonExec?.(ref, command.id, op());
      });
      expect((await left).code).toBe("backend_unavailable");
      expect(await running(ref, "sleep")).toBe("0");
      await truth.abandonExec?.(ref, command.id, op());
    });
  });

  test("a sandbox that ends while it is used is not found, and a wrong key does not make it so", async () => {
    await withSandbox(async (ref) => {
      await drain(exec(ref, "true"));
      await truth.destroy(ref, op());
      expect((await codeOf(() => drain(exec(ref, "true")))).code).toBe("sandbox_not_found");
      expect(await provider.destroy(ref, op())).toBe("absent");
    });
  });

  test("the key stands in no error, even where the other side sends it back", async () => {
    proxy.strike("GET", LIST, { do: "answer", status: 400, body: { code: 400, message: `bad header x-api-key: ${door.key}` } });
    const error = await codeOf(() => drain(provider.list(op())));
    proxy.heal();
    expect([error.code, JSON.stringify([error.message, error.details, error.stack])]).toEqual([
      "backend_rejected",
      expect.not.stringContaining(door.key),
    ]);
  });
});
