import { z } from "zod";
import { IsolationLevel } from "./capability.ts";
import { FleetConfig, LedgerAddress, RetentionConfig } from "./fleet.ts";
import { AuditConfig, TelemetryConfig, WebhooksConfig } from "./hub-config.ts";
import { MoneyConfig } from "./money.ts";
import { AllowRule, NetworkLimits, PortVisibility, PublishRange } from "./network.ts";
import { PriceConfig } from "./price.ts";
import { Overrides } from "./profile.ts";
import { Region, RoutingConfig, RoutingFloor } from "./routing.ts";
import { Duration } from "./units.ts";
import { WorkspacesConfig } from "./workspace.ts";

/** One configured provider. */
export const BackendConfig = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  provider: z.string().min(1).meta({ description: '"local", "fake", an npm package, or a path that starts with . or /' }),
  options: z.record(z.string(), z.unknown()).optional(),
  enabled: z.boolean().optional(),
  price: PriceConfig.optional().meta({ description: "A key of the price book, or terms of its own; the provider's entry unless given." }),
  region: Region.optional().meta({ description: "Where it keeps what it is given; what the provider says, or unknown, unless given." }),
  self_hosted: z
    .boolean()
    .optional()
    .meta({ description: "On machines of the operator's own; the provider's word unless given. Local ones are." }),
  create_rate_per_s: z
    .number()
    .positive()
    .max(100_000)
    .optional()
    .meta({ description: "Creates a second that its plan allows; what the provider says unless given." }),
});
export type BackendConfig = z.infer<typeof BackendConfig>;

/** A name with dots and an optional port, as host names of sandboxes end in. */
const Domain = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?$/,
    'must be a host name in lower case, with a port if any, as "sbx.test:8443"',
  );

/** The E2B wire beside our own API. */
export const E2bConfig = z.strictObject({
  enabled: z.boolean().optional().meta({ description: "true unless given." }),
  domain: Domain.optional().meta({ description: "What sandboxes' host names end in; localhost and the server's port unless given." }),
  tls: z
    .strictObject({
      host: z.string().optional().meta({ description: "127.0.0.1 unless given." }),
      port: z.int().min(0).max(65_535).optional().meta({ description: "8443 unless given." }),
      certificate: z
        .string()
        .optional()
        .meta({ description: "PEM file for the domain and everything below it; one for development is made unless given." }),
      key: z.string().optional().meta({ description: "PEM file of its private key." }),
    })
    .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), "certificate and key go together")
    .optional()
    .meta({ description: "A second listener with TLS, for E2B_DOMAIN." }),
});
export type E2bConfig = z.infer<typeof E2bConfig>;

/** What no profile and no request goes beyond. Ports are 443 unless given, here as there. */
export const NetworkFloor = z.strictObject({
  allow: z.array(AllowRule).max(512).optional().meta({ description: "Nothing else can be reached; anything may be listed unless given." }),
  limits: NetworkLimits.optional(),
  audit: z
    .boolean()
    .optional()
    .meta({ description: "Whether a profile may have mode audit; true unless given, and false wherever allow is given." }),
});
export type NetworkFloor = z.infer<typeof NetworkFloor>;

/** The boundary's own way out: for an operator's resolvers and private authorities. */
export const NetworkConfig = z.strictObject({
  resolvers: z.array(z.string().min(1)).min(1).optional().meta({ description: '"ip" or "ip:port"; the system\'s unless given.' }),
  ca_file: z.string().optional().meta({ description: "PEM file of authorities believed beside the system's." }),
});
export type NetworkConfig = z.infer<typeof NetworkConfig>;
/**
 * What profiles may take from this host when a key asks: nothing unless it is listed. The operator at the Unix socket needs no
 * list for profiles that the operator has stored.
 */
const SecretsConfig = z.strictObject({
  env: z.array(z.string().min(1)).optional().meta({ description: "Names of variables of the server." }),
  files: z
    .array(z.string().startsWith("/", "must be an absolute path"))
    .optional()
    .meta({ description: "Files, and directories with all that is below them." }),
  commands: z
    .array(z.array(z.string().min(1)).min(1))
    .optional()
    .meta({ description: 'First words of command lines: ["op", "read"] lets any "op read ..." run.' }),
});
/** Ports of sandboxes, as they are reached through the server. */
export const PreviewConfig = z.strictObject({
  enabled: z
    .boolean()
    .optional()
    .meta({ description: "true unless given; false: no port is reached from outside, whatever a profile lists." }),
  widest: PortVisibility.optional().meta({ description: "No profile and no request goes beyond it; public unless given." }),
  publish: z
    .array(PublishRange)
    .optional()
    .meta({ description: "Ports that may be published while a sandbox lives, whatever its profile; none unless listed." }),
  https: z
    .boolean()
    .optional()
    .meta({ description: "A proxy in front ends TLS: addresses are https and cookies are Secure. false unless given." }),
});
export type PreviewConfig = z.infer<typeof PreviewConfig>;

/** `sand-boxer.yaml`, in the data directory or named by `SANDBOXER_CONFIG`. Every field has a default. */
export const Config = z.strictObject({
  listen: z.strictObject({ host: z.string().optional(), port: z.int().min(0).max(65_535).optional() }).optional(),
  backends: z.array(BackendConfig).optional(),
  floor: Overrides.pick({ ttl: true, idle: true, max_life: true, resources: true })
    .extend({
      isolation_level: z.strictObject({ min: IsolationLevel }).optional(),
      network: NetworkFloor.optional(),
      routing: RoutingFloor.optional(),
    })
    .optional()
    .meta({ description: "The operator's own bounds: no profile and no request goes beyond them." }),
  limits: z
    .strictObject({
      max_sandboxes: z.int().min(1).optional().meta({ description: "Live at once over all tenants; 1000 unless given." }),
      max_sandboxes_per_tenant: z.int().min(1).optional(),
      max_body_bytes: z.int().min(1024).optional().meta({ description: "Of a JSON body; 1 MiB unless given." }),
      max_upload_bytes: z.int().min(1024).optional().meta({ description: "Of one file write; the disk quota bounds it anyway." }),
    })
    .optional(),
  e2b: E2bConfig.optional(),
  network: NetworkConfig.optional(),
  secrets: SecretsConfig.optional(),
  workspaces: WorkspacesConfig.optional(),
  preview: PreviewConfig.optional(),
  ledger: LedgerAddress.optional(),
  fleet: FleetConfig.optional(),
  retention: RetentionConfig.optional(),
  webhooks: WebhooksConfig.optional(),
  audit: AuditConfig.optional(),
  telemetry: TelemetryConfig.optional(),
  routing: RoutingConfig.optional(),
  prices: z.string().min(1).optional().meta({ description: "JSON or YAML file of prices that stand before those of prices.json." }),
  money: MoneyConfig.optional(),
  sweep_interval: Duration.optional().meta({ description: "10s unless given." }),
  log_level: z.enum(["debug", "info", "warn", "error", "silent"]).optional(),
});
export type Config = z.infer<typeof Config>;
