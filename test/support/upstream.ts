import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openNetns } from "../../src/netns/index.ts";

/** A piece of the internet on this machine: servers at a public address in a network namespace of their own, and a resolver. */
export interface Upstream extends AsyncDisposable {
  readonly address: string;
  /** PEM file of the authority that signed the servers' certificate. */
  readonly caFile: string;
  /** `ip:port` of a resolver that gives every name that address. */
  readonly resolver: string;
  /** What the servers were asked for, as `https allowed.test /path`. */
  readonly asked: readonly string[];
  /** Names that the resolver was asked for. */
  readonly looked: readonly string[];
}

const ip = (...words: string[]) => execFileSync("ip", words);

/** Wires a namespace to the host: a link of two addresses, and the public one routed over it. */
function makeNamespace(number: number, address: string): string {
  const [name, outer, inner] = [`sbxup${number}`, `sbxo${number}`, `sbxi${number}`];
  const base = `10.213.${number >> 6}.${(number & 63) * 4}`;
  const [host, far] = [base.replace(/\d+$/, (last) => String(Number(last) + 1)), base.replace(/\d+$/, (last) => String(Number(last) + 2))];
  ip("netns", "add", name);
  ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name);
  ip("addr", "add", `${host}/30`, "dev", outer);
  ip("link", "set", outer, "up");
  for (const words of [["link", "set", "lo", "up"], ["addr", "add", `${address}/32`, "dev", "lo"], ["addr", "add", `${far}/30`, "dev", inner], ["link", "set", inner, "up"]]) ip("-n", name, ...words); // prettier-ignore
  ip("route", "add", `${address}/32`, "via", far);
  return name;
}

function makeCertificate(directory: string, names: readonly string[]): { key: Buffer; cert: Buffer; caFile: string } {
  const openssl = (...words: string[]) => execFileSync("openssl", words, { cwd: directory, stdio: ["ignore", "ignore", "ignore"] });
  const alternative = names.map((name) => `DNS:${name}`).join(",");
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority"); // prettier-ignore
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "leaf.key", "-out", "leaf.pem", "-days", "2", "-subj", "/CN=upstream",
    "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", `subjectAltName=${alternative}`, "-addext", "basicConstraints=critical,CA:FALSE"); // prettier-ignore
  return {
    key: readFileSync(join(directory, "leaf.key")),
    cert: readFileSync(join(directory, "leaf.pem")),
    caFile: join(directory, "ca.pem"),
  };
}

/** Answers every A query with the address, and everything else with nothing. */
function answer(query: Buffer, address: string): Buffer {
  let end = 12;
  while ((query[end] ?? 0) !== 0) end += (query[end] ?? 0) + 1;
  const question = query.subarray(12, end + 5);
  const isA = query.readUInt16BE(end + 1) === 1;
  const header = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split(".").map(Number)]);
  return Buffer.concat([header, question, ...(isA ? [record] : [])]);
}

function nameIn(query: Buffer): string {
  const labels: string[] = [];
  for (let at = 12; (query[at] ?? 0) !== 0; at += (query[at] ?? 0) + 1)
    labels.push(query.toString("latin1", at + 1, at + 1 + (query[at] ?? 0)));
  return labels.join(".");
}

/** Makes one; `names` are those that its certificate is good for. Needs root, as namespaces do. */
export async function openUpstream(names: readonly string[]): Promise<Upstream> {
  const number = process.pid & 0x3fff;
  const address = `45.${64 + (number >> 8)}.${number & 255}.10`;
  const directory = mkdtempSync(join(tmpdir(), "sbx-upstream-"));
  const namespace = makeNamespace(number, address);
  const { key, cert, caFile } = makeCertificate(directory, names);
  const [asked, looked]: [string[], string[]] = [[], []];
  const netns = openNetns();
  const secure: Server = createServer({ key, cert }, (request, response) => {
    asked.push(`https ${request.headers.host ?? ""} ${request.method ?? ""} ${request.url ?? ""} ${request.headers.authorization ?? "-"}`);
    response.end(`hello over TLS from ${request.url ?? ""}\n`);
  });
  const plain = createHttpServer((request, response) => {
    asked.push(`http ${request.headers.host ?? ""} ${request.method ?? ""} ${request.url ?? ""}`);
    response.end("hello\n");
  });
  const path = `/run/netns/${namespace}`;
  const doors = [
    await netns.listen(path, { host: address, port: 443 }, (socket) => void secure.emit("connection", socket)),
    await netns.listen(path, { host: address, port: 80 }, (socket) => void plain.emit("connection", socket)),
  ];
  const resolver = createSocket("udp4", (query, from) => {
    looked.push(nameIn(query));
    resolver.send(answer(query, address), from.port, from.address);
  });
  await promisify((done: () => void) => resolver.bind(0, "127.0.0.1", done))();
  return {
    address,
    caFile,
    asked,
    looked,
    resolver: `127.0.0.1:${resolver.address().port}`,
    async [Symbol.asyncDispose]() {
      for (const door of doors) door.close();
      secure.closeAllConnections();
      resolver.close();
      netns.dispose();
      ip("route", "del", `${address}/32`);
      ip("netns", "del", namespace);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
