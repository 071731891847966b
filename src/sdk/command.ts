import type { ExecRequest } from "../contract/exec.ts";
import { toBase64, toBytes, toStream, type Bytes } from "./bytes.ts";

/** A shell command line, or a program and its arguments passed as they are. */
export type CommandLine = string | readonly string[];

/** Standard input that comes as it is made. */
export type StdinStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>;

/** What a foreground exec and a background process have in common. */
export interface CommandOptions {
  /** Working directory; the workspace unless given. */
  cwd?: string;
  /** Added to the sandbox's environment. */
  env?: Record<string, string>;
  /** A name or `uid[:gid]` inside; the profile's user unless given. */
  user?: string;
  /** exec_timeout: seconds, or a string with a unit ("90s", "5m"). Ends the command's whole process tree. None unless given. */
  timeout?: number | string;
}

/** `{argv}` or `{shell}`, as the wire has it. */
export function commandFields(
  command: CommandLine,
  options: CommandOptions,
): Pick<ExecRequest, "argv" | "shell" | "cwd" | "env" | "user" | "timeout"> {
  const { cwd, env, user, timeout } = options;
  return {
    ...(typeof command === "string" ? { shell: command } : { argv: [...command] }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(user === undefined ? {} : { user }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** Small input travels inside the JSON body; streams and large input as the request's body. */
export type SettledStdin =
  | { readonly inline: NonNullable<ExecRequest["stdin"]> }
  | { readonly body: Bytes | ReadableStream<Bytes> }
  | undefined;

const INLINE_BYTES = 256 * 1024;

export function settleStdin(stdin: string | Uint8Array | StdinStream | undefined): SettledStdin {
  if (stdin === undefined) return undefined;
  if (typeof stdin === "string" || stdin instanceof Uint8Array) {
    if (stdin.length > INLINE_BYTES) return { body: toBytes(stdin) };
    return { inline: typeof stdin === "string" ? { text: stdin } : { base64: toBase64(stdin) } };
  }
  return { body: stdin instanceof ReadableStream ? (stdin as ReadableStream<Bytes>) : toStream(stdin) };
}
