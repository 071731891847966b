import { type PortAddress, type PortInfo, SandboxerError } from "../../contract/index.ts";
import type { Publication } from "../../engine/publication.ts";
import { TOKEN_PARAMETER } from "./headers.ts";
import { type ListenedPorts, originOf } from "./origins.ts";
import type { PreviewOptions } from "./door.ts";
import { type PreviewTokens, previewTokens } from "./tokens.ts";

const DEFAULT_SECONDS = 3600;
/** A one-time address is for the browser in front of whoever asked for it. */
const GRANT_SECONDS = 300;

/** How published ports are reached from outside. */
export class PreviewAddresses {
  readonly #options: PreviewOptions;
  readonly #ports: ListenedPorts;
  readonly #tokens: PreviewTokens;

  constructor(options: PreviewOptions, ports: ListenedPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#tokens = previewTokens(options.secret);
  }

  describe(publication: Publication): PortInfo {
    const { sandboxId, port, visibility, source, expiresAt } = publication;
    const origin = originOf(this.#options, this.#ports, sandboxId, port);
    return {
      object: "port",
      sandbox_id: sandboxId,
      port,
      visibility,
      source,
      expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
      url: origin === null ? null : `${origin}/`,
      path: `/p/${sandboxId}/${port}/`,
    };
  }

  /**
   * An address that lets its holder in: for a token port as often as he likes until it expires, for a private one once.
   *
   * @throws SandboxerError `wrong_state` where no server listens.
   */
  sign(
    publication: Publication,
    keyId: string | null,
    { ttl = DEFAULT_SECONDS, path = "/" }: { ttl?: number; path?: string },
  ): PortAddress {
    const { sandboxId, port, visibility } = publication;
    const origin = originOf(this.#options, this.#ports, sandboxId, port);
    if (origin === null)
      throw new SandboxerError("wrong_state", "no server listens that could be addressed", { hint: "Start one with 'sand-boxer serve'." });
    const of = { object: "port_address", once: visibility === "private" } as const;
    if (visibility === "public") return { ...of, url: origin + path, open_until: null, expires_at: null };
    const now = Math.floor(Date.now() / 1000);
    const end = publication.expiresAt === null ? Infinity : Math.floor(publication.expiresAt / 1000);
    const visitUntil = Math.min(end, now + Math.ceil(ttl));
    const until = visibility === "token" ? visitUntil : Math.min(visitUntil, now + GRANT_SECONDS);
    const kind = visibility === "token" ? "address" : "grant";
    const token = this.#tokens.make(publication, { kind, until, visitUntil, keyId });
    const [before = "", fragment] = path.split("#");
    const time = (seconds: number): string => new Date(seconds * 1000).toISOString();
    return {
      ...of,
      url: `${origin}${before}${before.includes("?") ? "&" : "?"}${TOKEN_PARAMETER}=${token}${fragment === undefined ? "" : `#${fragment}`}`,
      open_until: time(until),
      expires_at: time(visitUntil),
    };
  }
}
