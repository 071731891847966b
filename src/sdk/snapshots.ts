import type { SnapshotInfo, SnapshotRequest, SnapshotTree } from "../contract/snapshot.ts";
import { bodyOf, type FileContent } from "./files.ts";
import { query, type Transport } from "./transport.ts";

/** What was kept of sandboxes: `client.snapshots`. To go on from one: `client.create({ snapshot: id })`. */
export class Snapshots {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Keeps what a sandbox has written; it stands still while its changed files are copied, and goes on. */
  async create(sandboxId: string, request: SnapshotRequest = {}): Promise<SnapshotInfo> {
    const path = `/v1/sandboxes/${encodeURIComponent(sandboxId)}/snapshots`;
    return this.#transport.json({ method: "POST", path, json: request, unbounded: true });
  }

  /** Oldest first. */
  async list(): Promise<SnapshotInfo[]> {
    return (await this.#transport.json<{ data: SnapshotInfo[] }>({ method: "GET", path: "/v1/snapshots" })).data;
  }

  async get(id: string): Promise<SnapshotInfo> {
    return this.#transport.json({ method: "GET", path: at(id) });
  }

  /** Throws `conflict` while a sandbox or another snapshot comes from it. */
  async remove(id: string): Promise<SnapshotInfo> {
    return this.#transport.json({ method: "DELETE", path: at(id) });
  }

  /** Snapshots, and sandboxes that have to do with them, by their parents. */
  async tree(): Promise<SnapshotTree> {
    return this.#transport.json({ method: "GET", path: "/v1/snapshots/tree" });
  }

  /** All of it as one portable file. Canceling the stream ends the transfer. */
  async export(id: string, options: { signal?: AbortSignal } = {}): Promise<ReadableStream<Uint8Array>> {
    const call = { method: "GET", path: `${at(id)}/export`, accept: "application/x-tar", unbounded: true, signal: options.signal } as const;
    return (await this.#transport.stream(call)).body;
  }

  /** Takes in what `export` gave, here or elsewhere. */
  async import(file: FileContent, options: { name?: string; backend?: string; signal?: AbortSignal } = {}): Promise<SnapshotInfo> {
    const { name, backend, signal } = options;
    const path = `/v1/snapshots/import${query({ name, backend })}`;
    return this.#transport.json({ method: "POST", path, body: bodyOf(file), type: "application/x-tar", unbounded: true, signal });
  }
}

function at(id: string): string {
  return `/v1/snapshots/${encodeURIComponent(id)}`;
}
