import { Agent, type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import { json } from "node:stream/consumers";
import {
  type Capability, type Created, type ExecOptions, type OpenContext, type Op, type Provider, type Ref, SandboxerError, type Traits, type WireError,
} from "../../../contract/index.ts"; // prettier-ignore
import { throwIfAborted } from "../../shared/abort.ts";
import { failure } from "../failure.ts";
import { fromWire, type Question, type WireEvent } from "./wire.ts";

/** What goes over this wire; a client that dies leaves a create of which it knows nothing. */
const CARRIED: ReadonlySet<Capability> = new Set<Capability>([
  "image.host", "resources.cpu_mem", "resources.disk", "resources.pids", "create.idempotent", "create.labels", "ttl.max", "net.block_all",
  "exec.stream", "exec.split_stderr", "exec.user", "exec.timeout", "exec.cwd_env", "metrics",
]); // prettier-ignore

/** A fake backend that another process serves. Its sandboxes live there. */
export async function openRemoteFake(url: string, { backend }: Pick<OpenContext, "backend">): Promise<Provider> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });

  const send = (question: Question, { signal }: Pick<Op, "signal">): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const where = { phase: question.verb, backend };
      const lost = (cause: unknown) => {
        if (signal.aborted) return reject(failure(cause, signal, where));
        // It may have been made before the answer was lost.
        const code = question.verb === "create" && sent ? "ambiguous_create" : "backend_unavailable";
        reject(
          new SandboxerError(code, `${url} did not answer: ${cause instanceof Error ? cause.message : String(cause)}`, { ...where, cause }),
        );
      };
      let sent = false;
      const sink = request(
        `${url}/${question.verb}`,
        { agent, method: "POST", signal, headers: { "content-type": "application/json" } },
        resolve,
      );
      sink.once("error", lost);
      sink.once("finish", () => (sent = true));
      sink.end(JSON.stringify(question));
    });

  const ask = async <T>(question: Question, op: Pick<Op, "signal">): Promise<T> => {
    const answer = (await json(await send(question, op))) as { found: T } | { error: WireError };
    if ("error" in answer) throw SandboxerError.fromWire(answer.error).with({ backend });
    return answer.found;
  };

  const traits = carried(await ask<Traits>({ verb: "traits" }, { signal: AbortSignal.timeout(10_000) }));
  return {
    traits,
    async create(spec, op) {
      throwIfAborted(op.signal);
      try {
        return await ask<Created>({ verb: "create", spec }, op);
      } catch (thrown) {
        if (!op.signal.aborted) throw thrown;
        const message = "the create was aborted before its answer came, and may have been done";
        throw new SandboxerError("ambiguous_create", message, { phase: "create", backend, cause: thrown });
      }
    },
    destroy: (ref, op) => ask<"destroyed" | "absent">({ verb: "destroy", ref }, op),
    inspect: (ref, op) => ask({ verb: "inspect", ref }, op),
    async *list(op) {
      yield* await ask<Ref[]>({ verb: "list" }, op);
    },
    async *exec(ref, command, { stdin, maxOutputBytes }: ExecOptions, op) {
      if (stdin.kind !== "none")
        throw new SandboxerError("capability_unsupported", "this backend has no exec.stdin", { phase: "exec", backend });
      const answer = await send({ verb: "exec", ref, command, maxOutputBytes }, op);
      try {
        for await (const line of createInterface({ input: answer })) {
          const event = JSON.parse(line) as WireEvent;
          if (event.type === "failed") throw SandboxerError.fromWire(event.error).with({ backend });
          yield fromWire(event);
        }
      } catch (thrown) {
        throw failure(thrown, op.signal, { phase: "exec", backend });
      } finally {
        answer.destroy();
      }
    },
    abandonExec: () => Promise.resolve(),
    dispose: () => Promise.resolve(agent.destroy()),
  };
}

function carried(traits: Traits): Traits {
  const capabilities = Object.fromEntries(Object.entries(traits.capabilities).filter(([name]) => CARRIED.has(name as Capability)));
  return { ...traits, capabilities };
}
