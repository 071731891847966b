import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Publication } from "../../engine/publication.ts";

/**
 * What can be presented: `address` in the query of a token port's address, `visit` in the cookie that it is changed for;
 * `grant` in the query of a private port's one-time address, `session` in its cookie. None passes for another.
 */
export type Kind = "address" | "visit" | "grant" | "session";

/** What a token says. */
export interface Said {
  readonly kind: Kind;
  /** Epoch seconds: after that it is presented in vain. */
  readonly until: number;
  /** Epoch seconds: how long the cookie holds that it is changed for. */
  readonly visitUntil: number;
  /** Whose key stands behind it; null: none that could be revoked. */
  readonly keyId: string | null;
  /** Names it among all others. */
  readonly nonce: string;
}

const LETTER: Readonly<Record<Kind, string>> = { address: "a", visit: "v", grant: "g", session: "s" };
const FORM = /^([avgs])\.([0-9a-z]{1,9})\.([0-9a-z]{1,9})\.(ky[0-9a-z]{22}|-)\.([\w-]{16})\.([\w-]{43})$/;
type Bound = Pick<Publication, "sandboxId" | "port" | "generation" | "serial">;

/** Makes and reads them. Nothing is stored: they are signed under a secret of the data directory. */
export interface PreviewTokens {
  /** For this sandbox, port, generation and serial, and no other. */
  make(publication: Bound, said: Omit<Said, "nonce">): string;
  /** What a token says; undefined where it was not made for that, was changed, or is another kind. Constant time. `expired`: it was right once. */
  read(publication: Bound, kind: Kind, token: string, nowMs: number): Said | "expired" | undefined;
}

/** @param secret Read when the first token is needed. */
export function previewTokens(secret: () => Uint8Array): PreviewTokens {
  const sign = ({ sandboxId, port, generation, serial }: Bound, text: string): Buffer =>
    createHmac("sha256", secret()).update(`preview:${sandboxId}:${port}:${generation}:${serial}:${text}`).digest();
  return {
    make(publication, { kind, until, visitUntil, keyId }) {
      const nonce = randomBytes(12).toString("base64url");
      const text = [LETTER[kind], until.toString(36), visitUntil.toString(36), keyId ?? "-", nonce].join(".");
      return `${text}.${sign(publication, text).toString("base64url")}`;
    },
    read(publication, kind, token, nowMs) {
      const [, letter, until = "", visitUntil = "", keyId = "", nonce = "", signature = ""] = FORM.exec(token) ?? [];
      if (letter !== LETTER[kind]) return undefined;
      const given = Buffer.from(signature, "base64url");
      const right = sign(publication, token.slice(0, token.lastIndexOf(".")));
      if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
      const said: Said = {
        kind,
        until: Number.parseInt(until, 36),
        visitUntil: Number.parseInt(visitUntil, 36),
        keyId: keyId === "-" ? null : keyId,
        nonce,
      };
      return said.until * 1000 <= nowMs ? "expired" : said;
    },
  };
}
