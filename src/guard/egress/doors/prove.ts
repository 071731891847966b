import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { SandboxerError } from "../../../contract/index.ts";
import { INSIDE } from "../../../contract/network.ts";
import { type Netns, NetnsError } from "../../../netns/index.ts";
import { RCODE } from "../dns/message.ts";
import type { Session } from "../session/session.ts";
import type { Doors } from "./doors.ts";

/** Milliseconds for each of the probes. */
const PATIENCE_MS = 5000;
/** Where something worth protecting answers on many networks, most wanted first. */
const FORBIDDEN = ["169.254.169.254", "169.254.170.2", "10.255.255.254", "192.0.2.254"] as const;
const PORT = 80;

/**
 * Does from inside the namespace what must fail, and looks at how it fails: a connection to an address that no rule opens must arrive here and be
 * denied, and a name that cannot exist must be answered by us, with NXDOMAIN.
 *
 * @throws SandboxerError `isolation_unavailable`.
 */
export async function proveDenial(session: Session, doors: Doors, netns: Netns, namespace: string): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const tried = await Promise.allSettled([proveConnection(session, doors, netns, namespace, signal), proveName(netns, namespace, signal)]);
  const what = ["a connection to an address that no rule opens", "a query for a name that does not exist"];
  for (const [index, one] of tried.entries()) if (one.status === "rejected") fail(what[index] ?? "", one.reason);
}

async function proveConnection(session: Session, doors: Doors, netns: Netns, namespace: string, signal: AbortSignal): Promise<void> {
  const address = FORBIDDEN.find((one) => {
    const { reason } = session.decideConnection({ host: one, port: PORT, protocol: "any" });
    // After a violation nothing passes, whatever the policy opens.
    return reason === "address_forbidden" || reason === "placeholder";
  });
  if (address === undefined) throw new Error(`the policy opens all of ${FORBIDDEN.join(", ")}, so there is nothing left to try`);
  const socket = await netns.connect(namespace, address, PORT, signal);
  const port = socket.localPort ?? 0;
  doors.probes.add(port);
  try {
    socket.write(`GET / HTTP/1.1\r\nHost: ${address}\r\n\r\n`);
    const text = (await socket.toArray({ signal })).join("");
    if (!doors.arrived(port)) throw new Error(`what answered at ${address} is not the boundary`);
    if (!/^HTTP\/1\.1 403 .*^x-sand-boxer: denied\r$/ms.test(text)) throw new Error(`${address} was not denied: ${text.slice(0, 100)}`);
  } finally {
    socket.destroy();
    doors.probes.delete(port);
  }
}

async function proveName(netns: Netns, namespace: string, signal: AbortSignal): Promise<void> {
  const socket = await netns.bind(namespace, { host: INSIDE.address, port: 0 });
  try {
    const id = randomBytes(2);
    // "a.0": no such name can exist, and no policy names it.
    socket.send(Buffer.concat([id, Buffer.from("01000001000000000000016101300000010001", "hex")]), INSIDE.dnsPort, INSIDE.address);
    const [answer] = (await once(socket, "message", { signal })) as [Buffer];
    if (!answer.subarray(0, 2).equals(id) || (answer[3]! & 15) !== RCODE.noName) throw new Error("it was answered otherwise");
  } finally {
    socket.close();
  }
}

function fail(what: string, thrown: unknown): never {
  const why = thrown instanceof NetnsError ? `${thrown.code} at ${thrown.step}` : thrown instanceof Error ? thrown.message : String(thrown);
  throw new SandboxerError("isolation_unavailable", `egress is not held: ${what} did not fail as it must (${why})`, {
    phase: "network",
    hint: "Nothing listens for this sandbox's egress now. Look at its network namespace: a route to loopback, TPROXY to 127.0.0.1:1, no device.",
    cause: thrown,
  });
}
