import { z } from "zod";
import { SandboxerError } from "../../contract/index.ts";
import { SshOptions } from "../shared/ssh/options.ts";

/** Options of the Docker provider in the configuration file. */
export const DockerOptions = z
  .strictObject({
    host: z
      .string()
      .regex(/^(unix:\/\/\/|tcp:\/\/|ssh:\/\/)\S+$/, 'must be "unix:///path", "tcp://host:port" or "ssh://[user@]host[:port]"')
      .optional()
      .meta({ description: "Where the engine listens; DOCKER_HOST, or unix:///var/run/docker.sock unless given." }),
    tls: z
      .strictObject({ ca: z.string().min(1), cert: z.string().min(1), key: z.string().min(1) })
      .optional()
      .meta({
        description:
          "PEM files for tcp://: the engine's authority, our certificate and its key. Without it tcp:// is refused unless `insecure`.",
      }),
    insecure: z.boolean().optional().meta({ description: "Lets tcp:// go without TLS: whoever reaches the engine has its host." }),
    ssh: SshOptions.optional().meta({ description: "Instead of `host`: an engine on a host that is reached by SSH, over one connection." }),
    socket: z.string().startsWith("/").optional().meta({ description: "Of the engine on that host; /var/run/docker.sock unless given." }),
    image: z.string().min(1).optional().meta({
      description: 'What stands for `image: host`; "debian:12" unless given. Images need perl, as every Debian image has it.',
    }),
    pull: z
      .enum(["missing", "never"])
      .optional()
      .meta({ description: "Whether images that are not there are pulled; missing unless given." }),
    runtime: z.string().min(1).optional().meta({
      description:
        "An OCI runtime that the engine knows, as runsc or kata; the engine's default unless given. The level it gives is verified.",
    }),
    request_timeout_seconds: z.number().positive().max(600).optional().meta({
      description:
        "How long one request to the engine may take before it counts as not answered; 30 unless given. Pulls and commands are not bound by it.",
    }),
  })
  .refine(({ host, tls, insecure }) => host === undefined || !host.startsWith("tcp://") || tls !== undefined || insecure === true, {
    path: ["tls"],
    error: "tcp:// needs tls, or insecure: true",
  })
  .refine(({ host, ssh }) => host === undefined || ssh === undefined, { path: ["ssh"], error: "give one of host and ssh" });
export type DockerOptions = z.infer<typeof DockerOptions>;

/** Where the engine listens. */
export type Address =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly tls: DockerOptions["tls"] }
  | { readonly kind: "ssh"; readonly ssh: SshOptions; readonly socket: string };

/** The options with their defaults in place. */
export interface Settings {
  readonly address: Address;
  readonly image: string;
  readonly pull: boolean;
  readonly runtime: string | undefined;
  readonly requestTimeoutMs: number;
}

const DEFAULT_SOCKET = "/var/run/docker.sock";

function addressOf({ host, ssh, socket = DEFAULT_SOCKET, tls, insecure }: DockerOptions): Address {
  if (ssh !== undefined) return { kind: "ssh", ssh, socket };
  const named = host ?? process.env["DOCKER_HOST"] ?? "";
  if (named === "") return { kind: "socket", path: DEFAULT_SOCKET };
  if (named.startsWith("unix://")) return { kind: "socket", path: named.slice("unix://".length) };
  const url = new URL(named);
  if (url.protocol === "ssh:") {
    const user = url.username === "" ? {} : { user: decodeURIComponent(url.username) };
    const reach =
      url.port === ""
        ? { form: "ssh-config" as const, host: url.hostname }
        : { form: "direct" as const, address: url.hostname, port: Number(url.port) };
    return { kind: "ssh", ssh: { reach, ...user }, socket };
  }
  if (tls === undefined && insecure !== true)
    throw new SandboxerError("invalid_request", `${named} needs tls, or insecure: true`, {
      phase: "open",
      issues: [{ path: "tls", message: "is not given" }],
    });
  return { kind: "tcp", host: url.hostname, port: Number(url.port || (tls === undefined ? 2375 : 2376)), tls };
}

/** Whether the engine is on another machine. One behind a socket here is this host's alone: others have one of their own under that name. */
export function isElsewhere(options: DockerOptions): boolean {
  return addressOf(options).kind !== "socket";
}

/** Fills in the defaults. */
export function settingsOf(options: DockerOptions): Settings {
  return {
    address: addressOf(options),
    image: options.image ?? "debian:12",
    pull: options.pull !== "never",
    runtime: options.runtime,
    requestTimeoutMs: (options.request_timeout_seconds ?? 30) * 1000,
  };
}
