import { createHash } from "node:crypto";

/**
 * Java's own form of a list of trusted certificates (JKS, version 2): the JDK reads it from the file that Debian's JDKs link
 * their `cacerts` to. Format: https://github.com/openjdk/jdk/blob/master/src/java.base/share/classes/sun/security/provider/JavaKeyStore.java
 */

const MAGIC = 0xfeedfeed;
const VERSION = 2;
const TRUSTED_CERTIFICATE = 2;

/** Every cacerts has it: it guards against accidents, not against people. */
const PASSWORD = "changeit";

const WHITENER = "Mighty Aphrodite";

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** The certificates of a bundle, each in DER. */
export function certificatesOf(pem: string): Buffer[] {
  return [...pem.matchAll(PEM)].map(([, body = ""]) => Buffer.from(body, "base64"));
}

/** A trust store of those certificates, read without a password or with "changeit". */
export function javaStore(certificates: readonly Buffer[]): Buffer {
  const parts = [words(MAGIC, VERSION, certificates.length)];
  for (const [index, der] of certificates.entries()) {
    // Its date is of no use to anyone here, and the same certificates should give the same file.
    parts.push(words(TRUSTED_CERTIFICATE), text(`ca${index}`), Buffer.alloc(8), text("X.509"), words(der.length), der);
  }
  const body = Buffer.concat(parts);
  const key = Buffer.from(PASSWORD, "utf16le").swap16();
  return Buffer.concat([body, createHash("sha1").update(key).update(WHITENER).update(body).digest()]);
}

function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) buffer.writeUInt32BE(value, 4 * at);
  return buffer;
}

/** As DataOutput.writeUTF has it; ASCII only. */
function text(value: string): Buffer {
  const buffer = Buffer.alloc(2 + value.length);
  buffer.writeUInt16BE(value.length);
  buffer.write(value, 2, "latin1");
  return buffer;
}
