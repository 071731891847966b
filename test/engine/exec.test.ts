import { describe, expect, it } from "vitest";
import type { ExecEvent } from "../../src/contract/index.ts";
import { openExecs } from "../../src/ledger/index.ts";
import { ADMIN, openBench, OWNER, run, STRANGER, trail } from "./bench.ts";

const input = (shell: string) => ({ shell, stdin: { kind: "none" as const }, maxOutputBytes: 1 << 20 });

async function collect(events: AsyncIterable<ExecEvent>): Promise<ExecEvent[]> {
  const all: ExecEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe("exec", () => {
  it("gives started, output and the exit code; a non-zero one is a result", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const { execId, events } = await bench.engine.exec(OWNER, sandbox.id, input("echo out; echo err >&2; exit 4"));
    const all = await collect(events);
    expect(all[0]).toEqual({ type: "started" });
    expect(all.at(-1)).toMatchObject({ type: "exited", outcome: "exited", exitCode: 4 });
    const told = (await bench.engine.events.list(OWNER, { sandboxId: sandbox.id, limit: 20 })).data.slice(-2);
    expect(told).toMatchObject([
      { type: "exec.started", data: { exec_id: execId } },
      { type: "exec.finished", data: { exec_id: execId, outcome: "exited", exit_code: 4 } },
    ]);
    expect(await openExecs(bench.ledger.db)).toEqual([]);
  });

  it("says it is not known how the command ended where the stream breaks off, and never exit 0", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    bench.control().addFault({ on: "exec", kind: "cut" });
    const { events } = await bench.engine.exec(OWNER, sandbox.id, input("true"));
    await expect(collect(events)).rejects.toMatchObject({ code: expect.stringMatching(/outcome_unknown|backend_unavailable/) as string });
    expect((await bench.engine.events.list(ADMIN, { sandboxId: sandbox.id, limit: 20 })).data.at(-1)).toMatchObject({
      type: "exec.finished",
      data: { outcome: "unknown", exit_code: null },
    });
  });

  it("closes the row as killed where the caller stops reading or goes away", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    for await (const event of (await bench.engine.exec(OWNER, sandbox.id, input("sleep 60"))).events) if (event.type === "started") break;
    const away = new AbortController();
    const { events } = await bench.engine.exec(OWNER, sandbox.id, input("sleep 60"), away.signal);
    const reading = collect(events);
    away.abort();
    await expect(reading).rejects.toMatchObject({ code: "canceled" });
    const finished = (await bench.engine.events.list(ADMIN, { sandboxId: sandbox.id, limit: 20 })).data.filter(
      ({ type }) => type === "exec.finished",
    );
    expect(finished.map(({ data }) => data["outcome"])).toEqual(["killed", "killed"]);
  });

  it("ends as killed where the sandbox is destroyed under it", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const { events } = await bench.engine.exec(OWNER, sandbox.id, input("sleep 60"));
    const reading = collect(events);
    expect((await bench.engine.destroy(OWNER, sandbox.id)).state).toBe("terminated");
    expect((await reading).at(-1)).toMatchObject({ type: "exited", outcome: "killed", exitCode: null });
    expect((await trail(bench.engine, sandbox.id)).filter((type) => type === "exec.finished").length).toBe(1);
  });

  it("tells why the sandbox has ended where the backend no longer has it", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    bench.control().lose(sandbox.id);
    await expect(run(bench.engine, OWNER, sandbox.id, "true")).rejects.toMatchObject({
      code: "wrong_state",
      message: expect.stringContaining("backend_lost") as string,
    });
    expect(await bench.engine.get(OWNER, sandbox.id)).toMatchObject({ state: "terminated", termination: { reason: "backend_lost" } });
  });

  it("is refused after the end, and for another tenant in the words for what does not exist", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const unknown = "sb0000000000000000000000";
    const theirs = await run(bench.engine, STRANGER, sandbox.id, "true").catch((thrown: unknown) => thrown as Error);
    const nobodys = await run(bench.engine, STRANGER, unknown, "true").catch((thrown: unknown) => thrown as Error);
    expect((theirs as Error).message.replaceAll(sandbox.id, unknown)).toBe((nobodys as Error).message);
    await bench.engine.destroy(OWNER, sandbox.id);
    await expect(run(bench.engine, OWNER, sandbox.id, "true")).rejects.toMatchObject({
      code: "wrong_state",
      message: expect.stringContaining("terminated (user)") as string,
    });
  });

  it("is refused by name where the backend cannot do what is asked", async () => {
    await using bench = await openBench({ fakes: { fake: { without: ["exec.timeout", "exec.user"] } } });
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await expect(bench.engine.exec(OWNER, sandbox.id, { ...input("true"), timeout: 1 })).rejects.toMatchObject({
      code: "capability_unsupported",
      message: expect.stringContaining("exec.timeout") as string,
    });
    await expect(bench.engine.exec(OWNER, sandbox.id, { ...input("true"), user: "root" })).rejects.toMatchObject({
      code: "capability_unsupported",
    });
    expect(await trail(bench.engine, sandbox.id)).not.toContain("exec.started");
  });
});
