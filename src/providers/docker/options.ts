import { z } from "zod";

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
    ssh_options: z
      .array(z.string().min(1))
      .optional()
      .meta({ description: 'More words for the ssh program of ssh://, as ["-F", "/etc/sbx/ssh_config"].' }),
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
  });
export type DockerOptions = z.infer<typeof DockerOptions>;

/** The options with their defaults in place. */
export interface Settings {
  readonly host: string;
  readonly tls: DockerOptions["tls"];
  readonly sshOptions: readonly string[];
  readonly image: string;
  readonly pull: boolean;
  readonly runtime: string | undefined;
  readonly requestTimeoutMs: number;
}

const DEFAULT_HOST = "unix:///var/run/docker.sock";

/** Fills in the defaults. */
export function settingsOf(options: DockerOptions): Settings {
  return {
    host: options.host ?? (process.env["DOCKER_HOST"] || DEFAULT_HOST),
    tls: options.tls,
    sshOptions: options.ssh_options ?? [],
    image: options.image ?? "debian:12",
    pull: options.pull !== "never",
    runtime: options.runtime,
    requestTimeoutMs: (options.request_timeout_seconds ?? 30) * 1000,
  };
}
