import { execFile } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { SandboxerError } from "../../../contract/index.ts";
import { askCommand, askHttp } from "./ask.ts";
import type { Identity } from "./options.ts";

const run = promisify(execFile);

/** What a `command` or `http` form answers. The wire that ops-warden, or anything else, plugs in by: docs/backends/reachability.md. */
export const IdentityAnswer = z.strictObject({
  certificate: z.string().regex(/^\S+-cert-v01@openssh\.com [A-Za-z0-9+/=]+/, "must be an OpenSSH certificate"),
  expires_at: z.iso.datetime(),
});

const DEFAULT_TTL_S = 600;

/** Who a host is asked to let in. */
export interface Purpose {
  readonly principal: string;
  readonly host: string;
  readonly backend: string;
}

/** What we log in with, and for how long it is good. */
export interface Credentials {
  readonly options: readonly string[];
  /** Epoch ms after which a new connection should have newer ones; undefined for what does not expire. */
  readonly renewAt: number | undefined;
}

/** Issues what ssh logs in with, and renews what is short-lived. Its directory is private, and has the key that certificates are for. */
export class Issuer {
  readonly #identity: Identity | undefined;
  readonly #directory: string;
  #issued: Credentials | undefined;
  #issuing: Promise<Credentials> | undefined;

  constructor(identity: Identity | undefined, directory: string) {
    this.#identity = identity;
    this.#directory = directory;
  }

  /** Good credentials; those that are two thirds through their life are replaced first. Many callers share one issue. */
  async credentials(purpose: Purpose, signal: AbortSignal): Promise<Credentials> {
    if (this.#issued !== undefined && (this.#issued.renewAt ?? Infinity) > Date.now()) return this.#issued;
    this.#issuing ??= this.#issue(purpose, signal).finally(() => (this.#issuing = undefined));
    return (this.#issued = await this.#issuing);
  }

  async #issue(purpose: Purpose, signal: AbortSignal): Promise<Credentials> {
    const identity = this.#identity;
    if (identity === undefined) return { options: [], renewAt: undefined };
    if (identity.form === "file") return { options: only(identity.private_key, identity.certificate), renewAt: undefined };
    if (identity.form === "ssh-agent")
      return { options: identity.socket === undefined ? [] : ["-o", `IdentityAgent=${identity.socket}`], renewAt: undefined };
    const key = await this.#key();
    const ttl = identity.ttl_seconds ?? DEFAULT_TTL_S;
    const publicKey = readFileSync(`${key}.pub`, "utf8").trim();
    const question = {
      what: `a certificate for ${purpose.principal} at ${purpose.host}`,
      body: {
        principal: purpose.principal,
        purpose: `sand-boxer backend ${purpose.backend} at ${purpose.host}`,
        ttl_seconds: ttl,
        public_key: publicKey,
      },
      answer: IdentityAnswer,
    };
    const asked = Date.now();
    const answer =
      identity.form === "command"
        ? await askCommand(identity.argv, question, signal)
        : await askHttp({ url: identity.url, tokenEnv: identity.token_env }, question, signal);
    // Two thirds of what is left, and never more of it than was asked for: the clock of whoever issued it may be another one.
    const life = Math.min(Date.parse(answer.expires_at) - asked, ttl * 1000);
    if (life <= 0) throw new SandboxerError("backend_auth", `${question.what}: it has expired already`, { phase: "connect" });
    writeFileSync(`${key}-cert.pub`, `${answer.certificate.trim()}\n`, { mode: 0o600 });
    return { options: only(key, `${key}-cert.pub`), renewAt: asked + (life * 2) / 3 };
  }

  async #key(): Promise<string> {
    const path = join(this.#directory, "key");
    if (existsSync(path) && existsSync(`${path}.pub`)) return path;
    for (const file of [path, `${path}.pub`]) rmSync(file, { force: true });
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "sand-boxer", "-f", path]);
    return path;
  }
}

/** That key and no other, whatever an agent or a configuration has. */
function only(key: string, certificate: string | undefined): string[] {
  return [
    "-i",
    key,
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "IdentityAgent=none",
    ...(certificate === undefined ? [] : ["-o", `CertificateFile=${certificate}`]),
  ];
}
