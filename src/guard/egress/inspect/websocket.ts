import { type ClientRequest, type IncomingMessage, request as httpRequest, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { refusalBody } from "./answer.ts";
import { scrubbed } from "./answer-back.ts";
import { endToEnd, type Headers } from "./headers.ts";
import { Outcome } from "./outcome.ts";
import { putIn } from "./put-in.ts";
import { admitted, type Framed, readQuestion } from "./question.ts";
import { asRefused, CLIENT_GONE, Refused } from "./refusal.ts";
import { relay } from "./relay.ts";
import { hostField } from "./request-target.ts";
import type { Served } from "./served.ts";
import type { Pass } from "./body-scan.ts";
import type { Exposure } from "./scrub.ts";

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
    outgoing = httpRequest({
      host: question.host, port: question.port, method: question.method, path: put.target, setDefaultHeaders: false, agent: served.upstream.agent(question.scheme),
      headers: ["host", hostField(question.scheme, question), ...put.headers, "connection", "Upgrade", "upgrade", "websocket"],
    }); // prettier-ignore
    const { answer, stream, first } = await Promise.race([opened(outgoing), broken.promise]);
    open = stream;
    outcome.address = (stream as { remoteAddress?: string }).remoteAddress ?? null;
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

function opened(outgoing: ClientRequest): Promise<{ answer: IncomingMessage; stream: Duplex; first: Buffer }> {
  return new Promise((resolve, reject) => {
    outgoing.once("upgrade", (answer, stream, first) => resolve({ answer, stream, first }));
    outgoing.once("response", (answer) => {
      answer.destroy();
      reject(new Refused("error", `The upstream server answered ${answer.statusCode} ${STATUS_CODES[answer.statusCode ?? 0] ?? ""} and opened no WebSocket.`, { status: 502 }));
    }); // prettier-ignore
    outgoing.on("error", reject);
    outgoing.end();
  });
}

const unchanged: Pass = (chunk) => chunk;

/** A side that breaks off is how most of them end; a refusal is not. */
function endedByASide(thrown: unknown): void {
  if (thrown instanceof Refused || (thrown instanceof Error && thrown.name === "EgressRefusal")) throw thrown;
}

function switching({ rawHeaders }: IncomingMessage, exposed: Exposure): string {
  const fields: Headers = [...scrubbed(endToEnd(rawHeaders), exposed), "connection", "Upgrade", "upgrade", "websocket"];
  let text = "HTTP/1.1 101 Switching Protocols\r\n";
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]!}: ${fields[at + 1]!}\r\n`;
  return `${text}\r\n`;
}

function refusalText({ headers }: IncomingMessage, refused: Refused): string {
  const { type, body } = refusalBody(refused, headers.accept);
  const fields = [`content-type: ${type}`, `content-length: ${Buffer.byteLength(body)}`, "connection: close", "x-sand-boxer: denied"];
  return `HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status] ?? ""}\r\n${fields.join("\r\n")}\r\n\r\n${body}`;
}
