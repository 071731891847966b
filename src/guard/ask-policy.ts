import { type AllowRule, type EgressPolicy, type NetworkCheck, SandboxerError } from "../contract/index.ts";
import { canonicalHost, classifyAddress, decide, decideConnection, isAddress } from "./egress/policy/index.ts";

/** An address as somebody inside would ask for it. */
export interface Asked {
  readonly scheme: "http" | "https" | "tcp";
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly websocket: boolean;
}

const SCHEMES = {
  "http:": { scheme: "http", port: 80, websocket: false },
  "https:": { scheme: "https", port: 443, websocket: false },
  "ws:": { scheme: "http", port: 80, websocket: true },
  "wss:": { scheme: "https", port: 443, websocket: true },
  "tcp:": { scheme: "tcp", port: 0, websocket: false },
} as const;

function refused(message: string): SandboxerError {
  return new SandboxerError("invalid_request", `url: ${message}`, { issues: [{ path: "url", message }] });
}

/**
 * Reads an address strictly, as the boundary does.
 *
 * @throws SandboxerError `invalid_request` for what is no address, and for a host that the boundary would not take.
 */
export function readTarget(text: string, method: string): Asked {
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  if (url === null) throw refused("is not an address");
  const known = Object.entries(SCHEMES).find(([name]) => name === url.protocol)?.[1];
  if (known === undefined) throw refused(`"${url.protocol}" is none of ${Object.keys(SCHEMES).join(" ")}`);
  // As it was written: the URL class would turn 0x7f.1 into 127.0.0.1, which the boundary does not.
  const written = /^[a-z]+:\/\/(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)/i.exec(text.includes("://") ? text : `https://${text}`)?.[1] ?? "";
  const host = canonicalHost(written);
  if (host === undefined) throw refused(`"${written}" is no host name that can be allowed`);
  const port = url.port === "" ? known.port : Number(url.port);
  if (port === 0) throw refused("needs a port");
  return { scheme: known.scheme, host, port, method, path: url.pathname === "" ? "/" : url.pathname, websocket: known.websocket };
}

/** The narrowest rule that would let it through; null where no rule can. */
function neededRule({ scheme, host, port, method, path, websocket }: Asked, reason: string | null, seen: boolean): AllowRule | null {
  const address = isAddress(host);
  if (address && classifyAddress(host).kind === "never") return null;
  const place = { ...(address ? { cidr: `${host}/32` } : { host }), ports: [port] };
  if (!seen && reason !== "method" && reason !== "path" && reason !== "websocket") return place;
  return {
    ...place,
    methods: [method],
    paths: [path],
    ...(scheme === "https" ? { tls: "inspect" as const } : {}),
    ...(websocket ? { websocket } : {}),
  };
}

/** What a policy says to an address, with what to ask for where it says no. */
export function askPolicy(policy: EgressPolicy, asked: Asked): Omit<NetworkCheck, "object" | "profile" | "url" | "method"> {
  const { scheme, host, port, method, path, websocket } = asked;
  const protocol = scheme === "https" ? "tls" : scheme;
  const connection = decideConnection(policy, { host, port, protocol });
  const read = connection.inspect && scheme !== "tcp";
  const decision = read ? decide(policy, { scheme, host, port, method, path, websocket }) : connection;
  const rule = policy.rules.find(({ id }) => id === decision.rule);
  const notes = [
    ...(decision.verdict === "allow" && !read ? ["the rule sees no requests: whatever method and path go through"] : []),
    ...(decision.verdict === "audit" ? ["let out by mode audit alone, and written down as such"] : []),
    ...(decision.verdict !== "deny" && !isAddress(host)
      ? ["the name is resolved when it is dialled; addresses that are not public are refused even so"]
      : []),
  ];
  return {
    verdict: decision.verdict,
    rule: decision.rule,
    tls: rule?.tls ?? null,
    reason: decision.reason,
    detail: decision.detail,
    note: notes.length === 0 ? null : notes.join("; "),
    needed: decision.verdict === "allow" ? null : neededRule(asked, decision.reason, read),
  };
}
