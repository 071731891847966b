/** The part of RFC 1035 that a resolver for made-up addresses needs: one question in, an A record or none out. */

export const RCODE = { ok: 0, format: 1, server: 2, noName: 3, notImplemented: 4, refused: 5 } as const;
export const TYPE_A = 1;
const CLASS_IN = 1;
const HEADER = 12;

export interface Question {
  /** Labels joined by dots, bytes read as Latin-1; not yet checked for being a host's name. */
  readonly name: string;
  readonly type: number;
  /** Where the question ends in the message. */
  readonly end: number;
}

/** Reads a query: its question, or with which code to answer, or undefined for what is no query at all and gets no answer. */
export function readQuery(message: Buffer): Question | number | undefined {
  if (message.length < HEADER || (message[2]! & 0x80) !== 0) return undefined;
  if ((message[2]! & 0x78) !== 0) return RCODE.notImplemented;
  if (message.readUInt16BE(4) !== 1 || message.readUInt16BE(6) !== 0) return RCODE.format;
  const labels: string[] = [];
  let at = HEADER;
  for (;;) {
    const length = message[at];
    // Above 63 it is a pointer, and there is nothing in a question that one could point to.
    if (length === undefined || length > 63 || at + length >= message.length || at > HEADER + 255) return RCODE.format;
    at += 1;
    if (length === 0) break;
    const label = message.toString("latin1", at, at + length);
    // A dot in a label would read as a border between two.
    if (label.includes(".")) return RCODE.format;
    labels.push(label);
    at += length;
  }
  if (at + 4 > message.length) return RCODE.format;
  if (message.readUInt16BE(at + 2) !== CLASS_IN) return RCODE.refused;
  return { name: labels.join("."), type: message.readUInt16BE(at), end: at + 4 };
}

/** An answer to a query; with the address where it is given, for `ttl` seconds. */
export function writeAnswer(query: Buffer, rcode: number, question?: Question, address?: number, ttl = 0): Buffer {
  const asked = question === undefined ? Buffer.alloc(0) : query.subarray(HEADER, question.end);
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  // QR and AA; opcode and RD as asked; RA.
  header[2] = 0x84 | (query[2]! & 0x79);
  header[3] = 0x80 | rcode;
  header.writeUInt16BE(question === undefined ? 0 : 1, 4);
  if (address === undefined) return Buffer.concat([header, asked]);
  header.writeUInt16BE(1, 6);
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc000 | HEADER, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(ttl, 6);
  record.writeUInt16BE(4, 10);
  record.writeUInt32BE(address, 12);
  return Buffer.concat([header, asked, record]);
}
