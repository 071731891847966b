import type { Socket } from "node:net";
import { type Hello, MAX_HELLO, readHello } from "./client-hello.ts";

/** Longest request head that is waited for, where its Host has to be known. */
const MAX_HEAD = 32_768;
/** Longest wait for the first bytes to say what they are. Milliseconds. */
const PATIENCE_MS = 30_000;
const METHOD = /^[A-Z]{1,20}(?:$| )/;

/** What a connection begins with. `bytes` are taken out of the stream. */
export type Opening =
  | { readonly kind: "tls"; readonly hello: Hello; readonly bytes: Buffer }
  | { readonly kind: "http"; readonly head: string | null; readonly bytes: Buffer }
  | { readonly kind: "tcp"; readonly bytes: Buffer }
  | { readonly kind: "bad"; readonly bytes: Buffer }
  /** Nothing came within the time given. */
  | { readonly kind: "silent" }
  /** It ended, or took too long, before it could be told. */
  | { readonly kind: "gone" };

export interface PeekOptions {
  /** Whether an HTTP head is needed whole; else the method is enough. */
  readonly wholeHead: boolean;
  /** Answer `silent` where nothing has come after this. Milliseconds. */
  readonly silenceMs?: number;
  /** Wait for the first bytes however long it takes. */
  readonly patient?: boolean;
}

/** Reads as little as tells what a connection is, and leaves the socket paused. `had`: bytes that were read before. */
export async function peek(socket: Socket, had: Buffer, { wholeHead, silenceMs, patient = false }: PeekOptions): Promise<Opening> {
  let bytes = had;
  const early = read(bytes, wholeHead);
  if (early !== undefined) return early;
  return new Promise((resolve) => {
    const settle = (opening: Opening): void => {
      clearTimeout(patience);
      clearTimeout(silence);
      socket.off("data", onData).off("end", onGone).off("close", onGone).pause();
      resolve(opening);
    };
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const opening = read(bytes, wholeHead);
      if (opening !== undefined) settle(opening);
    };
    const onGone = (): void => settle({ kind: "gone" });
    const patience = patient ? undefined : setTimeout(onGone, PATIENCE_MS);
    const silence = silenceMs === undefined ? undefined : setTimeout(() => bytes.length === 0 && settle({ kind: "silent" }), silenceMs);
    if (socket.destroyed || socket.readableEnded) return onGone();
    socket.on("data", onData).on("end", onGone).on("close", onGone).resume();
  });
}

function read(bytes: Buffer, wholeHead: boolean): Opening | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === 22) {
    const hello = readHello(bytes);
    if (hello === "more") return bytes.length > MAX_HELLO * 2 ? { kind: "bad", bytes } : undefined;
    return hello === "bad" ? { kind: "bad", bytes } : { kind: "tls", hello, bytes };
  }
  const start = bytes.toString("latin1", 0, 21);
  if (!METHOD.test(start)) return { kind: "tcp", bytes };
  if (!start.includes(" ")) return undefined;
  if (!wholeHead) return { kind: "http", head: null, bytes };
  const end = bytes.subarray(0, MAX_HEAD).indexOf("\r\n\r\n");
  if (end === -1) return bytes.length > MAX_HEAD ? { kind: "bad", bytes } : undefined;
  return { kind: "http", head: bytes.toString("latin1", 0, end), bytes };
}

/** The one Host that a request's head names, as sent; undefined where there is none or more than one. */
export function hostOf(head: string): string | undefined {
  const values = head
    .split("\r\n")
    .slice(1)
    .flatMap((line) => /^host:[ \t]*(.*?)[ \t]*$/i.exec(line)?.[1] ?? []);
  return values.length === 1 ? values[0]?.replace(/:\d{1,5}$/, "") : undefined;
}
