import type { Socket } from "node:net";
import { Connection } from "../flow/connection.ts";
import type { Inspection, Target } from "../inspect/types.ts";
import type { Session } from "../session/session.ts";
import { admit } from "./admit.ts";
import { destinationOf, recordRefused } from "./destination.ts";

/** Longest wait for the client to say what it wants. Milliseconds. */
const PATIENCE_MS = 10_000;
/** RFC 1928, 6. */
const REPLY = { granted: 0, notAllowed: 2, command: 7, addressType: 8 } as const;
const NO_AUTHENTICATION = 0;

/** A SOCKS5 connection: CONNECT to a name or an IPv4 address. No UDP and no listening, which have no place in a sandbox's way out. */
export async function enterSocks(session: Session, inspection: Inspection, socket: Socket): Promise<void> {
  if (!admit(session, socket, "socks")) return;
  const intake = new Intake(socket);
  const asked = await negotiate(intake, socket);
  if (asked === undefined) return void socket.destroy();
  const destination = destinationOf(session, asked.host, asked.port);
  const decision = "verdict" in destination ? destination : session.decideConnection({ ...destination, protocol: "any" });
  if ("verdict" in destination || decision.verdict === "deny") {
    refuse(socket, REPLY.notAllowed);
    return recordRefused(session, "socks", "verdict" in destination ? asked : destination, decision);
  }
  socket.write(reply(REPLY.granted));
  await new Connection(session, inspection, { socket, destination, via: "socks", head: intake.rest() }).run();
}

/** What the client asks to be connected to; undefined where it does not come to that, which it has been told. */
async function negotiate(intake: Intake, socket: Socket): Promise<Target | undefined> {
  const [version, count] = (await intake.take(2)) ?? [];
  if (version !== 5 || count === undefined) return undefined;
  const methods = await intake.take(count);
  if (methods === undefined) return undefined;
  if (!methods.includes(NO_AUTHENTICATION)) return void socket.end(Buffer.from([5, 0xff]));
  socket.write(Buffer.from([5, NO_AUTHENTICATION]));
  const [, command, , type] = (await intake.take(4)) ?? [];
  if (command === undefined || type === undefined) return undefined;
  if (command !== 1) return refuse(socket, REPLY.command);
  if (type !== 1 && type !== 3) return refuse(socket, REPLY.addressType);
  const length = type === 1 ? 4 : (await intake.take(1))?.[0];
  const address = length === undefined ? undefined : await intake.take(length);
  const port = await intake.take(2);
  if (address === undefined || port === undefined) return undefined;
  return { host: type === 1 ? address.join(".") : address.toString("latin1"), port: port.readUInt16BE(0) };
}

function reply(code: number): Buffer {
  return Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
}

function refuse(socket: Socket, code: number): undefined {
  socket.end(reply(code));
  return undefined;
}

/** Reads exact numbers of bytes. The socket is paused between two reads. */
class Intake {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Undefined where the connection ends first, or takes too long. */
  async take(length: number): Promise<Buffer | undefined> {
    if (this.#held.length < length && !(await this.#fill(length))) return undefined;
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  /** What was read beyond. */
  rest(): Buffer {
    return this.#held;
  }

  #fill(length: number): Promise<boolean> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const settle = (whole: boolean): void => {
        clearTimeout(timer);
        socket.off("data", onData).off("end", onGone).off("close", onGone).pause();
        resolve(whole);
      };
      const onData = (chunk: Buffer): void => {
        this.#held = Buffer.concat([this.#held, chunk]);
        if (this.#held.length >= length) settle(true);
      };
      const onGone = (): void => settle(false);
      const timer = setTimeout(onGone, PATIENCE_MS);
      if (socket.destroyed || socket.readableEnded) return onGone();
      socket.on("data", onData).on("end", onGone).on("close", onGone).resume();
    });
  }
}
