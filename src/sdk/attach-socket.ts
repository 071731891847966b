import { SandboxerError } from "../contract/errors.ts";
import type { Attachment, AttachEvent } from "./attachment.ts";
import { toBytes } from "./bytes.ts";
import { outcomeUnknown, unreachable } from "./failure.ts";
import type { Settings, WebSocketConstructor, WebSocketLike } from "./options.ts";
import { endingOf, type WireEnding } from "./result.ts";
import { sleep } from "./transport.ts";

const BUFFERED_BYTES = 1024 * 1024;

/**
 * Attaches over a WebSocket. The key travels as a subprotocol, since browsers can set no header on one. Resolves when
 * the connection stands.
 */
export async function attachOverSocket(WebSocket: WebSocketConstructor, settings: Settings, path: string): Promise<Attachment> {
  const protocols = settings.apiKey === undefined ? ["sandboxer"] : ["sandboxer", `sandboxer.key.${settings.apiKey}`];
  const socket = new WebSocket(settings.url.replace(/^http/, "ws") + path, protocols);
  socket.binaryType = "arraybuffer";
  const inbox = receive(socket);
  await opened(socket, settings.url);

  let detached = false;
  const control = (message: object) => {
    socket.send(JSON.stringify(message));
    return Promise.resolve();
  };

  async function* events(): AsyncGenerator<AttachEvent, void, undefined> {
    for (;;) {
      const next = await inbox.next();
      if (next !== undefined) yield next;
      if (next?.type === "ended" || detached) return;
      if (next === undefined) throw outcomeUnknown("the attached process");
    }
  }

  return {
    [Symbol.asyncIterator]: events,
    async write(data) {
      socket.send(toBytes(data));
      while (socket.bufferedAmount > BUFFERED_BYTES) await sleep(5);
    },
    closeStdin: () => control({ type: "close_stdin" }),
    resize: (size) => control({ type: "resize", ...size }),
    signal: (name) => control({ type: "signal", signal: name }),
    detach() {
      detached = true;
      socket.close(1000);
    },
  };
}

/** Resolves when it opens; a refusal carries no reason in the WebSocket interface, so it is told from the outside. */
function opened(socket: WebSocketLike, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(unreachable(url, new Error("the WebSocket was refused or broke"))));
    socket.addEventListener("close", () =>
      reject(new SandboxerError("backend_unavailable", "the server closed the WebSocket before it was open", { phase: "attach" })),
    );
  });
}

/** Collects messages until they are asked for. A WebSocket has no back-pressure; the server's journal has, so it holds back what it sends. */
function receive(socket: WebSocketLike): { next: () => Promise<AttachEvent | undefined> } {
  const waiting: (AttachEvent | undefined)[] = [];
  let wake: (() => void) | undefined;
  const ring = () => wake?.();
  socket.addEventListener("message", ({ data }) => {
    waiting.push(
      typeof data === "string"
        ? ({ type: "ended", ...endingOf(JSON.parse(data) as WireEnding) } as const)
        : outputOf(new Uint8Array(data as ArrayBuffer)),
    );
    ring();
  });
  socket.addEventListener("close", () => {
    // Stands for the end; whoever goes on asking finds it again.
    waiting.push(undefined);
    ring();
  });
  return {
    async next() {
      while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return waiting[0] === undefined ? undefined : waiting.shift();
    },
  };
}

/** The first byte of a frame names its stream: 1 stdout, 2 stderr. */
function outputOf(frame: Uint8Array): AttachEvent {
  return { type: frame[0] === 2 ? "stderr" : "stdout", data: frame.subarray(1) };
}
