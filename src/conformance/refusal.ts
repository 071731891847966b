import { newId } from "../contract/index.ts";
import type { Capability, Ref } from "../contract/index.ts";
import { bytesOf, drain, refuses } from "./stage.ts";
import type { Stage } from "./stage.ts";

type Use = (stage: Stage, ref: Ref) => Promise<unknown>;

const start =
  (pty: boolean): Use =>
  async (stage, ref) =>
    await stage.provider.processes?.start(
      ref,
      { id: newId("process"), run: { shell: "true" } },
      { stdin: "none", maxOutputBytes: 1024, ...(pty ? { pty: { cols: 80, rows: 24 } } : {}) },
      stage.op(),
    );

/** How each capability would be used; those that cannot be used by themselves are not here. */
const USES: Partial<Record<Capability, { group?: "files" | "processes" | "ports" | "pause" | "suspend"; use: Use }>> = {
  "exec.stdin": {
    use: (stage, ref) => drain(stage.exec(ref, { run: { shell: "cat" } }, { stdin: { kind: "bytes", bytes: Uint8Array.of(1) } })),
  },
  "exec.user": { use: (stage, ref) => drain(stage.exec(ref, { run: { shell: "true" }, user: "0" })) },
  "exec.timeout": { use: (stage, ref) => drain(stage.exec(ref, { run: { shell: "true" }, timeoutMs: 5000 })) },
  "exec.cwd_env": { use: (stage, ref) => drain(stage.exec(ref, { run: { shell: "true" }, cwd: "/tmp", env: { A: "1" } })) },
  "exec.background": { group: "processes", use: start(false) },
  "exec.reattach": { group: "processes", use: start(false) },
  "exec.pty": { group: "processes", use: start(true) },
  "ports.http": { group: "ports", use: async (stage, ref) => stage.provider.ports?.connect(ref, 18_080, stage.op()) },
  "pause.memory": { group: "pause", use: async (stage, ref) => stage.provider.pause?.pause(ref, stage.op()) },
  "pause.disk": { group: "suspend", use: async (stage, ref) => stage.provider.suspend?.suspend(ref, stage.op()) },
  "fs.rw": { group: "files", use: (stage, ref) => stage.files.write(ref, "f", bytesOf("x"), {}, stage.op()) },
  "fs.stream": { group: "files", use: (stage, ref) => stage.files.write(ref, "f", bytesOf("x"), {}, stage.op()) },
  "fs.tree": { group: "files", use: (stage, ref) => drain(stage.files.exportTree(ref, ".", stage.op())) },
  "fs.watch": {
    group: "files",
    use: (stage, ref) => drain(stage.files.watch(ref, ".", { recursive: true }, stage.op(AbortSignal.timeout(5000)))),
  },
};

/** Of a capability that is not declared: its group is absent, or its use is refused by name. */
export async function assertRefused(stage: Stage, capability: Capability): Promise<void> {
  const entry = USES[capability];
  if (entry === undefined || (entry.group !== undefined && stage.provider[entry.group] === undefined)) return;
  const ref = await stage.sandbox();
  await refuses(["capability_unsupported"], `using ${capability}, which is not declared`, () => entry.use(stage, ref));
}
