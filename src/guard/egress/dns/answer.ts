import { answersName, canonicalHost } from "../policy/index.ts";
import type { Session } from "../session/session.ts";
import { RCODE, readQuery, TYPE_A, writeAnswer } from "./message.ts";

/** What the boundary itself asks for to prove that it is who answers: no such name can exist. Not written down. */
const PROBE = "a.0";

/** Seconds. Short, so that a name that is no longer allowed is soon asked for again. */
const TTL = 60;

/** What to answer to a message of the sandbox, from memory alone; undefined: nothing. */
export function answerQuery(session: Session, message: Buffer): Buffer | undefined {
  const question = readQuery(message);
  if (question === undefined) return undefined;
  if (typeof question === "number") return writeAnswer(message, question);
  const name = canonicalHost(question.name);
  if (name === undefined || !answersName(session.policy, name)) {
    if (question.name !== PROBE) session.recordName(name ?? printable(question.name), name === undefined ? "bad_name" : "no_rule");
    return writeAnswer(message, RCODE.noName, question);
  }
  if (question.type !== TYPE_A) return writeAnswer(message, RCODE.ok, question);
  const given = session.names.addressOf(name);
  if (given === undefined) {
    session.recordName(name, "limit");
    return writeAnswer(message, RCODE.server, question);
  }
  if (given.fresh) session.recordName(name, null);
  return writeAnswer(message, RCODE.ok, question, given.address, TTL);
}

function printable(name: string): string {
  return name.replaceAll(/[^\x21-\x7e]/g, (byte) => `\\${String(byte.charCodeAt(0)).padStart(3, "0")}`);
}
