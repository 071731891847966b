import { type ClientRequest, type IncomingMessage, request as httpRequest, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { refusalBody } from "./answer.ts";
import { OF_THE_ENCODED, scrubbed } from "./answer-back.ts";
import { decoder } from "./decode.ts";
import { endToEnd, type Headers, values, weight, without } from "./headers.ts";
import { Outcome } from "./outcome.ts";
import { putIn } from "./put-in.ts";
import { admitted, type Framed, readQuestion } from "./question.ts";
import { asRefused, CLIENT_GONE, Refused } from "./refusal.ts";
import { relay } from "./relay.ts";
import { hostField } from "./request-target.ts";
import type { Served } from "./served.ts";
import type { Pass } from "./body-scan.ts";
import type { Exposure } from "./scrub.ts";
import type { RequestQuestion } from "./types.ts";

/** A request to become a WebSocket (RFC 6455), and the socket that it arrived on. */
export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/**
 * Lets a request become a WebSocket where the rule says so, and carries it to its end. Its head is treated as any request's; its frames, which
 * clients mask, are not looked into: no placeholder is found in them, and no value that comes back.
 */
export async function serveUpgrade(served: Served, framed: Framed, { request, socket, head }: UpgradeRequest): Promise<void> {
  const { session } = served;
  const outcome = new Outcome(session, framed);
  const broken = Promise.withResolvers<never>();
  // Nobody may be waiting when it is rejected.
  broken.promise.catch(() => undefined);
  socket.on("error", () => socket.destroy());
  socket.once("close", () => broken.reject(CLIENT_GONE));
  let open: Duplex | undefined;
  let outgoing: ClientRequest | undefined;
  let untrack: (() => void) | undefined;
  try {
    const asked = readQuestion(request, { ...framed, websocket: true });
    outcome.asked = asked;
    outcome.decision = admitted(session, asked.question);
    const { question, received, path } = asked;
    const fitting = question.scheme === "https" ? session.secretsFor(question) : [];
    const put = putIn({ received, passedOn: endToEnd(received), path }, fitting, session.placeholders());
    outcome.secret = put.name;
    const exposed = served.exposure(question);
    exposed.add(put.sent);
    untrack = session.track(question, (refusal) => broken.reject(refusal));
    const connection = await Promise.race([connecting(served, question, broken.promise), broken.promise]);
    outcome.address = connection.remoteAddress ?? null;
    outgoing = httpRequest({
      createConnection: () => connection, method: question.method, path: put.target, setDefaultHeaders: false,
      headers: ["host", hostField(question.scheme, question), ...put.headers, "connection", "Upgrade", "upgrade", "websocket"],
    }); // prettier-ignore
    const opening = await Promise.race([opened(outgoing), broken.promise]);
    if ("refusal" in opening) {
      open = connection;
      await Promise.race([passBack(opening.refusal, socket, exposed, (bytes) => outcome.flow("down", bytes)), broken.promise]);
      return outcome.record("websocket", null);
    }
    const { answer, stream, first } = opening;
    open = stream;
    stream.on("error", () => stream.destroy());
    socket.write(switching(answer, exposed), "latin1");
    stream.unshift(first);
    socket.unshift(head);
    const both = Promise.all([
      relay(socket, stream, unchanged, (bytes) => outcome.flow("up", bytes)),
      relay(stream, socket, unchanged, (bytes) => outcome.flow("down", bytes)),
    ]); // prettier-ignore
    await Promise.race([both, broken.promise]).catch(endedByASide);
    outcome.record("websocket", null);
  } catch (thrown) {
    if (thrown === CLIENT_GONE) return outcome.record("websocket", null);
    const refused = asRefused(thrown);
    if (open === undefined && socket.writable) socket.end(refusalText(request, refused));
    outcome.record("websocket", refused);
  } finally {
    untrack?.();
    if (open === undefined) outgoing?.destroy();
    else for (const side of [open, socket]) closeSide(side);
  }
}

/** What was written before the end still goes out. */
function closeSide(side: Duplex): void {
  if (side.writableEnded && !side.writableFinished && !side.destroyed) side.once("finish", () => side.destroy());
  else side.destroy();
}

/** A connection of its own. One that comes too late is closed again. */
async function connecting({ upstream }: Served, question: RequestQuestion, broken: Promise<never>): Promise<Socket> {
  const dialled = upstream.connect(question.scheme, question);
  broken.catch(() => dialled.then((late) => late.destroy()).catch(() => undefined));
  return dialled;
}

type Opening =
  | { readonly answer: IncomingMessage; readonly stream: Duplex; readonly first: Buffer }
  | { readonly refusal: IncomingMessage };

function opened(outgoing: ClientRequest): Promise<Opening> {
  return new Promise((resolve, reject) => {
    outgoing.once("upgrade", (answer, stream, first) => resolve({ answer, stream, first }));
    outgoing.once("response", (refusal) => resolve({ refusal }));
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** The server's own answer where it opens no WebSocket: the client reads why. Its connection ends with it. */
async function passBack(
  refusal: IncomingMessage,
  socket: Duplex,
  exposed: Exposure,
  flow: (bytes: number) => Promise<void> | undefined,
): Promise<void> {
  const { statusCode = 502, rawHeaders } = refusal;
  const encodings = values(rawHeaders, "content-encoding");
  const looksIn = !exposed.empty && encodings.length > 0;
  const passed = scrubbed(endToEnd(rawHeaders), exposed);
  const fields = looksIn ? without(passed, ...OF_THE_ENCODED) : passed;
  const body = looksIn ? decoder(refusal, encodings) : refusal;
  const wait = flow(weight(fields) + 20);
  if (wait !== undefined) await wait;
  socket.write(headText(`${statusCode} ${STATUS_CODES[statusCode] ?? ""}`, [...fields, "connection", "close"]), "latin1");
  await relay(body, socket, exposed.empty ? unchanged : exposed.stream(), flow);
}

const unchanged: Pass = (chunk) => chunk;

/** A side that breaks off is how most of them end; a refusal is not. */
function endedByASide(thrown: unknown): void {
  if (thrown instanceof Refused || (thrown instanceof Error && thrown.name === "EgressRefusal")) throw thrown;
}

function switching({ rawHeaders }: IncomingMessage, exposed: Exposure): string {
  return headText("101 Switching Protocols", [...scrubbed(endToEnd(rawHeaders), exposed), "connection", "Upgrade", "upgrade", "websocket"]);
}

function headText(status: string, fields: Headers): string {
  let text = `HTTP/1.1 ${status}\r\n`;
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]!}: ${fields[at + 1]!}\r\n`;
  return `${text}\r\n`;
}

function refusalText({ headers }: IncomingMessage, refused: Refused): string {
  const { type, body } = refusalBody(refused, headers.accept);
  const fields = [`content-type: ${type}`, `content-length: ${Buffer.byteLength(body)}`, "connection: close", "x-sand-boxer: denied"];
  return `HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status] ?? ""}\r\n${fields.join("\r\n")}\r\n\r\n${body}`;
}
