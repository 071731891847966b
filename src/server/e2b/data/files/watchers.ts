import { randomUUID } from "node:crypto";
import { SandboxerError } from "../../../../contract/index.ts";
import type { E2bContext } from "../../context.ts";
import { explain } from "../failure.ts";
import type { Session } from "../session.ts";
import type { WatchRequest } from "../wire/filesystem.ts";
import { watchDirectory, type WireEvent } from "./watch.ts";

/** Without a look for so long, a watcher's owner is taken to have gone. */
const FORGOTTEN_MS = 10 * 60_000;
const MAX_PER_SANDBOX = 64;
/** Waiting for their owner; beyond it events are lost, and the owner is told. */
const MAX_EVENTS = 10_000;

interface Watcher {
  readonly sandboxId: string;
  readonly stop: AbortController;
  readonly clock: NodeJS.Timeout;
  events: WireEvent[];
  failure: unknown;
}

/** Watchers that are asked for their events, in place of a stream. They end with this process, and their owner is told `not_found` then. */
export class Watchers {
  readonly #all = new Map<string, Watcher>();

  async create(session: Session, request: WatchRequest): Promise<string> {
    const count = [...this.#all.values()].filter(({ sandboxId }) => sandboxId === session.id).length;
    if (count >= MAX_PER_SANDBOX) throw new SandboxerError("invalid_request", `a sandbox can have ${MAX_PER_SANDBOX} watchers at once`);
    const id = randomUUID();
    const stop = new AbortController();
    const watcher: Watcher = {
      sandboxId: session.id,
      stop,
      clock: setTimeout(() => this.#end(id), FORGOTTEN_MS).unref(),
      events: [],
      failure: undefined,
    };
    // It outlives the request that made it, so the request's own signal does not count.
    const stream = watchDirectory(session, request, FORGOTTEN_MS, stop.signal);
    this.#all.set(id, watcher);
    try {
      await stream.next();
    } catch (thrown) {
      this.#end(id);
      throw thrown;
    }
    void this.#gather(session, watcher, stream);
    return id;
  }

  take(session: Session, id: string): WireEvent[] {
    const watcher = this.#of(session, id);
    watcher.clock.refresh();
    const { events, failure } = watcher;
    if (events.length === 0 && failure !== undefined) {
      this.#end(id);
      throw failure;
    }
    watcher.events = [];
    return events;
  }

  remove(session: Session, id: string): void {
    this.#of(session, id);
    this.#end(id);
  }

  async #gather(session: Session, watcher: Watcher, stream: ReturnType<typeof watchDirectory>): Promise<void> {
    try {
      for await (const event of stream) {
        if (event === undefined || event === "armed") continue;
        if (watcher.events.push(event) > MAX_EVENTS)
          throw new SandboxerError("outcome_unknown", "events were lost: list the directory and watch again");
      }
    } catch (thrown) {
      if (!watcher.stop.signal.aborted) watcher.failure = await explain(session, thrown, false);
    }
  }

  #of({ id: sandboxId }: Session, id: string): Watcher {
    const watcher = this.#all.get(id);
    if (watcher === undefined || watcher.sandboxId !== sandboxId) throw new SandboxerError("not_found", `watcher with id ${id} not found`);
    return watcher;
  }

  #end(id: string): void {
    const watcher = this.#all.get(id);
    if (watcher === undefined) return;
    clearTimeout(watcher.clock);
    watcher.stop.abort(new DOMException("the watcher was removed", "AbortError"));
    this.#all.delete(id);
  }
}

const all = new WeakMap<E2bContext, Watchers>();

/** Those of one door. */
export function watchersOf(ctx: E2bContext): Watchers {
  const known = all.get(ctx);
  if (known !== undefined) return known;
  const watchers = new Watchers();
  all.set(ctx, watchers);
  return watchers;
}
