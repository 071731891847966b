import { createHash } from "node:crypto";
import { LOCAL_OPERATOR, SandboxerError, type SandboxState } from "../../contract/index.ts";
import type { E2bContext } from "./context.ts";
import { sameText } from "./tokens.ts";

/** What a signed file address says. */
export interface SignedFile {
  readonly signature: string;
  readonly path: string;
  readonly operation: "read" | "write";
  readonly user: string;
  /** Unix seconds, as written; undefined: it never ends. */
  readonly expiration: string | undefined;
}

const FORM = /^v1_[A-Za-z0-9+/]{43}$/;
const LIVE: SandboxState[] = ["ready", "paused", "suspended"];
const PAGE = 200;

/** What a request's address says; undefined where it is not signed. Only reads and writes can be. */
export function signedFile(method: string, parameters: URLSearchParams): SignedFile | undefined {
  const signature = parameters.get("signature");
  if (signature === null) return undefined;
  return {
    signature,
    path: parameters.get("path") ?? "",
    operation: method === "GET" || method === "HEAD" ? "read" : "write",
    user: parameters.get("username") ?? "",
    expiration: parameters.get("signature_expiration") ?? undefined,
  };
}

/** @throws SandboxerError `unauthorized` where the signature is not that sandbox's, or is over. */
export function checkSignature({ tokens }: E2bContext, sandboxId: string, file: SignedFile): void {
  if (!isSignedBy(tokens.envd(sandboxId), file)) throw new SandboxerError("unauthorized", "invalid signature");
  checkExpiration(file);
}

/**
 * The live sandbox whose token made the signature, for addresses that name none. Looks at every live sandbox, so what
 * cannot be a signature is refused before.
 *
 * @throws SandboxerError `unauthorized` where none did, or the signature is over.
 */
export async function findBySignature({ engine, tokens }: E2bContext, file: SignedFile): Promise<string> {
  checkExpiration(file);
  if (FORM.test(file.signature)) {
    for (let cursor: string | undefined; ;) {
      const page = await engine.list(LOCAL_OPERATOR, {
        states: LIVE,
        limit: PAGE,
        allTenants: true,
        ...(cursor === undefined ? {} : { cursor }),
      });
      const found = page.data.find(({ id }) => isSignedBy(tokens.envd(id), file));
      if (found !== undefined) return found.id;
      if (page.next_cursor === null) break;
      cursor = page.next_cursor;
    }
  }
  throw new SandboxerError("unauthorized", "invalid signature");
}

function isSignedBy(token: string, { signature, path, operation, user, expiration }: SignedFile): boolean {
  const text = [path, operation, user, token, ...(expiration === undefined ? [] : [expiration])].join(":");
  const hash = createHash("sha256").update(text).digest("base64").replace(/=+$/, "");
  return sameText(`v1_${hash}`, signature);
}

function checkExpiration({ expiration }: SignedFile): void {
  if (expiration === undefined) return;
  if (!/^\d{1,15}$/.test(expiration)) throw new SandboxerError("invalid_request", "signature_expiration: must be a time in Unix seconds");
  if (Number(expiration) < Date.now() / 1000) throw new SandboxerError("unauthorized", "signature is already expired");
}
