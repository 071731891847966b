import type { IncomingHttpHeaders } from "node:http";
import { type Principal, SandboxerError } from "../../contract/index.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Publication, Visitor } from "../../engine/publication.ts";
import { authorityOf, type Place } from "./address.ts";
import { ourCookies, setOurs } from "./cookies.ts";
import { TOKEN_PARAMETER } from "./headers.ts";
import type { PreviewTokens, Said } from "./tokens.ts";

/** What of a request says who sent it. */
export interface Asked {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly secure: boolean;
  readonly isUpgrade: boolean;
  /** Who a request without a key is, on the Unix socket. */
  readonly principal: Principal | undefined;
}

export interface Admitted {
  readonly visitor: Visitor;
  /** Where a token came in the query: the cookie that it is changed for. */
  readonly cookie?: string;
}

const KEY = /^(?:sbx|e2b)_([0-9a-f]{40})$/;
const TOKEN_HEADER = "x-sandboxer-token";
const KEY_HEADER = "x-sandboxer-key";

/** One answer for what is not published, not there, another tenant's, or not for whoever asks. */
export function nothingHere(): SandboxerError {
  return new SandboxerError("not_found", "there is no preview at this address that you may see", {
    hint: "A private one opens with an address from 'sand-boxer ports url ID PORT', or with a key in the header X-Sandboxer-Key.",
  });
}

/** Says who may visit a published port. */
export class PreviewGate {
  readonly #engine: Engine;
  readonly #tokens: PreviewTokens;

  constructor(engine: Engine, tokens: PreviewTokens) {
    this.#engine = engine;
    this.#tokens = tokens;
  }

  /**
   * Anyone for a public port; else a key of the tenant that may write, a token where tokens are given out, or a cookie that one
   * was changed for.
   *
   * @throws SandboxerError `not_found`; `unauthorized` for a token of this very port that has expired; `forbidden` for a page of
   * another origin, whose visitor may see the port.
   */
  async admit(publication: Publication, place: Place, asked: Asked): Promise<Admitted> {
    const of = (keyId: string | null): Visitor => ({ publication, keyId });
    if (publication.visibility === "public") return { visitor: of(null) };
    const who = await this.#keyHolder(asked);
    if (who !== undefined) {
      if (!mayUse(who, publication)) throw nothingHere();
      checkOrigin(asked, false);
      return { visitor: of(who.key_id) };
    }
    const presented = tokenOf(place, asked);
    if (presented !== undefined) return this.#byToken(publication, place, asked, presented);
    const now = Date.now();
    const kind = publication.visibility === "token" ? "visit" : "session";
    for (const cookie of place.form === "host" ? ourCookies(asked.headers.cookie, asked.secure) : []) {
      const said = this.#tokens.read(publication, kind, cookie, now);
      if (said === undefined || said === "expired" || !(await this.#stands(said))) continue;
      checkOrigin(asked, true);
      return { visitor: of(said.keyId) };
    }
    throw nothingHere();
  }

  async #byToken(publication: Publication, place: Place, asked: Asked, token: string): Promise<Admitted> {
    const isToken = publication.visibility === "token";
    const now = Date.now();
    const said = this.#tokens.read(publication, isToken ? "address" : "grant", token, now);
    if (said === "expired") throw expired();
    if (said === undefined || !(await this.#stands(said))) throw nothingHere();
    checkOrigin(asked, false);
    // One-time addresses are for browsers that open them, and keep the session; programs have keys.
    if (
      !isToken &&
      (place.form !== "host" ||
        asked.isUpgrade ||
        asked.method !== "GET" ||
        !(await this.#engine.ports.redeem(said.nonce, said.until * 1000)))
    )
      throw nothingHere();
    const { keyId, visitUntil } = said;
    const cookie = this.#tokens.make(publication, { kind: isToken ? "visit" : "session", until: visitUntil, visitUntil, keyId });
    return {
      visitor: { publication, keyId },
      ...(place.form === "host" && !asked.isUpgrade ? { cookie: setOurs(cookie, visitUntil, now, asked.secure) } : {}),
    };
  }

  /** Whoever has lost his key has given away nothing that still holds. */
  async #stands({ keyId }: Said): Promise<boolean> {
    return keyId === null || this.#engine.keys.holds(keyId);
  }

  /** A key that is presented always counts: a wrong one lets nobody in by another way. */
  async #keyHolder({ headers, principal }: Asked): Promise<Principal | undefined> {
    const key = keyOf(headers);
    if (key === undefined) return principal;
    const who = await this.#engine.keys.authenticate(key);
    if (who === undefined) throw nothingHere();
    return who;
  }
}

/** In its own header, or in the usual ones where it has the form of ours: those may be the program's. */
function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const own = headers[KEY_HEADER];
  if (typeof own === "string") return toOwnForm(own) ?? own;
  const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
  return toOwnForm(bearer ?? "") ?? toOwnForm([headers["x-api-key"]].flat()[0] ?? "");
}

function toOwnForm(key: string): string | undefined {
  const digits = KEY.exec(key)?.[1];
  return digits === undefined ? undefined : `sbx_${digits}`;
}

function mayUse(who: Principal, { tenant, project }: Publication): boolean {
  if (who.scopes.includes("admin")) return true;
  return who.tenant === tenant && (who.project === undefined || who.project === project) && who.scopes.includes("write");
}

function tokenOf({ url }: Place, { headers }: Asked): string | undefined {
  const header = headers[TOKEN_HEADER];
  if (typeof header === "string") return header;
  const query = url.split("?")[1] ?? "";
  return query
    .split("&")
    .find((pair) => pair.startsWith(`${TOKEN_PARAMETER}=`))
    ?.slice(TOKEN_PARAMETER.length + 1);
}

/**
 * Other pages must not act through what a browser sends along by itself. Previews below one domain count as one site to a browser, so
 * `SameSite` does not keep them apart.
 *
 * @param isAmbient Whether the browser sent the credentials by itself.
 */
function checkOrigin({ method, headers, isUpgrade, secure }: Asked, isAmbient: boolean): void {
  const { origin } = headers;
  const own = `${secure ? "https" : "http"}://${authorityOf(headers)}`;
  const isOwn = origin === own || (origin !== undefined && URL.canParse(origin) && new URL(origin).origin === own);
  if (isUpgrade) {
    if (isOwn || (origin === undefined && !isAmbient)) return;
    throw foreign(origin);
  }
  if (!isAmbient) return;
  const site = headers["sec-fetch-site"];
  const isSafe = method === "GET" || method === "HEAD";
  const isVisit = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document" && isSafe;
  if (site === "same-origin" || site === "none" || isVisit) return;
  // Without the browser's own word: what changes something names its origin.
  if (site === undefined && (origin === undefined ? isSafe : isOwn)) return;
  throw foreign(origin);
}

function foreign(origin: string | undefined): SandboxerError {
  return new SandboxerError(
    "forbidden",
    `a page of ${origin === undefined ? "another origin" : `the origin "${origin}"`} may not use this preview`,
    {
      hint: "Only the preview's own pages may, unless the port is public.",
    },
  );
}

function expired(): SandboxerError {
  return new SandboxerError("unauthorized", "this address has expired", { hint: "Ask for a new one: 'sand-boxer ports url ID PORT'." });
}
