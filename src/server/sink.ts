import type { ServerResponse } from "node:http";
import { plainResponse } from "../contract/plain-web.ts";
import type { Call } from "./call.ts";
import { alreadySent, baseHeaders, type HeaderRecord } from "./reply.ts";

/** Where a streamed answer is written to, at the pace of its reader. */
export interface Sink {
  /** What the route returns. */
  readonly response: Response;
  /** Resolves when more may be written. False: the reader has gone, and nothing more need be made. */
  write(chunk: Uint8Array | string): boolean | Promise<boolean>;
  /** Writes only if the reader keeps up: for signs of life, which must not pile up. */
  nudge(chunk: string): void;
  end(): void;
  /** Breaks the answer off, so that the reader does not take it for complete. */
  fail(error: Error): void;
}

/** What of a request a sink needs. */
export type Answered = Pick<Call, "requestId" | "outgoing" | "streaming" | "abandon" | "release">;

/**
 * Sends the headers and opens the answer's body.
 *
 * @param held Whether the headers go with the first piece, for who has that at hand: one packet, and one wake of the client, less.
 */
export function openSink(call: Answered, status: number, headers: HeaderRecord, { held = false } = {}): Sink {
  call.streaming = true;
  const all = { ...baseHeaders(call.requestId), ...headers };
  return call.outgoing === undefined ? webSink(call, status, all) : nodeSink(call.outgoing, status, all, held);
}

/** Written ahead of the reader: so that making the next piece and sending the last go on side by side. */
const AHEAD_BYTES = 512 * 1024;

function nodeSink(outgoing: ServerResponse, status: number, headers: HeaderRecord, held: boolean): Sink {
  outgoing.writeHead(status, headers);
  if (!held) outgoing.flushHeaders();
  return {
    response: alreadySent(),
    write(chunk) {
      if (outgoing.destroyed) return false;
      return outgoing.write(chunk) || outgoing.writableLength < AHEAD_BYTES ? true : drained(outgoing);
    },
    nudge(chunk) {
      if (!outgoing.destroyed && !outgoing.writableNeedDrain) outgoing.write(chunk);
    },
    end: () => void outgoing.end(),
    fail: (error) => void outgoing.destroy(error),
  };
}

async function drained(outgoing: ServerResponse): Promise<boolean> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("drain", done);
    outgoing.on("close", done);
  });
  return !outgoing.destroyed;
}

const WEB_HIGH_WATER_BYTES = 64 * 1024;

function webSink(call: Answered, status: number, headers: HeaderRecord): Sink {
  const encoder = new TextEncoder();
  let canceled = false;
  let wake: (() => void) | undefined;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      start(own) {
        controller = own;
      },
      pull() {
        wake?.();
      },
      cancel() {
        canceled = true;
        call.abandon();
        wake?.();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WEB_HIGH_WATER_BYTES }),
  );
  const lags = (): boolean => (controller?.desiredSize ?? 0) <= 0;
  const enqueue = (chunk: Uint8Array | string): void => controller?.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
  return {
    response: plainResponse(body, status, headers),
    async write(chunk) {
      if (canceled) return false;
      enqueue(chunk);
      if (lags()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return !canceled;
    },
    nudge(chunk) {
      if (!canceled && !lags()) enqueue(chunk);
    },
    end() {
      call.release();
      if (!canceled) controller?.close();
    },
    fail(error) {
      call.release();
      if (!canceled) controller?.error(error);
    },
  };
}
