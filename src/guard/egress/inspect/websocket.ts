import { type IncomingMessage, request as httpRequest, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { refusalBody } from "./answer.ts";
import { endToEnd, type Headers, values } from "./headers.ts";
import { putIn } from "./put-in.ts";
import { admitted, type Asked, type Framed, readQuestion } from "./question.ts";
import { asRefused, Refused, Violation } from "./refusal.ts";
import { relay } from "./relay.ts";
import { hostField } from "./request-target.ts";
import type { Served } from "./served.ts";
import type { Pass } from "./body-scan.ts";
import type { Decision } from "./types.ts";

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
  const began = performance.now();
  const moved = { up: 0, down: 0 };
  const { session } = served;
  let asked: Asked | undefined;
  let address: string | null = null;
  let secret: string | null = null;
  const flow = (direction: "up" | "down", bytes: number): Promise<void> | undefined => {
    moved[direction] += bytes;
    return session.flow(direction, bytes);
  };
  const record = (decision: Decision | undefined, refused: Refused | null): void => {
    const { question } = asked ?? {};
    session.record({
      protocol: "websocket", via: framed.via, host: question?.host ?? framed.target?.host ?? "", port: question?.port ?? framed.target?.port ?? 0, address,
      method: question?.method ?? null, path: question?.path ?? null, verdict: refused === null ? (decision?.verdict ?? "allow") : "deny",
      rule: refused?.rule ?? decision?.rule ?? null, reason: refused?.reason ?? null, detail: refused?.message ?? null,
      secret: refused instanceof Violation ? (refused.binding?.name ?? null) : secret, bytes_up: moved.up, bytes_down: moved.down, ms: Math.round(performance.now() - began),
    }); // prettier-ignore
  };
  socket.on("error", () => {});
  let open = false;
  let untrack: (() => void) | undefined;
  try {
    asked = readQuestion(request, { ...framed, websocket: true });
    const decision = admitted(session, asked.question);
    const { question, received, path } = asked;
    const fitting = question.scheme === "https" ? session.secretsFor(question) : [];
    const put = putIn({ received, passedOn: endToEnd(received), path }, fitting, session.placeholders());
    secret = put.name;
    served.exposure(question).add(put.sent);
    const changed = Promise.withResolvers<never>();
    changed.promise.catch(() => {});
    untrack = session.track(question, (refusal) => changed.reject(refusal));
    const outgoing = httpRequest({
      host: question.host, port: question.port, method: question.method, path: put.target, setDefaultHeaders: false, agent: served.upstream.agent(question.scheme),
      headers: ["host", hostField(question.scheme, question), ...put.headers, "connection", "Upgrade", "upgrade", "websocket"],
    }); // prettier-ignore
    const opened = new Promise<{ answer: IncomingMessage; stream: Duplex; first: Buffer }>((resolve, reject) => {
      outgoing.once("upgrade", (answer, stream, first) => resolve({ answer, stream, first }));
      outgoing.once("response", (answer) => {
        answer.destroy();
        reject(new Refused("error", `The upstream server answered ${answer.statusCode} ${STATUS_CODES[answer.statusCode ?? 0] ?? ""} and opened no WebSocket.`, { status: 502 }));
      }); // prettier-ignore
      outgoing.once("error", reject);
      outgoing.end();
    });
    const { answer, stream, first } = await Promise.race([opened, changed.promise]);
    address = (stream as { remoteAddress?: string }).remoteAddress ?? null;
    socket.write(switching(answer));
    open = true;
    stream.unshift(first);
    socket.unshift(head);
    const both = Promise.all([
      relay(socket, stream, unchanged, (bytes) => flow("up", bytes)),
      relay(stream, socket, unchanged, (bytes) => flow("down", bytes)),
    ]); // prettier-ignore
    both.catch(() => {});
    await Promise.race([both.catch(endedByASide), changed.promise]).finally(() => {
      stream.destroy();
      socket.destroy();
    });
    record(decision, null);
  } catch (thrown) {
    const refused = asRefused(thrown);
    if (open) socket.destroy();
    else socket.end(refusalText(request, refused));
    record(undefined, refused);
    if (refused instanceof Violation) session.onViolation(refused.binding);
  } finally {
    untrack?.();
  }
}

const unchanged: Pass = (chunk) => chunk;

/** A side that breaks off is how most of them end; a refusal is not. */
function endedByASide(thrown: unknown): void {
  if (thrown instanceof Refused || (thrown instanceof Error && thrown.name === "EgressRefusal")) throw thrown;
}

function switching({ rawHeaders }: IncomingMessage): string {
  const fields: Headers = [...endToEnd(rawHeaders), "connection", "Upgrade", "upgrade", values(rawHeaders, "upgrade")[0] ?? "websocket"];
  let text = "HTTP/1.1 101 Switching Protocols\r\n";
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]!}: ${fields[at + 1]!}\r\n`;
  return `${text}\r\n`;
}

function refusalText({ headers }: IncomingMessage, refused: Refused): string {
  const { type, body } = refusalBody(refused, headers.accept);
  const fields = [`content-type: ${type}`, `content-length: ${Buffer.byteLength(body)}`, "connection: close", "x-sand-boxer: denied"];
  return `HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status] ?? ""}\r\n${fields.join("\r\n")}\r\n\r\n${body}`;
}
