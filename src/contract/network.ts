import { z } from "zod";
import { Duration, Size } from "./units.ts";

/** An HTTP method as it stands in a request. */
const Method = z.string().regex(/^[A-Z]{1,20}$/, "must be a method in capitals, as GET");

/** A path, exact or with `*` for any run of characters, as in `/repos/*`; the query is not part of it. */
const PathPattern = z
  .string()
  .regex(/^\/[\x21-\x7e]*$/, 'must begin with "/"')
  .max(1024);

/** A TCP port. */
export const Port = z.int().min(1).max(65_535);

/** `passthrough`: the server name is checked and the bytes go on untouched. `inspect`: TLS ends at the boundary under the sandbox's own CA. */
export const TlsMode = z.enum(["passthrough", "inspect"]);
export type TlsMode = z.infer<typeof TlsMode>;

/**
 * One thing that a sandbox may reach: a host by name, exact or `*.` and a suffix (which does not match the suffix itself), or
 * addresses. Private, loopback and link-local addresses are reached only where a rule's `cidr` names exactly that one address.
 */
export const AllowRule = z
  .strictObject({
    host: z.string().min(1).max(255).optional().meta({ description: '"api.example.com", or "*.example.com" for every name below it.' }),
    cidr: z.string().min(1).max(64).optional().meta({ description: "Instead of host: an IPv4 address or range." }),
    ports: z.array(Port).min(1).max(64).optional().meta({ description: "443 unless given; with tls: inspect too." }),
    methods: z.array(Method).optional().meta({ description: "Any unless given. Seen only in plain HTTP and with tls: inspect." }),
    paths: z
      .array(PathPattern)
      .max(256)
      .optional()
      .meta({ description: "Any unless given. Seen only in plain HTTP and with tls: inspect." }),
    tls: TlsMode.optional().meta({ description: "passthrough unless given." }),
    websocket: z.boolean().optional().meta({ description: "May an inspected connection become a WebSocket; false unless given." }),
  })
  .refine(({ host, cidr }) => (host === undefined) !== (cidr === undefined), 'must have either "host" or "cidr"');
export type AllowRule = z.infer<typeof AllowRule>;

/** Bounds of all of a sandbox's traffic together. */
export const NetworkLimits = z.strictObject({
  connections: z.int().min(1).max(100_000).optional().meta({ description: "Open at once; 1024 unless given." }),
  bandwidth: Size.optional().meta({ description: "Bytes a second, each way; unlimited unless given." }),
  bytes: Size.optional().meta({ description: "In its whole life, both ways together; unlimited unless given." }),
  idle: Duration.optional().meta({ description: "A connection on which nothing moves ends after this; 10m unless given." }),
});
export type NetworkLimits = z.infer<typeof NetworkLimits>;

/** Who may reach a port from outside: whoever has a key of the tenant, whoever has a signed address, or anyone. */
export const PortVisibility = z.enum(["private", "token", "public"]);
export type PortVisibility = z.infer<typeof PortVisibility>;

export const PublishedPort = z.strictObject({
  port: Port,
  visibility: PortVisibility.optional().meta({ description: "private unless given." }),
});
export type PublishedPort = z.infer<typeof PublishedPort>;

/** Ports that may be published while a sandbox lives, and how wide at most. */
export const PublishRange = z
  .strictObject({
    from: Port,
    to: Port,
    visibility: PortVisibility.optional().meta({ description: "The widest that may be asked for; private unless given." }),
  })
  .refine(({ from, to }) => from <= to, '"from" must not be after "to"');
export type PublishRange = z.infer<typeof PublishRange>;

/** What a sandbox may reach and who may reach it. Nothing, unless it is listed: a missing or empty list denies. */
export const Network = z
  .strictObject({
    default: z.literal("deny").optional(),
    mode: z.enum(["enforce", "audit"]).optional().meta({
      description: "audit lets out what no rule allows, and writes it down as such; never to private addresses. enforce unless given.",
    }),
    allow: z.array(AllowRule).max(512).optional(),
    limits: NetworkLimits.optional(),
    ports: z.array(PublishedPort).max(64).optional().meta({ description: "Ports inside that can be reached through the server." }),
    publish: z
      .array(PublishRange)
      .max(64)
      .optional()
      .meta({ description: "Further ports that may be published while the sandbox lives; none unless listed." }),
  })
  .meta({ id: "Network" });
export type Network = z.infer<typeof Network>;

/** A rule as the boundary reads it: every default filled in, the host in its canonical form. */
export interface EgressRule {
  /** What an event and a 403 call it: `allow[2]`, its place in the profile's list. */
  readonly id: string;
  readonly host?: string;
  readonly cidr?: string;
  readonly ports: readonly number[];
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
  readonly tls: TlsMode;
  readonly websocket: boolean;
}

export interface EgressLimits {
  readonly connections: number;
  /** Bytes a second each way; null: unlimited. */
  readonly bytesPerSecond: number | null;
  /** Both ways together, over the sandbox's life; null: unlimited. */
  readonly bytes: number | null;
  readonly idleMs: number;
}

/** One sandbox's whole policy. Plain data: it crosses a process border and is stored. */
export interface EgressPolicy {
  readonly mode: "enforce" | "audit";
  readonly rules: readonly EgressRule[];
  readonly limits: EgressLimits;
}

/** How a secret is put into requests that leave. */
export interface SecretBinding {
  /** The profile's name for it. */
  readonly name: string;
  /** What stands for it inside: `sbx_secret_` and random text, of this sandbox alone. */
  readonly placeholder: string;
  /** `bearer` and `basic` set Authorization (`basic` with `username`, "x-access-token" unless given), `header` sets the named one. */
  readonly inject: { readonly type: "bearer" | "basic" | "header"; readonly header?: string; readonly username?: string };
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
  /** Where else the placeholder is replaced by the value, beside the header; nowhere unless listed. */
  readonly replaceIn: readonly ("query" | "path" | "body")[];
  /** What a placeholder in the wrong place does beyond the 403. */
  readonly onViolation: "block" | "terminate";
}

/** A binding with the value itself. Exists in memory on the way to the boundary, and there; never stored or logged as it is. */
export interface BoundSecret {
  readonly binding: SecretBinding;
  /** Empty where it is revoked. */
  readonly value: string;
  /** The value was removed or cannot be had: a request that it would go into is denied, and its placeholder stays one of this sandbox's. */
  readonly revoked?: true;
}

/** Why something was denied; `error` is a failure of ours or of the far side, not a verdict of the policy. */
export const DENY_REASONS = [
  "no_rule", "port", "method", "path", "websocket", "bad_name", "no_server_name", "name_mismatch", "address_forbidden",
  "placeholder", "secret_needs_inspect", "upstream_certificate", "limit", "protocol", "policy_changed", "error",
] as const; // prettier-ignore
export type DenyReason = (typeof DENY_REASONS)[number];

/** What the boundary decided about one connection, request or name, and what moved. Names no secret's value. */
export const NetworkVerdict = z
  .object({
    seq: z.int().meta({ description: "Counts this sandbox's entries from 1." }),
    at: z.iso.datetime({ offset: true }),
    sandbox_id: z.string(),
    protocol: z.enum(["dns", "tls", "http", "https", "websocket", "tcp"]),
    via: z.enum(["transparent", "connect", "socks", "proxy", "dns"]),
    host: z.string().meta({ description: "As asked for; an address where no name was given." }),
    port: z.int(),
    address: z.string().nullable().meta({ description: "What was dialled; null where nothing was." }),
    method: z.string().nullable(),
    path: z.string().nullable().meta({ description: "Without the query." }),
    verdict: z.enum(["allow", "deny", "audit"]).meta({ description: "audit: let out by mode audit alone." }),
    rule: z.string().nullable(),
    reason: z.enum(DENY_REASONS).nullable(),
    detail: z.string().nullable().meta({ description: "The reason in words, with what to ask for." }),
    secret: z.string().nullable().meta({ description: "Name of the secret that was put in, or whose placeholder was blocked." }),
    bytes_up: z.int(),
    bytes_down: z.int(),
    ms: z.number().meta({ description: "From the first byte to the end." }),
  })
  .meta({ id: "NetworkVerdict" });
export type NetworkVerdict = z.infer<typeof NetworkVerdict>;

/** What a provider puts into a sandbox that has egress: how programs inside find the boundary and believe it. */
export interface EgressInside {
  /** The sandbox's own CA, PEM. Belongs into the system's bundle. */
  readonly caPem: string;
}

/** Where the boundary listens inside a sandbox's network namespace. Ports below 1024: nothing inside can take them. */
export const INSIDE = {
  /** Every TCP connection to an address that is not loopback arrives here, with its destination as the local address. */
  transparentPort: 1,
  httpProxyPort: 808,
  socksPort: 809,
  dnsPort: 53,
  address: "127.0.0.1",
} as const;

/** A sandbox as the boundary knows it. */
export interface EgressSession {
  readonly id: string;
  readonly tenant: string;
  readonly generation: number;
  readonly policy: EgressPolicy;
  readonly secrets: readonly BoundSecret[];
}

/**
 * What says no to packets: a process of its own beside the engine, one a data directory. It holds the CAs' keys and the secrets'
 * values, keeps each session on disk (values encrypted), and goes on with the same policy when it is started again. While
 * it is dead nothing gets out. Every method throws `SandboxerError`: `backend_unavailable` where the process does not answer.
 */
export interface Boundary {
  /** Before the sandbox exists: makes its CA. Safe to repeat for one id and generation: gives back the same. */
  prepare(session: EgressSession): Promise<EgressInside>;
  /**
   * Listens inside the namespace (a path that setns(2) takes), and proves from inside it that what must fail fails. Safe to repeat.
   *
   * @throws SandboxerError `isolation_unavailable` where the proof fails; nothing listens then.
   */
  attach(id: string, namespace: string): Promise<void>;
  /** Replaces the policy; open connections that it no longer allows are closed, and counted. */
  update(id: string, policy: EgressPolicy): Promise<{ closed: number }>;
  /** How many open connections `update` would close now. Changes nothing. */
  review(id: string, policy: EgressPolicy): Promise<{ closed: number }>;
  /** `ip:port` of what no sandbox may reach whatever its rules say, beside what was given before; 0.0.0.0 is every address of the host. */
  protect(addresses: readonly string[]): Promise<void>;
  /** Replaces the secrets; the next request has the new ones. Throws `sandbox_not_found` where there is no such session. */
  secrets(id: string, secrets: readonly BoundSecret[]): Promise<void>;
  /** Ends its connections and forgets everything of it. Safe to repeat. */
  remove(id: string): Promise<void>;
  /** All sessions, for the sweep. */
  sessions(): Promise<readonly { id: string; generation: number; attached: boolean }[]>;
  /** What moved so far; undefined for one that it does not know. */
  traffic(id: string): Promise<{ bytesUp: number; bytesDown: number; open: number } | undefined>;
  /** Entries of all sandboxes from a cursor on, oldest first; the cursor to go on from. Empty at the end of what there is. */
  verdicts(cursor: string | null, limit: number): Promise<{ entries: readonly NetworkVerdict[]; cursor: string }>;
  close(): Promise<void>;
}
