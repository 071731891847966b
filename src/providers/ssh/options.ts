import { z } from "zod";
import { SshOptions } from "../shared/ssh/options.ts";

/** Below 2^31, beyond which some tools take ids for negative, and above what distributions, systemd and container engines hand out. */
const FIRST_UID = 2_000_000_000;
const UIDS = 65_536;

/** Options of the SSH provider in the configuration file. */
export const SshProviderOptions = SshOptions.extend({
  root: z
    .string()
    .regex(/^\/[A-Za-z0-9._/-]+$/, "must be an absolute path of letters, digits and . _ - /")
    .optional()
    .meta({ description: "Directory at the host for sandboxes and their files; /var/lib/sand-boxer unless given." }),
  first_uid: z
    .int()
    .min(1000)
    .max(2 ** 31 - 2)
    .optional()
    .meta({ description: `The first of the users that sandboxes get there; ${FIRST_UID} unless given.` }),
  uids: z
    .int()
    .min(1)
    .max(UIDS)
    .optional()
    .meta({ description: `How many users there are; ${UIDS} unless given.` }),
  request_timeout_seconds: z.number().positive().max(600).optional().meta({
    description: "How long the host may take for a create, a destroy or a look; 60 unless given. Commands are not bound by it.",
  }),
});
export type SshProviderOptions = z.infer<typeof SshProviderOptions>;

/** The options with their defaults in place. */
export interface Settings {
  readonly ssh: SshOptions;
  readonly root: string;
  readonly firstUid: number;
  readonly uids: number;
  readonly requestTimeoutMs: number;
}

export function settingsOf({ root, first_uid, uids, request_timeout_seconds, ...ssh }: SshProviderOptions): Settings {
  return {
    ssh,
    root: (root ?? "/var/lib/sand-boxer").replace(/\/+$/, ""),
    firstUid: first_uid ?? FIRST_UID,
    uids: uids ?? UIDS,
    requestTimeoutMs: (request_timeout_seconds ?? 60) * 1000,
  };
}
