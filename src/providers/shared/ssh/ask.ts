import { spawn } from "node:child_process";
import { z } from "zod";
import { SandboxerError } from "../../../contract/index.ts";

const ANSWERS_WITHIN_MS = 15_000;
const LARGEST = 256 * 1024;

interface Question<Schema extends z.ZodType> {
  /** What is asked, in our words. */
  readonly what: string;
  readonly body: object;
  readonly answer: Schema;
}

function refused(what: string, why: string, cause?: unknown): SandboxerError {
  return new SandboxerError("backend_unavailable", `${what}: ${why}`, { phase: "connect", ...(cause === undefined ? {} : { cause }) });
}

function parsed<Schema extends z.ZodType>({ what, answer }: Question<Schema>, text: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refused(what, "the answer is no JSON", cause);
  }
  const result = answer.safeParse(value);
  if (result.success) return result.data;
  throw refused(what, `the answer does not fit: ${z.prettifyError(result.error)}`, result.error);
}

/**
 * Asks a program: the question as JSON on its standard input, the answer as JSON on its standard output. Its standard error is passed on in
 * what is thrown. Bounded to 15 s and 256 KiB.
 */
export async function askCommand<Schema extends z.ZodType>(
  argv: readonly string[],
  question: Question<Schema>,
  signal: AbortSignal,
): Promise<z.output<Schema>> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWERS_WITHIN_MS)]),
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    if (out.length > LARGEST) child.kill();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err = (err + text).slice(-1000)));
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(question.body));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause) => reject(refused(question.what, `${program} cannot be run: ${cause.message}`, cause)));
    child.once("close", resolve);
  });
  if (code !== 0) throw refused(question.what, `${program} ended with ${code ?? "a signal"}: ${err.trim()}`);
  return parsed(question, out);
}

/** Asks a server: the question by POST as JSON. A status of 401 or 403 is `backend_auth`. */
export async function askHttp<Schema extends z.ZodType>(
  { url, tokenEnv }: { url: string; tokenEnv: string | undefined },
  question: Question<Schema>,
  signal: AbortSignal,
): Promise<z.output<Schema>> {
  const token = tokenEnv === undefined ? undefined : process.env[tokenEnv];
  if (tokenEnv !== undefined && (token === undefined || token === ""))
    throw new SandboxerError("backend_auth", `${question.what}: the variable ${tokenEnv} is not set`, { phase: "connect" });
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: "POST",
      redirect: "error",
      headers: { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(question.body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWERS_WITHIN_MS)]),
    });
    text = await response.text();
  } catch (cause) {
    throw refused(question.what, `${url} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  if (response.status === 401 || response.status === 403)
    throw new SandboxerError("backend_auth", `${question.what}: ${url} answered ${response.status}`, { phase: "connect" });
  if (!response.ok) throw refused(question.what, `${url} answered ${response.status}: ${text.slice(0, 300)}`);
  return parsed(question, text);
}
