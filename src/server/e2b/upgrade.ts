import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { newId, SandboxerError } from "../../contract/index.ts";
import { checkHost } from "../auth.ts";
import type { Door, Service } from "../call.ts";
import { toPublic } from "../reply.ts";
import { hostOf, isOwnName } from "../preview/address.ts";
import type { Destination } from "./address.ts";
import { ENVD_PORT, type E2bContext } from "./context.ts";
import { refuseUpgrade, upgradePort } from "./data/port/upgrade.ts";
import type { DataGate } from "./gate.ts";

type SandboxPort = Extract<Destination, { to: "sandbox" }>;

/** Where an upgrade goes; undefined for what is none, or not for a program inside. */
export function portUpgrade(to: Destination | undefined, { headers }: IncomingMessage): SandboxPort | undefined {
  return to?.to === "sandbox" && to.port !== ENVD_PORT && headers.upgrade !== undefined ? to : undefined;
}

/** A loopback listener answers to this machine's names and to those of its own domain. */
export function checkOwnName(ctx: E2bContext, door: Door, host: string): void {
  if (!isOwnName(host, ctx.domain())) checkHost(door, host);
}

/** Checks an upgrade as any other request to a port, and joins it with the program or refuses it. */
export async function answerUpgrade(
  { service, ctx, gate, door }: { service: Service; ctx: E2bContext; gate: DataGate; door: Door },
  to: SandboxPort,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const requestId = newId("request");
  const cancel = new AbortController();
  const lost = (): void => {
    service.open.forget(cancel);
    cancel.abort(new DOMException("the client went away", "AbortError"));
  };
  // An error without a listener would end the process; a close follows it.
  socket.on("error", lost);
  socket.once("close", lost);
  service.open.register(cancel, "follower");
  cancel.signal.addEventListener("abort", () => socket.destroy(), { once: true });
  const url = new URL(incoming.url ?? "/", "http://sandbox");
  try {
    checkOwnName(ctx, door, hostOf(incoming.headers));
    if (service.open.closing) throw new SandboxerError("shutting_down", "the server is closing");
    const header = (name: string): string | undefined => [incoming.headers[name]].flat()[0];
    const { sandboxId, port, who } = await gate.admit({ method: incoming.method ?? "GET", url: url.href, path: url.pathname, header }, to);
    const call = {
      requestId,
      sandboxId,
      who,
      request: new Request(url),
      signal: cancel.signal,
      incoming,
      destroy: () => void socket.destroy(),
    };
    service.counter.count("GET", "e2b data port", await upgradePort(ctx, call, port, incoming, socket, head));
  } catch (thrown) {
    const error = toPublic(thrown);
    if (error.code === "internal") service.log.error({ request_id: requestId, err: thrown }, "an upgrade of the E2B wire failed");
    refuseUpgrade(socket, to.sandboxId, error);
  }
}
