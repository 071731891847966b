import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { isIPv4 } from "node:net";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import * as x509 from "@peculiar/asn1-x509";
import type { Authority } from "./types.ts";

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** Below the 398 days that some clients accept of a server. */
export const LEAF_DAYS = 90;
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const ORGANIZATION = "2.5.4.10";

/** A new CA: ECDSA P-256, good for ten years and for servers' certificates only. Costs a key and a signature, below a millisecond. */
export function makeAuthority(): Authority {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = organization(`sand-boxer sandbox CA ${randomBytes(4).toString("hex")}`);
  const certPem = issue({
    subject: name,
    issuer: name,
    publicKey,
    signer: privateKey,
    days: AUTHORITY_DAYS,
    extensions: [
      extension(x509.id_ce_basicConstraints, new x509.BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
      extension(x509.id_ce_keyUsage, new x509.KeyUsage(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign), true),
      extension(x509.id_ce_subjectKeyIdentifier, new x509.SubjectKeyIdentifier(keyIdentifier(publicKey))),
    ],
  });
  return { certPem, keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** Signs certificates under one CA. All leaves share one key pair, so a leaf costs one signature. */
export interface LeafIssuer {
  readonly keyPem: string;
  /** A certificate for one name or IPv4 address, good for 90 days, with the CA's behind it. */
  issue(host: string): string;
}

/** @throws Error where the two are not a CA's certificate and its key. */
export function leafIssuer({ certPem, keyPem }: Authority): LeafIssuer {
  const certificate = new X509Certificate(certPem);
  const signer = createPrivateKey(keyPem);
  if (!certificate.checkPrivateKey(signer)) throw new Error("The sandbox's CA certificate and key do not belong together.");
  const issuer = AsnConvert.parse(certificate.raw, x509.Certificate).tbsCertificate.subject;
  const issuerKeyIdentifier = keyIdentifier(createPublicKey(signer));
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issueFor = (host: string): string =>
    issue({
      subject: organization("sand-boxer egress"),
      issuer,
      publicKey,
      signer,
      days: LEAF_DAYS,
      extensions: [
        extension(x509.id_ce_basicConstraints, new x509.BasicConstraints({ cA: false }), true),
        extension(x509.id_ce_keyUsage, new x509.KeyUsage(x509.KeyUsageFlags.digitalSignature), true),
        extension(x509.id_ce_extKeyUsage, new x509.ExtendedKeyUsage([x509.id_kp_serverAuth])),
        extension(x509.id_ce_subjectAltName, new x509.SubjectAlternativeName([alternativeName(host)])),
        extension(x509.id_ce_subjectKeyIdentifier, new x509.SubjectKeyIdentifier(keyIdentifier(publicKey))),
        extension(
          x509.id_ce_authorityKeyIdentifier,
          new x509.AuthorityKeyIdentifier({ keyIdentifier: new x509.KeyIdentifier(issuerKeyIdentifier) }),
        ),
      ],
    });
  return { keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), issue: (host) => issueFor(host) + certPem };
}

interface Issue {
  readonly subject: x509.Name;
  readonly issuer: x509.Name;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly days: number;
  readonly extensions: x509.Extension[];
}

function issue({ subject, issuer, publicKey, signer, days, extensions }: Issue): string {
  // A day back: a clock inside may be behind.
  const from = Date.now() - DAY_MS;
  const algorithm = new x509.AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const serialNumber = randomBytes(16);
  serialNumber[0] = (serialNumber[0]! & 0x3f) | 0x40;
  const tbsCertificate = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: exact(serialNumber),
    signature: algorithm,
    issuer,
    validity: new x509.Validity({ notBefore: new Date(from), notAfter: new Date(from + days * DAY_MS) }),
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(publicKey.export({ type: "spki", format: "der" }), x509.SubjectPublicKeyInfo),
    extensions: new x509.Extensions(extensions),
  });
  const signatureValue = exact(sign("sha256", Buffer.from(AsnConvert.serialize(tbsCertificate)), signer));
  const der = AsnConvert.serialize(new x509.Certificate({ tbsCertificate, signatureAlgorithm: algorithm, signatureValue }));
  const lines = Buffer.from(der)
    .toString("base64")
    .replaceAll(/.{1,64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`;
}

function organization(text: string): x509.Name {
  const value = new x509.AttributeValue({ utf8String: text });
  return new x509.Name([new x509.RelativeDistinguishedName([new x509.AttributeTypeAndValue({ type: ORGANIZATION, value })])]);
}

function alternativeName(host: string): x509.GeneralName {
  if (!isIPv4(host)) return new x509.GeneralName({ dNSName: host });
  return new x509.GeneralName({ iPAddress: host });
}

function extension(extnID: string, value: object, critical = false): x509.Extension {
  return new x509.Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function keyIdentifier(key: KeyObject): ArrayBuffer {
  return exact(
    createHash("sha1")
      .update(key.export({ type: "spki", format: "der" }))
      .digest(),
  );
}

/** Small buffers share a pool; what is encoded must not be the whole pool. */
function exact(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
