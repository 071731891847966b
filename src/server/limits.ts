/** What the door takes and how long it waits. Times in milliseconds, sizes in bytes. */
export interface ServerLimits {
  /** Of one JSON or YAML body. */
  readonly maxBodyBytes: number;
  /** Of one file write or tar; the sandbox's disk quota bounds it anyway. */
  readonly maxUploadBytes: number;
  /** Of a request's line and headers together. */
  readonly maxHeaderBytes: number;
  /** For a request's line and headers to arrive. */
  readonly headersTimeoutMs: number;
  /** For the whole of a JSON body to arrive. */
  readonly bodyTimeoutMs: number;
  /** Between two pieces of an upload. Streamed standard input has no such limit: people type slowly. */
  readonly uploadIdleMs: number;
  /** Between two signs of life on an event stream or a WebSocket. */
  readonly keepaliveMs: number;
  /** For requests under way when the server closes; what is left then is cut off. */
  readonly graceMs: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  maxBodyBytes: 1024 ** 2,
  maxUploadBytes: 64 * 1024 ** 3,
  maxHeaderBytes: 16 * 1024,
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  uploadIdleMs: 60_000,
  keepaliveMs: 15_000,
  graceMs: 5000,
};

/** Output kept for a JSON answer unless the request says otherwise; it stands in memory whole. */
export const JSON_OUTPUT_BYTES = 8 * 1024 ** 2;
/** The most that may be asked for in a JSON answer. */
export const MAX_JSON_OUTPUT_BYTES = 64 * 1024 ** 2;
/** Output passed on for a streamed answer unless the request says otherwise. */
export const STREAM_OUTPUT_BYTES = 1024 ** 3;
/** Of a YAML body: its parser takes far longer over the worst of documents than JSON's does, and nobody writes more by hand. */
export const MAX_YAML_BYTES = 64 * 1024;
/** Nesting of a JSON or YAML body. */
export const MAX_DEPTH = 64;
