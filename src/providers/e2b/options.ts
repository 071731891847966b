import { z } from "zod";
import { ISOLATION_LEVELS } from "../../contract/index.ts";

/** Options of the E2B provider in the configuration file. The key itself never stands there: a file or a variable is named. */
export const E2bOptions = z
  .strictObject({
    api_key_env: z
      .string()
      .min(1)
      .optional()
      .meta({ description: "The environment variable that holds the key; E2B_API_KEY unless given." }),
    api_key_file: z.string().min(1).optional().meta({
      description: "A file that holds the key and nothing else, readable by this account only. It is read when the backend is opened.",
    }),
    domain: z.string().min(1).optional().meta({ description: "Of the E2B installation; e2b.app unless given." }),
    api_url: z.url().optional().meta({ description: "Of the control plane; https://api.<domain> unless given." }),
    sandbox_url: z.url().optional().meta({
      description: "Of the data plane, where all sandboxes share one address; by host names below the domain unless given.",
    }),
    template: z.string().min(1).optional().meta({
      description: 'What every sandbox of this backend is made from; "base" unless given. It needs perl, as every Debian image has it.',
    }),
    workdir: z.string().startsWith("/").optional().meta({
      description: "Where commands and relative paths start; /home/user, the home in E2B's templates, unless given.",
    }),
    isolation: z.enum(ISOLATION_LEVELS).optional().meta({
      description:
        "What the sandboxes are taken for. At e2b.app `microvm`, as E2B says of them; at any other address `process` unless given, since nothing is known of it. Never verified from here.",
    }),
    plan: z
      .strictObject({
        max_seconds: z
          .int()
          .min(1)
          .optional()
          .meta({ description: "Longest life of a sandbox; 3600 (the free plan) unless given. Paid plans have 86400." }),
        concurrency: z
          .int()
          .min(1)
          .optional()
          .meta({ description: "Sandboxes at once, as shown among the backend's limits; 20 unless given. E2B itself refuses more." }),
        create_rate_per_s: z.number().positive().optional().meta({
          description: "Creates a second that are sent from this process; 1 unless given. What would wait longer than 3 s is refused.",
        }),
      })
      .optional()
      .meta({ description: "What the account may do, as its plan says; E2B does not tell." }),
    request_timeout_seconds: z.number().positive().max(600).optional().meta({
      description: "How long one request to E2B may take before it counts as not answered; 30 unless given. Commands are not bound by it.",
    }),
  })
  .refine((options) => options.api_key_env === undefined || options.api_key_file === undefined, {
    path: ["api_key_file"],
    error: "give one of api_key_env and api_key_file",
  });
export type E2bOptions = z.infer<typeof E2bOptions>;

/** The options with their defaults in place. */
export interface Settings {
  readonly domain: string;
  readonly apiUrl: string;
  readonly sandboxUrl: string | undefined;
  readonly template: string;
  readonly workdir: string;
  readonly isolation: (typeof ISOLATION_LEVELS)[number];
  /** What is said of the isolation wherever it is shown. */
  readonly isolationNote: string;
  readonly maxSeconds: number;
  readonly concurrency: number;
  readonly createRate: number;
  readonly requestTimeoutMs: number;
}

const CLOUD = "e2b.app";

/** Fills in the defaults. */
export function settingsOf(options: E2bOptions): Settings {
  const { domain = CLOUD, api_url: apiUrl, sandbox_url: sandboxUrl, plan = {} } = options;
  const theirs = domain === CLOUD && apiUrl === undefined && sandboxUrl === undefined;
  const isolation = options.isolation ?? (theirs ? "microvm" : "process");
  const isolationNote = theirs && options.isolation === undefined
    ? "microvm is what E2B says of its sandboxes; it cannot be verified from here"
    : options.isolation === undefined
      ? "nothing is known of the isolation at this address; the operator may state it in the backend's options"
      : `${isolation} is what the operator states of this backend; it cannot be verified from here`; // prettier-ignore
  return {
    domain,
    apiUrl: (apiUrl ?? `https://api.${domain}`).replace(/\/+$/, ""),
    sandboxUrl: sandboxUrl?.replace(/\/+$/, ""),
    template: options.template ?? "base",
    workdir: options.workdir ?? "/home/user",
    isolation,
    isolationNote,
    maxSeconds: plan.max_seconds ?? 3600,
    concurrency: plan.concurrency ?? 20,
    createRate: plan.create_rate_per_s ?? 1,
    requestTimeoutMs: (options.request_timeout_seconds ?? 30) * 1000,
  };
}
