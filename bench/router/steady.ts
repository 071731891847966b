import { setTimeout as pause } from "node:timers/promises";
import type { HttpClient } from "../http.ts";

/**
 * Creates at a steady rate, whatever the server does: milliseconds from when each was due, so that one that is kept waiting by those
 * before it counts its wait. What was made is ended as it comes.
 */
export async function steadily(
  client: HttpClient,
  body: object,
  { perSecond, seconds, signal }: { perSecond: number; seconds: number; signal: AbortSignal },
): Promise<number[]> {
  const samples: number[] = [];
  const under: Promise<void>[] = [];
  const began = performance.now();
  for (let index = 0; index < perSecond * seconds; index++) {
    const due = began + (index * 1000) / perSecond;
    const early = due - performance.now();
    if (early > 0) await pause(early, undefined, { signal });
    signal.throwIfAborted();
    under.push(one(client, body, due, samples));
  }
  await Promise.all(under);
  return samples;
}

async function one(client: HttpClient, body: object, due: number, samples: number[]): Promise<void> {
  const { id } = await client.json<{ id: string }>("POST", "/v1/sandboxes", body);
  samples.push(performance.now() - Math.max(due, 0));
  await client.json("DELETE", `/v1/sandboxes/${id}`);
}

/** The share that took longer than all but it. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
