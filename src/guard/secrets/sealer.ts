import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { SandboxerError } from "../../contract/index.ts";
import { loadKey } from "./key.ts";

const CIPHER = "aes-256-gcm";
/** NIST SP 800-38D, 8.2.2: 96 random bits, good for 2^32 values under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORM = /^sealed1\.([0-9a-f]{8})\.([A-Za-z0-9_-]{38,})$/;

/** Keeps text unreadable and unchangeable at rest. Costs some microseconds a value. */
export interface Sealer {
  /** The text, encrypted and bound to its context: `sealed1.` and characters that fit JSON and SQL. Differs each time. */
  seal(text: string, context: string): string;
  /**
   * The text again.
   *
   * @throws SandboxerError `secret_unavailable` where it was changed, sealed for another context, or under another key.
   */
  open(sealed: string, context: string): string;
}

/**
 * AES-256-GCM under the key of the data directory (`secrets.key`, made on first use) or of SANDBOXER_SECRETS_KEY.
 *
 * @throws SandboxerError `secret_unavailable` where there is no usable key.
 */
export function openSealer(dataDirectory: string, env: Readonly<Record<string, string | undefined>> = process.env): Sealer {
  const key = loadKey(dataDirectory, env);
  const keyId = createHash("sha256").update("sand-boxer key id\0").update(key).digest("hex").slice(0, 8);
  return {
    seal(text, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(context));
      const body = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return `sealed1.${keyId}.${body.toString("base64url")}`;
    },
    open(sealed, context) {
      const [, sealedUnder, encoded] = FORM.exec(sealed) ?? [];
      if (encoded === undefined) throw unreadable("it is not a sealed value");
      if (sealedUnder !== keyId) throw unreadable(`it was sealed under the key ${sealedUnder}, and the one in use is ${keyId}`);
      const body = Buffer.from(encoded, "base64url");
      const decipher = createDecipheriv(CIPHER, key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(context))
        .setAuthTag(body.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(body.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString("utf8");
      } catch (cause) {
        throw unreadable("it was changed, or sealed for something else", cause);
      }
    },
  };
}

function unreadable(why: string, cause?: unknown): SandboxerError {
  return new SandboxerError("secret_unavailable", `a sealed value cannot be opened: ${why}`, {
    phase: "key",
    hint: "Put back the key it was sealed under (secrets.key or SANDBOXER_SECRETS_KEY), or set the secret again.",
    ...(cause === undefined ? {} : { cause }),
  });
}
