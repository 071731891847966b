import type { Duplex } from "node:stream";
import { newId, SandboxerError } from "../../contract/index.ts";
import type { ExecEvent, Ports, Provider } from "../../contract/index.ts";
import { ExecStream } from "./exec-stream.ts";

/** What {@link portsOverExec} needs to know. */
export interface PortsOverExecOptions {
  /** The provider's own exec: each connection is one call of it. */
  readonly exec: Provider["exec"];
  /** Absolute path, inside, of a static busybox that nobody inside can change. Without it the image's own busybox, or bash, is used. */
  readonly busybox?: string;
}

const CLOSED_STATUS = 1;
const NO_RELAY_STATUS = 97;

/**
 * Says "+" once something listens, then joins its input and output with it. The kernel's tables are read first: they
 * tell whether anything listens, and whether only on [::1], without a connection that a server would have to wonder about.
 */
const RELAY = `
busybox=$1 port=$2 hex=$(printf %04X "$2") at=
listener() {
  [ -r "$1" ] || return 0
  while read -r _ local _ state _; do
    [ "$state" = 0A ] || continue
    case $local in
      0100007F:$hex | 00000000:$hex | 00000000000000000000000000000000:$hex) at=127.0.0.1; return 0 ;;
      00000000000000000000000001000000:$hex) at=::1 ;;
    esac
  done <"$1"
}
listener /proc/net/tcp
[ -n "$at" ] || listener /proc/net/tcp6
[ -n "$at" ] || [ ! -r /proc/net/tcp ] || exit 1
[ -n "$at" ] || at=127.0.0.1
for b in $busybox busybox; do
  command -v "$b" >/dev/null 2>&1 || continue
  printf +
  exec "$b" nc "$at" "$port"
done
command -v bash >/dev/null 2>&1 || exit 97
exec bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1; printf +; exec 4<&0; cat <&4 >&3 & up=$!; cat <&3; kill $up 2>/dev/null; exit 0' "$at" "$port"
`;

/**
 * The `Ports` group over any provider's exec: a connection is a command that stands inside while it lasts. It costs an
 * exec to begin with, then a copy of each byte each way; both directions are held back by their readers. IPv4 loopback,
 * then [::1]. Declare `ports.http` as emulated.
 *
 * @throws SandboxerError `not_found` where nothing listens, `capability_unsupported` where the sandbox has neither busybox nor bash.
 */
export function portsOverExec({ exec, busybox = "" }: PortsOverExecOptions): Ports {
  const shell = busybox === "" ? ["/bin/sh"] : [busybox, "sh"];
  return {
    async connect(ref, port, op): Promise<Duplex> {
      const stop = new AbortController();
      const stream = new ExecStream((stdin) => {
        const command = { id: newId("exec"), run: { argv: [...shell, "-c", RELAY, "ports", busybox, String(port)] } };
        const signal = AbortSignal.any([op.signal, stop.signal]);
        return exec(ref, command, { stdin: { kind: "pipe", stream: stdin }, maxOutputBytes: Number.MAX_SAFE_INTEGER }, { ...op, signal });
      }, stop);
      try {
        const end = await stream.open();
        if (end !== undefined) throw refusal(port, end);
        return stream;
      } catch (thrown) {
        stream.destroy();
        throw thrown;
      }
    },
  };
}

function refusal(port: number, { outcome, exitCode }: Extract<ExecEvent, { type: "exited" }>): SandboxerError {
  if (outcome === "exited" && exitCode === CLOSED_STATUS) return new SandboxerError("not_found", `nothing listens on port ${port}`);
  if (exitCode === NO_RELAY_STATUS || exitCode === 126 || exitCode === 127)
    return new SandboxerError("capability_unsupported", "ports: the sandbox has neither busybox nor bash to reach its ports with", {
      issues: [{ path: "port", message: "needs busybox or bash inside" }],
    });
  return new SandboxerError("backend_rejected", `the way to port ${port} ended with ${exitCode ?? outcome} before it was open`);
}
