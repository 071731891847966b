import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Op, SandboxSpec } from "../../../contract/index.ts";
import { INSIDE, newId, SandboxerError } from "../../../contract/index.ts";
import { createSandbox } from "../create.ts";
import { destroySandbox } from "../destroy.ts";
import { execCommand } from "../exec.ts";
import type { Host } from "../host.ts";
import { HELPERS } from "../skeleton.ts";
import { NETWORK_PROGRAMS } from "./namespace.ts";

/** An address of nobody's (RFC 5737). */
const FAR = { address: "192.0.2.7", port: 443 };

/** Programs that egress needs and this host lacks. */
export function missingPrograms(): (keyof typeof NETWORK_PROGRAMS)[] {
  const directories = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/bin", "/bin"].filter((path) => path.startsWith("/")); // prettier-ignore
  const names = Object.keys(NETWORK_PROGRAMS) as (keyof typeof NETWORK_PROGRAMS)[];
  return names.filter((name) => !directories.some((directory) => existsSync(join(directory, name))));
}

/**
 * Why a sandbox of the runtime that `given` has cannot have egress; undefined where it was seen to work: in one, with nothing listening a connection
 * to a far address is refused, and with a listener like the boundary's it arrives there, with that address.
 */
export async function missingForEgress(given: Host, spec: SandboxSpec, op: Op): Promise<string | undefined> {
  if (given.rootless !== undefined) return "network namespaces that a boundary can be attached to need root";
  const programs = missingPrograms();
  if (programs.length > 0) return `not installed: ${programs.map((name) => `${name} (package ${NETWORK_PROGRAMS[name]})`).join(", ")}`;
  const host: Host = { ...given, network: given.network.forTrial() };
  const [caPem = ""] = (await import("node:tls")).rootCertificates;
  try {
    const { ref } = await createSandbox(host, { ...spec, egress: { caPem } }, op);
    const call = async (): Promise<string> => {
      const argv = [`${HELPERS}/busybox`, "nc", FAR.address, String(FAR.port)];
      let heard = "";
      const command = { id: newId("exec"), run: { argv }, timeoutMs: 20_000 };
      for await (const event of execCommand(host, ref, command, { stdin: { kind: "none" }, maxOutputBytes: 4096 }, op)) {
        if (event.type === "stdout") heard += Buffer.from(event.data).toString();
        if (event.type === "exited" && event.outcome !== "exited")
          throw new SandboxerError("backend_unavailable", "a connection to nowhere hangs");
      }
      return heard;
    };
    const before = await call();
    if (before !== "") return "a connection was answered with nobody listening";
    const namespace = host.network.of(ref.id);
    const listener = { host: INSIDE.address, port: INSIDE.transparentPort, transparent: true };
    const server = await host.network.netns.listen(namespace, listener, (socket) =>
      socket.end(`${socket.localAddress}:${socket.localPort}`),
    );
    try {
      const arrived = await call();
      return arrived === `${FAR.address}:${FAR.port}` ? undefined : "a connection did not arrive at the boundary with its destination";
    } finally {
      server.close();
    }
  } catch (error) {
    return SandboxerError.from(error).message;
  } finally {
    await destroySandbox(host, spec.id);
    await host.network.pool.emptyBin();
  }
}
