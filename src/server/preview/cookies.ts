/** Cookies of this door. The prefix keeps every other host, also one below the same domain, from planting one where there is TLS. */
export const SECURE_COOKIE = "__Host-sbx_preview";
export const PLAIN_COOKIE = "sbx_preview";
const OURS: ReadonlySet<string> = new Set([SECURE_COOKIE.toLowerCase(), PLAIN_COOKIE]);

/** The values of our cookie; there may be several, as any page below the domain can plant one where there is no TLS. */
export function ourCookies(header: string | undefined, secure: boolean): string[] {
  const name = secure ? SECURE_COOKIE : PLAIN_COOKIE;
  return pairs(header).flatMap(([key, value]) => (key === name ? [value] : []));
}

/** The cookies that are the program's own; undefined where there are none. */
export function theirCookies(header: string | undefined): string | undefined {
  const kept = pairs(header).filter(([key]) => !OURS.has(key.toLowerCase()));
  return kept.length === 0 ? undefined : kept.map(([key, value]) => (value === "" && key === "" ? "" : `${key}=${value}`)).join("; ");
}

function pairs(header: string | undefined): [string, string][] {
  return (header ?? "")
    .split(";")
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map((text) => {
      const at = text.indexOf("=");
      return at === -1 ? ["", text] : [text.slice(0, at), text.slice(at + 1)];
    });
}

/** Our cookie as it is set: for this host alone, never for scripts, and not with what other sites make a browser send. */
export function setOurs(token: string, untilSeconds: number, nowMs: number, secure: boolean): string {
  const age = Math.max(0, Math.floor(untilSeconds - nowMs / 1000));
  return `${secure ? SECURE_COOKIE : PLAIN_COOKIE}=${token}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
}

/**
 * A program's `Set-Cookie` as it is passed on. Its domain is taken out: a cookie of one preview must not be sent to the next. In the
 * form by path its path is put below the prefix. Undefined for one that goes by the name of ours.
 */
export function passedCookie(line: string, prefix: string): string | undefined {
  const [pair = "", ...attributes] = line.split(";");
  if (
    OURS.has(
      pair
        .slice(0, Math.max(0, pair.indexOf("=")))
        .trim()
        .toLowerCase(),
    )
  )
    return undefined;
  const kept = attributes.flatMap((attribute) => {
    const [name = "", ...value] = attribute.split("=");
    const key = name.trim().toLowerCase();
    if (key === "domain") return [];
    if (key === "path" && prefix !== "" && value.join("=").trim().startsWith("/")) return [` Path=${prefix}${value.join("=").trim()}`];
    return [attribute];
  });
  return [pair, ...kept].join(";");
}
