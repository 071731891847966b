import { z } from "zod";

/** The name of a secret: what a profile's `source: { vault: NAME }` and the API's address say. */
export const SecretName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, "must be letters, digits and _ . -, at most 128, and begin with a letter, a digit or _")
  .meta({ id: "SecretName", examples: ["github-token"] });

/** Bytes of a value in UTF-8. Longer than any token; header lines above this are refused nearly everywhere. */
export const MAX_SECRET_BYTES = 64 * 1024;

/** Why a text cannot be a secret's value, or null where it can. Never says anything of the text itself. */
export function secretFault(text: string): string | null {
  if (text === "") return "is empty";
  if (new TextEncoder().encode(text).byteLength > MAX_SECRET_BYTES) return `is longer than ${MAX_SECRET_BYTES} bytes`;
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text)) return "has a line break, a NUL or another control character in it";
  return null;
}

const SecretValue = z.string().check((context) => {
  const fault = secretFault(context.value);
  // The input is left out of the issue: issues travel.
  if (fault !== null) context.issues.push({ code: "custom", message: fault, input: "" });
});

/** Body of `PUT /v1/secrets/{name}` and of its rotation. */
export const SecretRequest = z
  .strictObject({
    value: SecretValue.meta({ description: "At most 64 KiB, without control characters. Never given back." }),
    hosts: z
      .array(
        z
          .string()
          .min(1)
          .max(255)
          .regex(/^[\x21-\x7e]+$/, "must be a host name"),
      )
      .min(1)
      .max(64)
      .optional()
      .meta({
        description: "The only hosts that profiles may bind it to, as in an allow rule. A new value keeps those of before, unless given.",
      }),
  })
  .meta({ id: "SecretRequest" });
export type SecretRequest = z.infer<typeof SecretRequest>;

/** A stored secret as everyone sees it: without its value. */
export const SecretInfo = z
  .object({
    object: z.literal("secret"),
    name: z.string(),
    tenant: z.string(),
    version: z.int().meta({ description: "Grows with each value that the name has had." }),
    hosts: z.array(z.string()).nullable().meta({ description: "null: wherever a profile binds it to." }),
    created_at: z.iso.datetime(),
    rotated_at: z.iso.datetime().nullable().meta({ description: "When the present value replaced another." }),
    last_used_at: z.iso.datetime().nullable().meta({ description: "When a sandbox was last made with it, to the minute." }),
    removed_at: z.iso.datetime().nullable(),
    sandboxes: z.array(z.string()).meta({ description: "Live sandboxes that it is bound to." }),
  })
  .meta({ id: "SecretInfo" });
export type SecretInfo = z.infer<typeof SecretInfo>;

/** Where a value comes from. `env`, `file` and `command` are the operator's: a key may use only what the configuration lists. */
export const SecretSource = z.union([
  z.strictObject({ vault: SecretName }),
  z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a variable") }),
  z.strictObject({ file: z.string().max(4096).regex(/^\/[^\0]*$/, "must be an absolute path") }),
  z.strictObject({ command: z.array(z.string().max(4096).regex(/^[^\0]*$/, "must not contain a NUL byte")).min(1).max(64) }),
]); // prettier-ignore
export type SecretSource = z.infer<typeof SecretSource>;

/** Headers that frame a message or name its target: a secret in one of them would change what is asked, and of whom. */
const FRAMING =
  /^(host|connection|content-length|content-encoding|content-type|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*|sec-websocket-.*)$/i;

const HeaderName = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "must be the name of a header")
  .refine((name) => !FRAMING.test(name), "is a header that frames the request; a secret cannot be put there");

/** How a secret goes into requests, and where it may. */
export const SecretInject = z
  .strictObject({
    type: z.enum(["bearer", "basic", "header"]),
    header: HeaderName.optional().meta({ description: "With type header: the header's name." }),
    username: z
      .string()
      .max(256)
      .regex(/^[\x21-\x39\x3b-\x7e]+$/, "must be visible ASCII without a colon")
      .optional()
      .meta({ description: 'With type basic; "x-access-token" unless given.' }),
    hosts: z.array(z.string().min(1).max(255)).min(1).max(64),
    ports: z.array(z.int().min(1).max(65_535)).min(1).max(64).optional().meta({ description: "443 unless given." }),
    methods: z.array(z.string().regex(/^[A-Z]{1,20}$/, "must be a method in capitals, as GET")).min(1).max(32).optional(),
    paths: z.array(z.string().max(1024).regex(/^\/[\x21-\x7e]*$/, 'must begin with "/"')).min(1).max(256).optional(),
    replace_in: z.array(z.enum(["query", "path", "body"])).optional(),
    on_violation: z.enum(["block", "terminate"]).optional(),
  })
  .refine(({ type, header }) => (type === "header") === (header !== undefined), { path: ["header"], error: "goes with type header, and only with that" })
  .refine(({ type, username }) => username === undefined || type === "basic", { path: ["username"], error: "goes only with type basic" }); // prettier-ignore

/** A secret of a profile. */
export const ProfileSecret = z.strictObject({
  name: SecretName,
  source: SecretSource,
  inject: SecretInject,
  expose: z
    .strictObject({
      env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a variable").optional(),
      file: z.string().max(4096).regex(/^\/[^\0]*[^\0/]$/, "must be an absolute path of a file").optional(),
    })
    .optional()
    .meta({ description: "Where the placeholder stands inside; nowhere unless given." }),
}); // prettier-ignore
export type ProfileSecret = z.infer<typeof ProfileSecret>;

/** A profile's secrets: no name and no place inside is taken twice. */
export const ProfileSecrets = z.array(ProfileSecret).max(64).check((context) => {
  const seen = new Set<string>();
  for (const [index, { name, expose }] of context.value.entries()) {
    for (const [path, key] of [[["name"], `name ${name}`], [["expose", "env"], expose?.env], [["expose", "file"], expose?.file]] as const) {
      if (key !== undefined && seen.has(key)) context.issues.push({ code: "custom", path: [index, ...path], message: "is taken by another secret", input: key });
      if (key !== undefined) seen.add(key);
    }
  }
}); // prettier-ignore
