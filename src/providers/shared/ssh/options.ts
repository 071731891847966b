import { z } from "zod";

const Word = z.string().min(1);

/** Where a host is. */
const Reach = z
  .discriminatedUnion("form", [
    z.strictObject({ form: z.literal("direct"), address: Word, port: z.int().min(1).max(65_535).optional() }),
    z.strictObject({
      form: z.literal("ssh-config"),
      host: Word.meta({ description: "A name in that configuration: its HostName, Port, User, ProxyJump and all else hold." }),
      file: Word.optional().meta({ description: "~/.ssh/config unless given." }),
    }),
    z.strictObject({
      form: z.literal("command"),
      name: Word.meta({ description: "The host as the command knows it." }),
      argv: z
        .array(Word)
        .min(1)
        .meta({ description: "Is given the name as its last word, and prints one JSON object: docs/backends/reachability.md." }),
    }),
    z.strictObject({
      form: z.literal("http"),
      name: Word,
      url: z.url().meta({ description: 'Is sent {"host": name} by POST, and answers with one JSON object.' }),
      token_env: Word.optional().meta({ description: "Variable with a bearer token for it." }),
    }),
  ])
  .meta({ description: "How the host is reached." });

/** Who we are at it. */
const Identity = z
  .discriminatedUnion("form", [
    z.strictObject({ form: z.literal("file"), private_key: Word, certificate: Word.optional() }),
    z.strictObject({ form: z.literal("ssh-agent"), socket: Word.optional().meta({ description: "SSH_AUTH_SOCK unless given." }) }),
    z.strictObject({
      form: z.literal("command"),
      argv: z.array(Word).min(1).meta({ description: "Is given one JSON object on standard input, and prints one with a certificate." }),
      ttl_seconds: z.int().min(30).max(86_400).optional(),
    }),
    z.strictObject({
      form: z.literal("http"),
      url: z.url(),
      token_env: Word.optional(),
      ttl_seconds: z
        .int()
        .min(30)
        .max(86_400)
        .optional()
        .meta({ description: "Of a certificate; 600 unless given. It is renewed after two thirds of it." }),
    }),
  ])
  .meta({ description: "What we log in with. By command and http it is a certificate for a key that is made here and never leaves." });

/** How the host proves that it is who we think. One of them: nothing is ever accepted because it is new. */
const HostKey = z
  .discriminatedUnion("form", [
    z.strictObject({ form: z.literal("known-hosts"), file: Word.optional().meta({ description: "~/.ssh/known_hosts unless given." }) }),
    z.strictObject({ form: z.literal("pinned"), keys: z.array(z.string().regex(/^(ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+/)).min(1) }),
    z.strictObject({ form: z.literal("ca"), keys: z.array(z.string().regex(/^(ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+/)).min(1) }),
  ])
  .meta({ description: "The host's key: one that known_hosts has, these very ones, or one that these authorities have signed." });

/** A host by SSH, as a backend's options name it. */
export const SshOptions = z.strictObject({
  reach: Reach,
  user: Word.optional().meta({ description: "At the host; root unless given, or what the ssh configuration says." }),
  identity: Identity.optional().meta({ description: "The ssh program's own defaults unless given." }),
  host_key: HostKey.optional().meta({ description: "known-hosts unless given." }),
  connect_timeout_seconds: z.int().min(1).max(120).optional().meta({ description: "10 unless given." }),
});
export type SshOptions = z.infer<typeof SshOptions>;
export type Reach = z.infer<typeof Reach>;
export type Identity = z.infer<typeof Identity>;
export type HostKey = z.infer<typeof HostKey>;
