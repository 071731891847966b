import { z } from "zod";
import { Duration } from "./units.ts";

/** How a command ended. `unknown` means the stream broke before the end was seen: it is never reported as exit 0. */
export const OUTCOMES = ["exited", "signaled", "timed_out", "killed", "unknown"] as const;
export const Outcome = z.enum(OUTCOMES).meta({ id: "Outcome" });
export type Outcome = z.infer<typeof Outcome>;

export const PtySize = z.strictObject({ cols: z.int().min(1).max(4096), rows: z.int().min(1).max(4096) }).meta({ id: "PtySize" });
export type PtySize = z.infer<typeof PtySize>;

const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a letter or _, then letters, digits and _");
const noNul = z.string().refine((text) => !text.includes("\0"), "must not contain a NUL byte");

export const Env = z.record(name, noNul).meta({ id: "Env" });

const commandFields = {
  argv: z.array(noNul).min(1).max(4096).optional().meta({ description: "Program and arguments, passed as they are." }),
  shell: noNul.min(1).optional().meta({ description: "A command line for /bin/sh -c (bash where the sandbox has it)." }),
  cwd: noNul.optional().meta({ description: "Working directory; the workspace unless given." }),
  env: Env.optional(),
  user: noNul.optional().meta({ description: "A name or uid[:gid] inside; the profile's user unless given." }),
  timeout: Duration.optional().meta({ description: "exec_timeout: ends the command's whole process tree. None unless given." }),
};

const oneOf = (command: { argv?: unknown; shell?: unknown }) => (command.argv === undefined) !== (command.shell === undefined);
const oneOfMessage = { path: ["argv"], error: "give exactly one of argv and shell" };

/** Body of `POST /v1/sandboxes/{id}/exec`. */
export const ExecRequest = z
  .strictObject({
    ...commandFields,
    stdin: z
      .strictObject({ text: z.string() })
      .or(z.strictObject({ base64: z.base64() }))
      .optional()
      .meta({ description: "Bytes for standard input, then end of file. /dev/null unless given." }),
    max_output_bytes: z.int().min(0).optional().meta({
      description:
        "Cap over stdout and stderr of one exec; beyond it output is dropped, `truncated` is set, and the command goes on. 8 MiB in a JSON answer, 1 GiB when streamed.",
    }),
  })
  .refine(oneOf, oneOfMessage)
  .meta({ id: "ExecRequest" });
export type ExecRequest = z.input<typeof ExecRequest>;

/** Body of `POST /v1/sandboxes/{id}/processes`. */
export const ProcessRequest = z
  .strictObject({
    ...commandFields,
    pty: PtySize.optional().meta({ description: "Give it a terminal of this size; stdout and stderr are then one." }),
    stdin: z
      .enum(["none", "pipe"])
      .optional()
      .meta({ description: '"pipe" keeps standard input open for writes; "none" (default) is /dev/null. A pty always has one.' }),
    max_output_bytes: z.int().min(0).optional().meta({ description: "Cap of the journal; 64 MiB unless given." }),
    tag: noNul.min(1).max(128).optional().meta({ description: "A name of the caller's own to find it by. Need not be unique." }),
  })
  .refine(oneOf, oneOfMessage)
  .meta({ id: "ProcessRequest" });
export type ProcessRequest = z.input<typeof ProcessRequest>;

/** How it ended, shared by a finished exec and a finished process. */
const endFields = {
  outcome: Outcome,
  exit_code: z.int().nullable().meta({ description: "null where there is none: timed out, killed or unknown." }),
  signal: z.string().nullable().meta({
    description:
      "Name of the signal that ended it. OCI runtimes report a death by signal n as 128+n; a program that itself exits with such a number reads the same.",
  }),
  oom_killed: z.boolean().meta({ description: "The kernel killed something in the sandbox for want of memory while it ran." }),
  truncated: z.boolean(),
};

/** Answer of a finished exec. A non-zero exit code is a result, not an error. */
export const ExecResult = z
  .object({
    exec_id: z.string(),
    ...endFields,
    stdout: z.string().meta({ description: "Text if it is UTF-8, else base64: see encoding." }),
    stderr: z.string(),
    encoding: z.object({ stdout: z.enum(["utf8", "base64"]), stderr: z.enum(["utf8", "base64"]) }),
    duration_ms: z.number(),
  })
  .meta({ id: "ExecResult" });
export type ExecResult = z.infer<typeof ExecResult>;

/** Data of the server-sent events of a streamed exec: `started`, `stdout`, `stderr`, then `exited` or `error`. */
export const ExecStreamEvent = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("started"), exec_id: z.string() }),
    z.object({ type: z.literal("stdout"), data: z.base64() }),
    z.object({ type: z.literal("stderr"), data: z.base64() }),
    z.object({ type: z.literal("exited"), ...endFields, duration_ms: z.number() }),
    z.object({ type: z.literal("error"), error: z.looseObject({ code: z.string(), message: z.string() }) }),
  ])
  .meta({ id: "ExecStreamEvent" });
export type ExecStreamEvent = z.infer<typeof ExecStreamEvent>;

export const ProcessInfo = z
  .object({
    id: z.string(),
    object: z.literal("process"),
    sandbox_id: z.string(),
    number: z.int().meta({ description: "Counts the sandbox's processes from 1: a short name for it, which stays." }),
    tag: z.string().nullable(),
    command: z.object({ argv: z.array(z.string()).optional(), shell: z.string().optional(), cwd: z.string().optional() }),
    pty: z.boolean(),
    state: z.enum(["running", "ended"]),
    started_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
    end: z.object(endFields).nullable(),
    output_bytes: z.int().meta({ description: "Length of its journal: the offset where new output will stand." }),
  })
  .meta({ id: "ProcessInfo" });
export type ProcessInfo = z.infer<typeof ProcessInfo>;

/** Data of the server-sent events of a process's output. `offset` is where to go on from after this one. */
export const OutputEvent = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("stdout"), data: z.base64(), offset: z.int() }),
    z.object({ type: z.literal("stderr"), data: z.base64(), offset: z.int() }),
    z.object({ type: z.literal("ended"), ...endFields, offset: z.int() }),
    z.object({ type: z.literal("error"), error: z.looseObject({ code: z.string(), message: z.string() }) }),
  ])
  .meta({ id: "OutputEvent" });
export type OutputEvent = z.infer<typeof OutputEvent>;
