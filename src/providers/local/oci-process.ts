import type { Command, PtySize, SandboxSpec } from "../../contract/index.ts";
import { SandboxerError } from "../../contract/index.ts";
import { DEFAULT_HOME, type Inside } from "./images/inside.ts";
import { EGRESS_VARIABLES } from "./network/inside.ts";
import { type RuntimeName, RUNTIMES } from "./runtime.ts";
import { HELPERS, SANDBOX_UID } from "./skeleton.ts";

/**
 * A process in the runtime's own form. Every exec passes it whole: what `exec ID CMD` fills in by itself is uid 0 without
 * no_new_privs, whatever the bundle says.
 */
export interface OciProcess {
  terminal: boolean;
  consoleSize?: { height: number; width: number };
  user: { uid: number; gid: number; additionalGids?: number[] };
  args: string[];
  env: string[];
  cwd: string;
  noNewPrivileges: true;
  capabilities: Record<"bounding" | "effective" | "inheritable" | "permitted" | "ambient", never[]>;
  rlimits: { type: string; soft: number; hard: number }[];
}

/** Where commands start unless they say otherwise. */
export const WORKDIR = "/workspace";

const PATH = "/home/sandbox/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What libraries ask for the number of threads to start; all of them are answered with the sandbox's CPUs. */
const THREAD_VARIABLES = [
  "OMP_NUM_THREADS",
  "OPENBLAS_NUM_THREADS",
  "MKL_NUM_THREADS",
  "NUMEXPR_NUM_THREADS",
  "GOMAXPROCS",
  "RAYON_NUM_THREADS",
  "PYTHON_CPU_COUNT",
];

/** The variable that marks a command's tree where its processes are not the host's. */
export const MARK = "SANDBOXER_EXEC";

/**
 * Not every runtime gives a terminal its size before the command looks at it, so the command waits until it has one. The shim gives it, from
 * outside, and so knows of a later one; only where none comes within some 0.1 s it is set from in
 * here. Without a size this stty fails.
 */
const AT_ITS_SIZE = `_sb=${HELPERS}/busybox _looks=0
while ! $_sb stty size >/dev/null 2>&1 && [ $_looks -lt 50 ]; do _looks=$((_looks + 1)); $_sb usleep 2000; done
$_sb stty size >/dev/null 2>&1 || $_sb stty cols "$1" rows "$2"
unset _sb _looks; shift 2; exec "$@"`;

const NO_CAPABILITIES = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] };

function rlimits(spec: Pick<SandboxSpec, "resources">): OciProcess["rlimits"] {
  const limits: Record<string, number> = {
    RLIMIT_NOFILE: 4096,
    RLIMIT_CORE: 0,
    RLIMIT_FSIZE: spec.resources.diskBytes,
    RLIMIT_MEMLOCK: 64 * 1024,
  };
  return Object.entries(limits).map(([type, value]) => ({ type, soft: value, hard: value }));
}

/**
 * PID 1: reaps, and ends after `seconds` on the monotonic clock, which ends everything in the sandbox. It runs as the
 * sandbox's uid 0, without any capability, so that the sandbox's user can neither kill nor stop it.
 */
export function initProcess(spec: SandboxSpec, seconds: number, user: OciProcess["user"] = { uid: 0, gid: 0 }): OciProcess {
  return {
    terminal: false,
    user,
    args: [`${HELPERS}/tini`, "--", `${HELPERS}/busybox`, "sleep", String(seconds)],
    env: ["PATH=/"],
    cwd: "/",
    noNewPrivileges: true,
    capabilities: NO_CAPABILITIES,
    rlimits: rlimits(spec),
  };
}

/** The user as numbers: `sandbox`, `uid[:gid]`, or a name that the image has; the image's own unless given. Root inside is refused. */
export function userIds(user: string | undefined, inside?: Inside): { uid: number; gid: number } {
  if (user === undefined && inside !== undefined) return inside.user;
  if (user === undefined || user === "sandbox") return { uid: SANDBOX_UID, gid: SANDBOX_UID };
  const named = inside?.users.find(({ name, uid }) => name === user && uid !== 0);
  if (named !== undefined) return userIds(`${named.uid}:${named.gid}`);
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user);
  if (match === null) {
    throw new SandboxerError("invalid_request", `there is no user "${user}" in the sandbox`, {
      issues: [{ path: "user", message: "unknown user", nearest: "sandbox" }],
    });
  }
  const [uid, gid] = [Number(match[1]), Number(match[2] ?? match[1])];
  if (uid < 1 || gid < 1 || uid > 65_533 || gid > 65_533) {
    throw new SandboxerError("invalid_request", `user ids must be from 1 to 65533, not ${uid}:${gid}`, {
      issues: [{ path: "user", message: "out of range" }],
    });
  }
  return { uid, gid };
}

/** What programs ask the environment about their user. */
function whoIs(uid: number, inside: Inside | undefined): Record<string, string> {
  const known = inside?.users.find((user) => user.uid === uid);
  const name = known?.name ?? "sandbox";
  return {
    HOME: known?.home ?? DEFAULT_HOME,
    USER: name,
    LOGNAME: name,
    SHELL: inside === undefined ? "/bin/bash" : "/bin/sh",
  };
}

/** An image has bash, or another shell, or none: the first of them that is there, and ours in the end. */
const ANY_SHELL = `for _sb in /bin/bash /bin/sh; do [ -x "$_sb" ] && exec "$_sb" -c "$1"; done; exec ${HELPERS}/busybox sh -c "$1"`;

function shellWords(text: string, inside: Inside | undefined): string[] {
  return inside === undefined ? ["/bin/bash", "-c", text] : [`${HELPERS}/busybox`, "sh", "-c", ANY_SHELL, "sh", text];
}

/** The command as the runtime runs it: below a child subreaper of its own, so that its whole tree stays findable. */
export function commandProcess(
  spec: SandboxSpec,
  command: Command,
  { runtime, pty, inside }: { runtime: RuntimeName; pty?: PtySize; inside: Inside | undefined },
): OciProcess {
  const user = userIds(command.user ?? spec.user, inside);
  const workdir = inside?.workdir ?? WORKDIR;
  const cpus = String(Math.max(1, Math.ceil(spec.resources.cpu)));
  const env = {
    PATH,
    ...whoIs(user.uid, inside),
    LANG: "C.UTF-8",
    ...Object.fromEntries(THREAD_VARIABLES.map((name) => [name, cpus])),
    ...(pty === undefined ? {} : { TERM: "xterm-256color" }),
    ...(spec.egress === undefined ? {} : EGRESS_VARIABLES),
    ...inside?.env,
    ...spec.env,
    ...command.env,
    ...(RUNTIMES[runtime].hostProcesses ? {} : { [MARK]: command.id }),
  };
  const words = "argv" in command.run ? command.run.argv : shellWords(command.run.shell, inside);
  const args =
    pty === undefined ? words : [`${HELPERS}/busybox`, "sh", "-c", AT_ITS_SIZE, "pty", String(pty.cols), String(pty.rows), ...words];
  return {
    terminal: pty !== undefined,
    ...(pty === undefined ? {} : { consoleSize: { height: pty.rows, width: pty.cols } }),
    user: { ...user, additionalGids: [] },
    args: RUNTIMES[runtime].hostProcesses ? [`${HELPERS}/tini`, "-s", "--", ...args] : [`${HELPERS}/busybox`, "env", "--", ...args],
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd: command.cwd === undefined ? workdir : command.cwd.startsWith("/") ? command.cwd : `${workdir}/${command.cwd}`,
    noNewPrivileges: true,
    capabilities: NO_CAPABILITIES,
    rlimits: rlimits(spec),
  };
}
