import type { Socket as UdpSocket } from "node:dgram";
import type { Socket } from "node:net";
import type { Session } from "../session/session.ts";
import { answerQuery } from "./answer.ts";

/** Milliseconds; RFC 7766 asks for seconds. */
const IDLE_MS = 10_000;

/** Answers DNS over UDP for one sandbox. */
export function serveUdp(session: Session, socket: UdpSocket): void {
  socket.on("message", (message, { address, port }) => {
    const answer = answerQuery(session, message);
    // A caller that has gone is no fault of ours; the next one is answered.
    if (answer !== undefined) socket.send(answer, port, address, () => {});
  });
}

/** Answers DNS over one TCP connection, any number of questions one after the other. */
export function serveTcp(session: Session, socket: Socket): void {
  let held: Buffer = Buffer.alloc(0);
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const answers: Buffer[] = [];
    for (;;) {
      if (held.length < 2) break;
      const length = held.readUInt16BE(0);
      if (held.length < 2 + length) break;
      const answer = answerQuery(session, held.subarray(2, 2 + length));
      held = held.subarray(2 + length);
      if (answer === undefined) {
        socket.destroy();
        return;
      }
      const size = Buffer.alloc(2);
      size.writeUInt16BE(answer.length);
      answers.push(size, answer);
    }
    if (answers.length > 0 && !socket.write(Buffer.concat(answers))) {
      socket.pause();
      socket.once("drain", () => socket.resume());
    }
  });
  socket.on("end", () => socket.end());
}
