import { afterAll, describe, expect, it } from "vitest";
import { newId, type Provider, type Ref } from "../../../src/contract/index.ts";
import { eventually, sandbox, say } from "./inside.ts";
import { op, Scratch } from "./scratch.ts";
import { containerRuntime } from "../../support/runtimes.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("not tested: pause and suspend, which take control groups and so root");

describe.runIf(root)("a paused sandbox of the local provider", () => {
  const scratch = new Scratch();
  let opened: Promise<Provider> | undefined;
  afterAll(() => scratch.remove());
  const provider = () => (opened ??= containerRuntime().then((runtime) => scratch.open({ runtimes: [runtime] })));
  const stateOf = async (at: Provider, ref: Ref) => {
    const seen = await at.inspect(ref, op());
    return seen === "absent" ? seen : seen.state;
  };
  const rest = (at: Provider) => {
    const { pause, processes } = at;
    if (pause === undefined || processes === undefined) throw new Error("it cannot pause");
    return { ...pause, processes };
  };

  it("stands still on while a command in it passes its timeout, and that is ended when it runs again", async () => {
    const at = await provider();
    const { pause, resume } = rest(at);
    const ref = await sandbox(at);
    const slow = say(at, ref, { run: { shell: "sleep 300" }, timeoutMs: 300 });
    await eventually(async () => (await say(at, ref, "pgrep -c sleep || true")).stdout.trim() !== "0");
    await pause(ref, op());
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await stateOf(at, ref)).toBe("paused");
    await resume(ref, op());
    expect((await slow).end.outcome).toBe("timed_out");
    expect(await stateOf(at, ref)).toBe("running");
    await at.destroy(ref, op());
  });

  it("stands still on while its background process passes its timeout", async () => {
    const at = await provider();
    const { pause, resume, processes } = rest(at);
    const ref = await sandbox(at);
    const id = newId("process");
    await processes.start(ref, { id, run: { shell: "sleep 300" }, timeoutMs: 300 }, { stdin: "none", maxOutputBytes: 1000 }, op());
    await pause(ref, op());
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await stateOf(at, ref)).toBe("paused");
    await resume(ref, op());
    await eventually(async () => {
      const status = await processes.status(ref, id, op());
      return status !== "absent" && status.end?.outcome === "timed_out";
    });
    await at.destroy(ref, op());
  });

  it("stands still on past its max_life with nobody watching, and ends at once when it is let go", async () => {
    const at = await provider();
    const { pause, resume } = rest(at);
    const ref = await sandbox(at, { maxLifeAt: Date.now() + 1500 });
    await pause(ref, op());
    await eventually(() => Date.now() > ref.maxLifeAt + 500);
    expect(await stateOf(at, ref)).toBe("paused");
    await resume(ref, op());
    await eventually(async () => (await stateOf(at, ref)) !== "running");
    expect(await at.inspect(ref, op())).toMatchObject({ state: "stopped", stoppedBecause: "expired" });
    await at.destroy(ref, op());
  });

  it("is not taken for one while the tree of a command is ended", async () => {
    const at = await provider();
    const ref = await sandbox(at);
    const runs = Array.from({ length: 4 }, () => say(at, ref, { run: { shell: "sleep 300" }, timeoutMs: 200 }));
    const states = new Set<string>();
    const over = new AbortController();
    void Promise.all(runs).then(() => over.abort());
    while (!over.signal.aborted) {
      states.add(await stateOf(at, ref));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([...states]).toEqual(["running"]);
    await at.destroy(ref, op());
  });
});
