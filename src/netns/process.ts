import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { getSystemErrorMessage, getSystemErrorName } from "node:util";
import { NetnsError } from "./error.ts";

/** Beside the sources and beside the build alike. */
const PROGRAM = fileURLToPath(new URL("../../native/netns.pl", import.meta.url));

/** A socket as Node's own streams are built on it: the object that a handle sent by another process arrives as. */
export interface Handle {
  close(): void;
}

/** What the helper says, beside the socket: see native/netns.pl. */
interface Answer {
  readonly id: number;
  readonly step?: string;
  readonly errno?: number;
}

interface Pending {
  readonly resolve: (handle: Handle) => void;
  readonly reject: (error: NetnsError) => void;
}

/**
 * The helper that makes sockets in other namespaces, started with the first request and again where it has ended. The sockets
 * that it made live on without it. It keeps this process alive while an answer is awaited, and no longer.
 */
export class NetnsProcess {
  readonly #arch: NodeJS.Architecture;
  #child: ChildProcess | undefined;
  #next = 1;
  #disposed = false;
  readonly #pending = new Map<number, Pending>();

  constructor(arch: NodeJS.Architecture) {
    this.#arch = arch;
  }

  /** Sends a request and resolves with the socket. With `signal` it can be given up, which rejects with the signal's reason. */
  ask(verb: "listen" | "bind" | "connect", words: readonly (string | number)[], signal?: AbortSignal): Promise<Handle> {
    if (this.#disposed) return Promise.reject(new NetnsError("EPIPE", "send", "the helper for network namespaces was let go"));
    const child = this.#child ?? this.#spawn();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        if (!this.#settle(id)) return;
        if (verb === "connect") this.#send(child, `abort ${id}`);
        reject(signal?.reason);
      };
      const after = <T>(settle: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          signal?.removeEventListener("abort", giveUp);
          settle(value);
        };
      };
      this.#pending.set(id, { resolve: after(resolve), reject: after(reject) });
      this.#holdOpen(child);
      if (signal?.aborted === true) return giveUp();
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#send(child, [verb, id, ...words].join(" "));
    });
  }

  /** Ends the helper, and rejects what is still asked for. */
  dispose(): void {
    this.#disposed = true;
    const child = this.#child;
    if (child?.connected === true) child.disconnect();
    if (child !== undefined) this.#lost(child, "the helper for network namespaces was let go");
  }

  #spawn(): ChildProcess {
    const child = spawn("perl", [PROGRAM, this.#arch === "arm64" ? "1" : "0"], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      // A signal to the terminal's group is its owner's to handle.
      detached: true,
    });
    this.#child = child;
    child.on("message", (answer, handle) => this.#answered(child, answer as Answer, handle as unknown as Handle | undefined));
    child.once("error", (error) => this.#lost(child, `the helper for network namespaces cannot be started: ${error.message}`));
    child.once("disconnect", () => this.#lost(child, "the helper for network namespaces ended"));
    child.unref();
    return child;
  }

  #send(child: ChildProcess, text: string): void {
    if (!child.connected) return;
    child.send(text, (error) => {
      if (error !== null) this.#lost(child, `the helper for network namespaces does not take requests: ${error.message}`);
    });
  }

  #answered(child: ChildProcess, { id, step, errno }: Answer, handle: Handle | undefined): void {
    const pending = this.#pending.get(id);
    // Given up meanwhile.
    if (pending === undefined) return handle?.close();
    this.#settle(id);
    this.#holdOpen(child);
    if (handle !== undefined) return pending.resolve(handle);
    const [code, words] = errno === undefined ? ["EPROTO", "no socket came"] : [getSystemErrorName(-errno), getSystemErrorMessage(-errno)];
    pending.reject(new NetnsError(code, step ?? "receive", `${step ?? "receive"}: ${words}`));
  }

  #settle(id: number): boolean {
    const known = this.#pending.delete(id);
    if (this.#child !== undefined) this.#holdOpen(this.#child);
    return known;
  }

  #holdOpen({ channel }: ChildProcess): void {
    if (this.#pending.size > 0) channel?.ref();
    else channel?.unref();
  }

  #lost(child: ChildProcess, why: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (child.connected) child.disconnect();
    for (const { reject } of this.#pending.values()) reject(new NetnsError("EPIPE", "send", why));
    this.#pending.clear();
  }
}
