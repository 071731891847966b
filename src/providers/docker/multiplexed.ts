import { SandboxerError } from "../../contract/index.ts";
import type { AgentEvent } from "../shared/companion/agent.ts";

const HEADER = 8;

/**
 * Standard output and error of one attached connection: each piece has a byte that says which, three zeros, and its length.
 * Format: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
 */
export async function* demultiplexed(stream: AsyncIterable<Uint8Array>): AsyncGenerator<AgentEvent> {
  let held = Buffer.alloc(0);
  /** Of the piece that is being passed on. */
  let left = 0;
  let type: "stdout" | "stderr" = "stdout";
  for await (const chunk of stream) {
    let rest = held.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([held, chunk]);
    for (;;) {
      if (left > 0 && rest.length > 0) {
        const data = rest.subarray(0, left);
        left -= data.length;
        rest = rest.subarray(data.length);
        yield { type, data };
      }
      if (rest.length < HEADER || left > 0) break;
      const kind = rest[0] ?? 0;
      if (kind > 2) throw new SandboxerError("backend_rejected", "the engine sent output that cannot be read");
      type = kind === 2 ? "stderr" : "stdout";
      left = rest.readUInt32BE(4);
      rest = rest.subarray(HEADER);
    }
    held = Buffer.from(rest);
  }
}
