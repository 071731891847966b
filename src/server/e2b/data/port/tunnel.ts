import { Duplex } from "node:stream";
import type { ExecEvent } from "../../../../contract/index.ts";
import type { Session } from "../session.ts";

/** Nothing listens there. */
export class PortClosed extends Error {
  override readonly name = "PortClosed";
}

/** The sandbox has nothing that could relay. */
export class NoRelay extends Error {
  override readonly name = "NoRelay";
}

const CLOSED_STATUS = 1;

/**
 * Connects standard input and output with a port on the sandbox's localhost: with our own busybox where the backend has
 * put one in, else with what the image has. Ends with 1 where nothing listens.
 */
const RELAY = `for b in /.sandboxer/busybox busybox; do command -v "$b" >/dev/null 2>&1 && exec "$b" nc 127.0.0.1 "$1"; done
command -v bash >/dev/null 2>&1 || exit 97
exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" || exit 1; exec 4<&0; cat <&4 >&3 & up=$!; cat <&3; kill $up 2>/dev/null; exit 0' "$1"`;

/**
 * A byte stream to a port inside, over a command of its own: about as long as an exec takes to begin with, then a copy of
 * each byte. Fails with {@link PortClosed} or {@link NoRelay} before its first byte.
 */
export async function openTunnel(session: Session, port: number, signal: AbortSignal): Promise<Duplex> {
  const stop = new AbortController();
  const input = new Input();
  const { events } = await session.engine.exec(
    session.who,
    session.id,
    {
      argv: ["/bin/sh", "-c", RELAY, "sh", String(port)],
      stdin: { kind: "pipe", stream: input.stream() },
      maxOutputBytes: Number.MAX_SAFE_INTEGER,
    },
    AbortSignal.any([signal, stop.signal]),
  );
  const output = events[Symbol.asyncIterator]();
  let began = false;
  /** Pushes until the reader has enough. */
  const read = async (tunnel: Duplex): Promise<void> => {
    for (;;) {
      const { done, value } = await output.next();
      if (done === true) return void tunnel.push(null);
      if (value.type === "exited") return finish(tunnel, value);
      if (value.type !== "stdout" || value.data.length === 0) continue;
      began = true;
      if (!tunnel.push(value.data)) return;
    }
  };
  const finish = (tunnel: Duplex, { outcome, exitCode }: Extract<ExecEvent, { type: "exited" }>): void => {
    if (began || exitCode === 0) tunnel.push(null);
    else if (outcome === "exited" && exitCode === CLOSED_STATUS) tunnel.destroy(new PortClosed(`nothing listens on port ${port}`));
    else tunnel.destroy(new NoRelay("the sandbox has neither busybox nor bash to reach its ports with"));
  };
  return new Duplex({
    read() {
      read(this).catch((thrown: unknown) => this.destroy(thrown instanceof Error ? thrown : new Error(String(thrown))));
    },
    write: (chunk: Uint8Array, _encoding, taken) => input.put(chunk, taken),
    final(ended) {
      input.end();
      ended();
    },
    destroy(error, destroyed) {
      input.end();
      stop.abort(new DOMException("the tunnel was closed", "AbortError"));
      void letGo(output, () => destroyed(error));
    },
  });
}

/** The abort is what ends the command, and how that turns out is of no interest any more. */
async function letGo(output: AsyncIterator<ExecEvent>, gone: () => void): Promise<void> {
  await Promise.allSettled([output.return?.()]);
  gone();
}

/** What is written to a tunnel, as a command's standard input: one piece at a time. */
class Input {
  #piece: { data: Uint8Array; taken: () => void } | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  put(data: Uint8Array, taken: () => void): void {
    if (this.#ended) return taken();
    this.#piece = { data, taken };
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#piece;
      if (piece !== undefined) {
        this.#piece = undefined;
        yield piece.data;
        piece.taken();
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}
