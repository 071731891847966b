import type { Processes, Ref } from "../contract/index.ts";
import { type Context, op } from "./context.ts";

/** Resolves when the process has ended or the limit has passed: follows its output from where it stands, without polling. */
export async function waitForProcess(
  ctx: Context,
  at: { processes: Processes; ref: Ref },
  processId: string,
  offset: number,
  limit: AbortSignal,
): Promise<void> {
  const stream = at.processes.output(at.ref, processId, { offset, follow: true }, op(ctx, limit))[Symbol.asyncIterator]();
  const { promise: over, resolve } = Promise.withResolvers<"over">();
  const passed = () => resolve("over");
  limit.addEventListener("abort", passed, { once: true });
  if (limit.aborted) passed();
  try {
    for (;;) {
      const next = stream.next();
      // Raced: the limit holds also where a backend is slow to notice the abort; its late answer is of no interest.
      next.catch((thrown: unknown) => ctx.log.debug({ process: processId, error: String(thrown) }, "a wait ended"));
      const item = await Promise.race([next, over]);
      if (item === "over" || item.done === true || item.value.type === "ended") return;
    }
  } catch (thrown) {
    if (!limit.aborted) throw thrown;
  } finally {
    limit.removeEventListener("abort", passed);
    if (!limit.aborted) await stream.return?.();
  }
}
