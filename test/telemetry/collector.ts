import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface Span {
  readonly trace: string;
  readonly id: string;
  readonly parent: string;
  readonly name: string;
  readonly attributes: Record<string, string>;
  readonly failed: boolean;
}

export interface Metric {
  readonly name: string;
  /** Field of `Metric` that holds the data: 5 gauge, 7 sum, 9 histogram. */
  readonly kind: number;
}

/** An OTLP/HTTP collector that keeps what it is sent: protobuf by the field numbers of opentelemetry-proto 1.x. */
export interface Collector {
  readonly url: string;
  readonly spans: Span[];
  readonly metrics: Metric[];
  readonly services: Set<string>;
}

type Message = Map<number, (Uint8Array | number)[]>;

/** One message as its fields; nested ones are bytes. */
function fields(bytes: Uint8Array): Message {
  const reader = new BinaryReader(bytes);
  const found: Message = new Map();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const value = type === WireType.LengthDelimited ? reader.bytes() : type === WireType.Varint ? Number(reader.int64()) : undefined;
    if (value === undefined) reader.skip(type);
    else found.set(number, [...(found.get(number) ?? []), value]);
  }
  return found;
}

const nested = (message: Message, number: number): Message[] => (message.get(number) ?? []).map((bytes) => fields(bytes as Uint8Array));
const bytesOf = (message: Message, number: number) => Buffer.from((message.get(number)?.[0] as Uint8Array | undefined) ?? []);

function attributes(message: Message, number: number): Record<string, string> {
  return Object.fromEntries(
    nested(message, number).map((pair) => [
      bytesOf(pair, 1).toString(),
      nested(pair, 2).map((value) => bytesOf(value, 1).toString())[0] ?? "",
    ]),
  );
}

/** Closed when the test ends. */
export async function openCollector(): Promise<Collector> {
  const [spans, metrics, services]: [Span[], Metric[], Set<string>] = [[], [], new Set()];
  const take = (path: string, body: Buffer) => {
    for (const resource of nested(fields(body), 1)) {
      for (const one of nested(resource, 1)) services.add(attributes(one, 1)["service.name"] ?? "");
      for (const item of nested(resource, 2).flatMap((scope) => nested(scope, 2))) {
        if (path === "/v1/metrics")
          metrics.push({ name: bytesOf(item, 1).toString(), kind: [5, 7, 9].find((kind) => item.has(kind)) ?? 0 });
        else
          spans.push({
            trace: bytesOf(item, 1).toString("hex"),
            id: bytesOf(item, 2).toString("hex"),
            parent: bytesOf(item, 4).toString("hex"),
            name: bytesOf(item, 5).toString(),
            attributes: attributes(item, 9),
            failed: nested(item, 15).some((status) => status.get(3)?.[0] === 2),
          });
      }
    }
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => void chunks.push(chunk));
    request.on("end", () => {
      take(request.url ?? "", Buffer.concat(chunks));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, metrics, services };
}
