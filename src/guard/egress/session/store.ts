import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";
import type { BoundSecret, EgressSession } from "../../../contract/network.ts";
import type { Sealer } from "../../secrets/index.ts";
import type { Authority } from "../inspect/types.ts";
import type { Counters } from "./session.ts";

/** All that a restarted boundary needs to go on with one sandbox. */
export interface Stored {
  readonly session: EgressSession;
  readonly authority: Authority;
  /** Where it was attached; null where it was not. */
  readonly namespace: string | null;
}

/** Ids become file names. */
const ID = /^[A-Za-z0-9_-]{1,128}$/;

/** Sessions on disk, 0600, a file each and beside it one for its counters; the secrets and the CA's key are sealed. */
export class SessionStore {
  readonly #directory: string;
  readonly #sealer: Sealer;

  constructor(directory: string, sealer: Sealer) {
    this.#directory = directory;
    this.#sealer = sealer;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  ids(): string[] {
    return readdirSync(this.#directory).flatMap((name) => /^(.+)\.json$/.exec(name)?.[1] ?? []);
  }

  /** @throws SandboxerError `secret_unavailable` where it cannot be opened; another error where it cannot be read. */
  read(id: string): Stored {
    const { secrets, authority, namespace, ...session } = JSON.parse(readFileSync(this.#path(id, "json"), "utf8")) as OnDisk;
    return {
      session: { ...session, secrets: JSON.parse(this.#sealer.open(secrets, context(id, "secrets"))) as BoundSecret[] },
      authority: { certPem: authority.certPem, keyPem: this.#sealer.open(authority.key, context(id, "ca")) },
      namespace,
    };
  }

  write({ session, authority, namespace }: Stored): void {
    const onDisk: OnDisk = {
      ...session,
      secrets: this.#sealer.seal(JSON.stringify(session.secrets), context(session.id, "secrets")),
      authority: { certPem: authority.certPem, key: this.#sealer.seal(authority.keyPem, context(session.id, "ca")) },
      namespace,
    };
    this.#replace(session.id, "json", JSON.stringify(onDisk));
  }

  counters(id: string): Counters {
    try {
      return JSON.parse(readFileSync(this.#path(id, "counters"), "utf8")) as Counters;
    } catch (thrown) {
      if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return { seq: 0, up: 0, down: 0 };
      throw thrown;
    }
  }

  writeCounters(id: string, counters: Counters): void {
    this.#replace(id, "counters", JSON.stringify(counters));
  }

  /** Where the sandbox's synthetic addresses are kept. */
  namesPath(id: string): string {
    return this.#path(id, "names");
  }

  remove(id: string): void {
    for (const kind of ["json", "counters", "names"] as const) rmSync(this.#path(id, kind), { force: true });
  }

  /** Whole or not at all: a crash leaves the old one. */
  #replace(id: string, kind: "json" | "counters", text: string): void {
    const path = this.#path(id, kind);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  #path(id: string, kind: "json" | "counters" | "names"): string {
    if (!ID.test(id)) throw new SandboxerError("invalid_request", "that is no sandbox's id");
    return join(this.#directory, `${id}.${kind}`);
  }
}

interface OnDisk extends Omit<EgressSession, "secrets"> {
  readonly secrets: string;
  readonly authority: { readonly certPem: string; readonly key: string };
  readonly namespace: string | null;
}

function context(id: string, what: string): string {
  return `boundary session ${id} ${what}`;
}
