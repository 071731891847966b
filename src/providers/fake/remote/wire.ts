import type { Command, ExecEvent, Ref, SandboxSpec, WireError } from "../../../contract/index.ts";

/** What is asked over HTTP, each as a POST of JSON to `/<verb>`. */
export type Question =
  | { readonly verb: "traits" | "list" }
  | { readonly verb: "create"; readonly spec: SandboxSpec }
  | { readonly verb: "exec"; readonly ref: Ref; readonly command: Command; readonly maxOutputBytes: number }
  | { readonly verb: "destroy" | "inspect"; readonly ref: Ref };

/** An exec's events, and the error that it ends with: one JSON document a line. Bytes are base64. */
export type WireEvent =
  | Exclude<ExecEvent, { data: Uint8Array }>
  | { readonly type: "stdout" | "stderr"; readonly data: string }
  | { readonly type: "failed"; readonly error: WireError };

export function toWire(event: ExecEvent): WireEvent {
  return "data" in event ? { type: event.type, data: Buffer.from(event.data).toString("base64") } : event;
}

export function fromWire(event: Exclude<WireEvent, { type: "failed" }>): ExecEvent {
  return "data" in event ? { type: event.type, data: Buffer.from(event.data, "base64") } : event;
}
