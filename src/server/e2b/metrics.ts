import type { Sandbox, Usage } from "../../contract/index.ts";
import type { Answer, ControlCall } from "./call.ts";
import { liveSandbox, orNotFound } from "./live.ts";

interface Reading {
  readonly at: number;
  readonly cpuSeconds: number;
}

/** CPU time at the last look, by sandbox: a share needs two looks. The first is from the sandbox's start. */
const MAX_READINGS = 2000;

/** GET /sandboxes/{id}/metrics: one point, of now. Without one where the backend does not say. */
export class Metrics {
  readonly #last = new Map<string, Reading>();

  async answer(call: ControlCall): Promise<Answer> {
    const sandbox = await liveSandbox(call);
    const max = Number.MAX_SAFE_INTEGER;
    const start = call.query.integer("start", { min: 0, max }) ?? 0;
    const end = call.query.integer("end", { min: 0, max }) ?? Infinity;
    const now = Date.now();
    // No history is kept: a time that does not reach to now has no points.
    if (now / 1000 < start || Math.floor(now / 1000) > end) return { status: 200, body: [] };
    const usage = await call.ctx.engine.usage(call.who, sandbox.id).catch(orNotFound(sandbox.id));
    const point = this.#point(sandbox, usage, now);
    return { status: 200, body: point === undefined ? [] : [point] };
  }

  #point(sandbox: Sandbox, usage: Usage, now: number): Record<string, unknown> | undefined {
    const { cpu_seconds: cpu, memory_bytes: memory, disk_bytes: disk } = usage;
    if (cpu === null || memory === null || disk === null) return undefined;
    const { resources } = sandbox;
    return {
      timestamp: new Date(now).toISOString(),
      timestampUnix: Math.floor(now / 1000),
      cpuCount: Math.max(1, Math.ceil(resources.cpu)),
      cpuUsedPct: this.#share(sandbox, cpu, now),
      memUsed: Math.round(memory),
      memTotal: resources.memory_bytes,
      // Not told apart: it is part of memUsed.
      memCache: 0,
      diskUsed: Math.round(disk),
      diskTotal: resources.disk_bytes,
    };
  }

  /** Percent of all its CPUs since the last look. */
  #share(sandbox: Sandbox, cpuSeconds: number, now: number): number {
    const since = this.#last.get(sandbox.id) ?? { at: Date.parse(sandbox.ready_at ?? sandbox.created_at), cpuSeconds: 0 };
    this.#last.delete(sandbox.id);
    this.#last.set(sandbox.id, { at: now, cpuSeconds });
    const oldest = this.#last.keys().next();
    if (this.#last.size > MAX_READINGS && oldest.done === false) this.#last.delete(oldest.value);
    const seconds = Math.max(0.001, (now - since.at) / 1000);
    const percent = ((cpuSeconds - since.cpuSeconds) / seconds / sandbox.resources.cpu) * 100;
    return Math.round(Math.min(100, Math.max(0, percent)) * 100) / 100;
  }
}
