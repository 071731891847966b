import { newId, type Ref, SandboxerError } from "../contract/index.ts";
import { appendEvent, type SandboxRow } from "../ledger/index.ts";
import { type Context, op, providerOf } from "./context.ts";

/** Of a setup command's output, what an error shows: its end. */
const TAIL_BYTES = 4096;
const MAX_OUTPUT_BYTES = 16 * 1024 ** 2;

/**
 * Runs a profile's setup commands one after another, before the sandbox is ready.
 *
 * @throws SandboxerError `setup_failed` with the command's number, how it ended, and the end of its output.
 */
export async function runSetup(ctx: Context, row: SandboxRow, ref: Ref, commands: readonly string[], signal: AbortSignal): Promise<void> {
  const provider = providerOf(ctx, row.backend);
  for (const [index, shell] of commands.entries()) {
    let tail = Buffer.alloc(0);
    let how = "its end was not seen";
    let done = false;
    const events = provider.exec(
      ref,
      { id: newId("exec"), run: { shell } },
      { stdin: { kind: "none" }, maxOutputBytes: MAX_OUTPUT_BYTES },
      op(ctx, signal),
    );
    for await (const event of events) {
      if (event.type === "stdout" || event.type === "stderr") tail = Buffer.concat([tail, event.data]).subarray(-TAIL_BYTES);
      if (event.type !== "exited") continue;
      done = event.outcome === "exited" && event.exitCode === 0;
      how =
        event.outcome === "exited"
          ? `it exited with ${event.exitCode}`
          : `${event.outcome}${event.signal === null ? "" : ` by ${event.signal}`}${event.oomKilled ? ", out of memory" : ""}`;
    }
    await ctx.ledger.transaction((tx) =>
      appendEvent(tx, {
        type: "sandbox.setup",
        at: ctx.clock.now(),
        tenant: row.tenant,
        sandboxId: row.id,
        data: { command: index + 1, of: commands.length, ok: done },
      }),
    );
    if (!done) {
      const output = new TextDecoder().decode(tail).trimEnd();
      throw new SandboxerError(
        "setup_failed",
        `setup[${index}] failed: ${how}${output === "" ? " without output" : `; the end of its output:\n${output}`}`,
        { phase: "setup", issues: [{ path: `setup[${index}]`, message: how }] },
      );
    }
  }
}
