import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fullReference, type ImageProgress, type Op, SandboxerError } from "../../../contract/index.ts";
import { findProgram } from "../runtime.ts";
import { ARCHITECTURE } from "./manifest.ts";

export interface PullRequest {
  readonly reference: string;
  /** The registry speaks HTTP without TLS. */
  readonly plainHttp: boolean;
  readonly credentials?: { readonly username: string; readonly password: string };
}

type Progress = Extract<ImageProgress, { type: "progress" }>;

/** Of what it says in the end: enough to tell why. */
const LAST_WORDS = 5;

/**
 * Has skopeo copy an image from its registry to an OCI layout in `draft`; answers where that is. Its digests are checked again by whoever reads it.
 * Throws `provider_missing_dependency` without skopeo, and `backend_rejected` with its words where it fails.
 */
export async function* pullLayout(request: PullRequest, draft: string, op: Op): AsyncGenerator<Progress, string, void> {
  const skopeo = await findProgram("skopeo");
  if (skopeo === undefined)
    throw new SandboxerError("provider_missing_dependency", "images are pulled by skopeo, which is not on this host", {
      phase: "image",
      hint: "Run: apt-get install skopeo. Without it, 'sand-boxer image import' takes archives, such as those of 'docker save'.",
    });
  const reference = fullReference(request.reference);
  if (reference === undefined)
    throw new SandboxerError("invalid_request", `"${request.reference}" is not a reference of an image`, {
      issues: [{ path: "reference", message: 'must be such as "debian:12"' }],
    });
  const layout = join(draft, "layout");
  const argv = [
    "--tmpdir", draft, "--override-os", "linux", "--override-arch", ARCHITECTURE, "copy",
    ...authentication(request, reference, draft), ...(request.plainHttp ? ["--src-tls-verify=false"] : []),
    `docker://${reference}`, `oci:${layout}:image`,
  ]; // prettier-ignore
  const child = spawn(skopeo, argv, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: draft, XDG_RUNTIME_DIR: draft },
  });
  const stop = () => void child.kill("SIGKILL");
  op.signal.addEventListener("abort", stop, { once: true });
  const ended = new Promise<{ code: number | null; cause?: Error }>((resolve) => {
    child.once("exit", (code) => resolve({ code }));
    child.once("error", (cause) => resolve({ code: null, cause }));
  });
  const words: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => words.splice(0, words.length, ...[...words, ...chunk.toString().split("\n")].filter((line) => line !== "").slice(-LAST_WORDS))); // prettier-ignore
  try {
    for await (const line of createInterface({ input: child.stdout })) yield { type: "progress", step: "pull", detail: line.slice(0, 200), bytes: null };
    const { code, cause } = await ended;
    op.signal.throwIfAborted();
    if (code !== 0) throw failure(reference, words.join("; "), cause);
  } finally {
    op.signal.removeEventListener("abort", stop);
    stop();
  }
  return layout;
} // prettier-ignore

/** In a file: a command line can be seen by every user of the host. */
function authentication({ credentials }: PullRequest, reference: string, draft: string): string[] {
  if (credentials === undefined) return [];
  const registry = reference.split("/")[0] ?? "";
  const auth = Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
  const file = join(draft, "auth.json");
  writeFileSync(file, JSON.stringify({ auths: { [registry]: { auth } } }), { mode: 0o600 });
  return ["--src-authfile", file];
}

/** skopeo answers 1 whatever was wrong, so its own words are passed on. */
function failure(reference: string, words: string, cause: Error | undefined): SandboxerError {
  const said = words.slice(-600) || (cause?.message ?? "skopeo left no message");
  return new SandboxerError("backend_rejected", `${reference} could not be pulled: ${said}`, {
    phase: "image",
    hint: "A private registry needs --creds or --auth-file; one without TLS needs --plain-http.",
    ...(cause === undefined ? {} : { cause }),
  });
}
