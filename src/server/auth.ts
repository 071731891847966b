import { SandboxerError, type Principal, type Scope } from "../contract/index.ts";
import type { Engine } from "../engine/engine.ts";
import type { Door } from "./call.ts";

const KEY = /^sbx_[0-9a-f]{40}$/;
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Who is asking. A key that is presented always counts, also where none is needed. */
export async function authenticate(engine: Engine, door: Door, authorization: string | undefined): Promise<Principal> {
  if (authorization === undefined) {
    if (door.principal !== undefined) return door.principal;
    throw new SandboxerError("unauthorized", "no key was sent");
  }
  const [scheme = "", key = "", ...rest] = authorization.split(" ");
  if (scheme.toLowerCase() !== "bearer" || rest.length > 0)
    throw new SandboxerError("unauthorized", "the Authorization header is not 'Bearer <key>'");
  return authenticateKey(engine, key);
}

/** Who a key belongs to. One answer for a malformed, an unknown and a revoked key. */
export async function authenticateKey(engine: Engine, key: string): Promise<Principal> {
  const who = KEY.test(key) ? await engine.keys.authenticate(key) : undefined;
  if (who === undefined) throw new SandboxerError("unauthorized", "the key is not valid");
  return who;
}

/** Throws `forbidden` unless the key has the scope; `admin` has them all. */
export function requireScope(who: Principal, scope: Scope): void {
  if (!who.scopes.includes(scope) && !who.scopes.includes("admin")) {
    throw new SandboxerError("forbidden", `this call needs the scope "${scope}"; the key has ${who.scopes.join(", ") || "none"}`);
  }
}

/** Throws `forbidden` where a loopback listener is addressed by a name that is not this machine's own. */
export function checkHost(door: Door, host: string | undefined): void {
  if (!door.loopback) return;
  const name = (host ?? "").toLowerCase().replace(/:\d{1,5}$/, "");
  if (!LOOPBACK_NAMES.has(name)) {
    throw new SandboxerError("forbidden", `this listener answers to localhost, 127.0.0.1 and [::1] only, not to the host "${host ?? ""}"`, {
      hint: "Use http://127.0.0.1:<port>; to serve other names, listen on another address.",
    });
  }
}
