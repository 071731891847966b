import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import type { Log } from "./protocol.ts";

/** What a name answers with: addresses in turn, one list an answer, the last one again and again. Empty: NXDOMAIN. */
export type Zone = Map<string, { answers: string[][]; ttl: number; asked: number }>;

const TYPES: Readonly<Record<number, string>> = { 1: "A", 5: "CNAME", 15: "MX", 16: "TXT", 28: "AAAA", 255: "ANY" };

function nameAt(message: Buffer, at: number): { name: string; end: number } {
  const labels: string[] = [];
  for (let offset = at; ;) {
    const length = message.readUInt8(offset);
    if (length === 0) return { name: labels.join(".").toLowerCase(), end: offset + 1 };
    labels.push(message.toString("latin1", offset + 1, offset + 1 + length));
    offset += 1 + length;
  }
}

/** Answers a query from the zone; A records only. */
function answer(query: Buffer, zone: Zone, log: Log, protocol: "udp" | "tcp"): Buffer {
  const { name, end } = nameAt(query, 12);
  const type = query.readUInt16BE(end);
  log({ kind: "dns", name, type: TYPES[type] ?? String(type), protocol });
  const entry = zone.get(name);
  const addresses = entry === undefined ? [] : (entry.answers[Math.min(entry.asked, entry.answers.length - 1)] ?? []);
  if (entry !== undefined && type === 1) entry.asked++;
  const records = type === 1 ? addresses : [];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(entry === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const body = records.map((address) => {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(1, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(entry?.ttl ?? 0, 6);
    record.writeUInt16BE(4, 10);
    Buffer.from(address.split(".").map(Number)).copy(record, 12);
    return record;
  });
  return Buffer.concat([header, query.subarray(12, end + 4), ...body]);
}

/** A name server that writes down every question, on UDP and TCP. */
export async function serveDns(address: string, zone: Zone, log: Log): Promise<void> {
  const udp = createSocket("udp4");
  udp.on("message", (query, from) => udp.send(answer(query, zone, log, "udp"), from.port, from.address));
  await new Promise<void>((resolve) => udp.bind(53, address, resolve));
  const tcp = createServer((socket) => {
    let held = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const length = held.readUInt16BE(0);
        const reply = answer(held.subarray(2, 2 + length), zone, log, "tcp");
        const size = Buffer.alloc(2);
        size.writeUInt16BE(reply.length, 0);
        socket.write(Buffer.concat([size, reply]));
        held = held.subarray(2 + length);
      }
    });
  });
  await new Promise<void>((resolve) => tcp.listen(53, address, resolve));
}
