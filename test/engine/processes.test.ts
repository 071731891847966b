import { describe, expect, it, vi } from "vitest";
import type { OutputChunk } from "../../src/contract/index.ts";
import { insertProcess } from "../../src/ledger/index.ts";
import { openBench, OWNER, STRANGER, trail } from "./bench.ts";

async function text(chunks: AsyncIterable<OutputChunk>): Promise<string> {
  let all = "";
  for await (const chunk of chunks) if (chunk.type !== "ended") all += new TextDecoder().decode(chunk.data);
  return all;
}

describe("background processes", () => {
  it("are listed, waited for, read from an offset, and outlive the engine that started them", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const started = await bench.engine.processes.start(OWNER, sandbox.id, { shell: "read line; echo got $line", stdin: "pipe" });
    expect(started).toMatchObject({ state: "running", command: { shell: "read line; echo got $line" }, pty: false, end: null });
    const second = await bench.second();
    expect((await second.processes.wait(OWNER, sandbox.id, started.id, 0.05)).state).toBe("running");
    await second.processes.write(OWNER, sandbox.id, started.id, new TextEncoder().encode("it\n"));
    expect(await second.processes.wait(OWNER, sandbox.id, started.id, 30)).toMatchObject({
      state: "ended",
      end: { outcome: "exited", exit_code: 0 },
    });
    expect(await text(await second.processes.output(OWNER, sandbox.id, started.id, { offset: 4, follow: false }))).toBe("it\n");
    expect((await bench.engine.processes.list(OWNER, sandbox.id)).map(({ id, state }) => [id, state])).toEqual([[started.id, "ended"]]);
    expect((await trail(bench.engine, sandbox.id)).slice(-2)).toEqual(["process.started", "process.ended"]);
  });

  it("end by a signal, and are told from the ledger once the sandbox has ended", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const { id } = await bench.engine.processes.start(OWNER, sandbox.id, { argv: ["sleep", "600"] });
    const other = await bench.engine.processes.start(OWNER, sandbox.id, { argv: ["sleep", "600"] });
    await bench.engine.processes.signal(OWNER, sandbox.id, id, "SIGTERM");
    expect((await bench.engine.processes.wait(OWNER, sandbox.id, id, 30)).end).not.toBeNull();
    await bench.engine.destroy(OWNER, sandbox.id);
    expect(await bench.engine.processes.get(OWNER, sandbox.id, other.id)).toMatchObject({ state: "ended", end: null });
  });

  it("whose end passed a reader by are ended in the ledger, and no backend is asked for it again", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const { id } = await bench.engine.processes.start(OWNER, sandbox.id, { shell: "echo out; exit 3" });
    expect(await text(await bench.engine.processes.output(OWNER, sandbox.id, id, { offset: 0, follow: true }))).toBe("out\n");
    const ended = (): Promise<string[]> => trail(bench.engine, sandbox.id);
    await vi.waitFor(async () => expect((await ended()).at(-1)).toBe("process.ended"));
    bench.control().addFault({ on: "processes", kind: "fail" });
    const [listed] = await bench.engine.processes.list(OWNER, sandbox.id);
    expect(listed).toMatchObject({ id, state: "ended", end: { outcome: "exited", exit_code: 3 }, output_bytes: 4 });
  });

  it("leave no row where they could not be started", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    bench.control().addFault({ on: "processes", kind: "fail" });
    await expect(bench.engine.processes.start(OWNER, sandbox.id, { argv: ["sleep", "1"] })).rejects.toMatchObject({
      code: "backend_unavailable",
    });
    bench.control().clearFaults();
    expect(await bench.engine.processes.list(OWNER, sandbox.id)).toEqual([]);
    expect((await trail(bench.engine, sandbox.id)).at(-1)).toBe("process.failed");
  });

  it("that died with their starter before they ran are ended with an unknown outcome, once nobody can be starting them", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const row = {
      id: "pr-lost",
      sandbox_id: sandbox.id,
      tenant: "acme",
      command: "{}",
      pty: 0,
      started_at: bench.clock.now(),
      ended_at: null,
      end: null,
      output_bytes: 0,
    };
    await insertProcess(bench.ledger.db, row);
    expect((await bench.engine.processes.get(OWNER, sandbox.id, "pr-lost")).state).toBe("running");
    bench.clock.pass(61_000);
    expect(await bench.engine.processes.list(OWNER, sandbox.id)).toMatchObject([
      { state: "ended", end: { outcome: "unknown", exit_code: null } },
    ]);
  });

  it("are not found under a wrong id, nor by another tenant", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const { id } = await bench.engine.processes.start(OWNER, sandbox.id, { argv: ["sleep", "600"] });
    await expect(bench.engine.processes.get(OWNER, sandbox.id, "pr0")).rejects.toMatchObject({ code: "process_not_found" });
    await expect(bench.engine.processes.get(STRANGER, sandbox.id, id)).rejects.toMatchObject({ code: "sandbox_not_found" });
    await expect(bench.engine.processes.start(OWNER, sandbox.id, { argv: ["a"], shell: "b" })).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});
