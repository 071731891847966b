import { readFileSync, statSync } from "node:fs";
import { SandboxerError } from "../../contract/index.ts";
import type { E2bOptions } from "./options.ts";

const PHASE = { phase: "open" };

/**
 * The account's key, from the file or the variable that the options name.
 *
 * @throws SandboxerError `backend_auth` where there is none; `invalid_request` for a file that others may read.
 */
export function readKey({ api_key_env: variable = "E2B_API_KEY", api_key_file: file }: E2bOptions): string {
  const key = file === undefined ? process.env[variable]?.trim() : fromFile(file);
  if (key !== undefined && /^[\x21-\x7e]+$/.test(key)) return key;
  const where = file === undefined ? `the environment variable ${variable}` : `the file ${file}`;
  throw new SandboxerError("backend_auth", `${where} holds no API key`, {
    ...PHASE,
    hint: "Make a key in E2B's dashboard, and name the variable or the file that holds it in the backend's options.",
  });
}

function fromFile(path: string): string {
  try {
    if ((statSync(path).mode & 0o077) !== 0)
      throw new SandboxerError("invalid_request", `others than its owner may read the key file ${path}`, {
        ...PHASE,
        hint: `Run: chmod 600 ${path}`,
        issues: [{ path: "api_key_file", message: "must be readable by its owner only" }],
      });
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    if (cause instanceof SandboxerError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new SandboxerError("backend_auth", `cannot read the key file ${path} (${code})`, { ...PHASE, cause });
  }
}
