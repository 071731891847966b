import type { Duplex } from "node:stream";
import type { Service } from "./call.ts";

/** The life of one upgraded connection, with the server's: a client that leaves ends what is done for it, and a server that closes ends both. */
export interface CallerLife {
  /** Aborts when the client has gone or the server closes. */
  readonly signal: AbortSignal;
  /** From here on the server's close ends it as well. */
  hold(): void;
}

/** Watches a socket from its upgrade on. An error without a listener would end the process; a close follows it. */
export function callerLife({ open }: Service, socket: Duplex): CallerLife {
  const cancel = new AbortController();
  const lost = (): void => {
    open.forget(cancel);
    cancel.abort(new DOMException("the client went away", "AbortError"));
  };
  socket.on("error", lost);
  socket.once("close", lost);
  return {
    signal: cancel.signal,
    hold() {
      open.register(cancel, "follower");
      cancel.signal.addEventListener("abort", () => socket.destroy(), { once: true });
    },
  };
}
