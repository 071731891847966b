import { z } from "zod";
import { type IsolationLevel, newId, type Op, type Ref, SandboxerError } from "../../contract/index.ts";
import { Companion } from "../shared/companion/companion.ts";
import { parseJson } from "../shared/companion/frames.ts";
import type { DockerAgents } from "./agents.ts";
import type { ContainerInfo } from "./sdk.ts";

/** Says how things stand inside, as the sandbox's user finds them. */
const LOOK = `
my %at;
open my $status, '<', '/proc/self/status' or die; while (<$status>) { $at{$1} = $2 if /^(\\w+):\\s*(.*?)\\s*$/ }
opendir my $net, '/sys/class/net'; my $devices = join ' ', sort grep { !/^\\./ } $net ? readdir $net : ();
require POSIX; my @name = POSIX::uname();
my $text = sub { my $value = shift // ''; $value =~ s/[^\\x20-\\x7e]|["\\\\]/ /g; qq("$value") };
print '{', join(',', map { qq("$_":) . $text->($at{$_}) } qw(Seccomp NoNewPrivs CapInh CapPrm CapEff CapBnd CapAmb Uid)), ',"devices":', $text->($devices), ',"release":', $text->($name[2]),
  ',"reaps":', $text->(syscall($name[4] =~ /^(?:aarch64|arm64)$/ ? 167 : 157, 36, 1, 0, 0, 0) == 0 ? 'yes' : 'no'), '}';
`;

const Look = z.object({
  Seccomp: z.string(),
  NoNewPrivs: z.string(),
  CapInh: z.string(),
  CapPrm: z.string(),
  CapEff: z.string(),
  CapBnd: z.string(),
  CapAmb: z.string(),
  Uid: z.string(),
  devices: z.string(),
  release: z.string(),
  reaps: z.enum(["yes", "no"]),
});

/** Of runtimes whose kernel is not the engine's host's, the level that such a kernel gives, by the runtime's program. */
const LEVELS: readonly (readonly [RegExp, IsolationLevel])[] = [
  [/runsc/, "gvisor"],
  [/kata|firecracker/, "microvm"],
];

/** The level that a runtime is said to give: what its name and program promise, to be verified in each kind of sandbox. */
export function promisedLevel(runtime: string | undefined, path: string | undefined): IsolationLevel {
  return LEVELS.find(([pattern]) => pattern.test(runtime ?? "") || pattern.test(path ?? ""))?.[1] ?? "container";
}

/**
 * Looks from inside whether the confinement that was asked for is there. One exec.
 *
 * @throws SandboxerError `isolation_unavailable`, naming what is missing; `backend_rejected` where commands could not be ended there.
 */
export async function verifyInside(agents: DockerAgents, ref: Ref, promised: IsolationLevel, hostKernel: string, op: Op): Promise<void> {
  const agent = await agents.of(ref, op, "create");
  const companion = new Companion(agent, { argv: ["/usr/bin/perl", "-e", LOOK], user: agent.user, tag: newId("exec") }, op);
  let text: string;
  try {
    text = await companion.text(64 * 1024);
  } finally {
    companion.leave();
  }
  const look = parseJson(Look, text);
  if (look.reaps === "no")
    throw new SandboxerError("backend_rejected", "the kernel inside cannot keep a command's tree together (PR_SET_CHILD_SUBREAPER)", {
      phase: "create",
      hint: "Try a newer version of the runtime.",
    });
  const missing: string[] = [];
  if (promised === "container") {
    // Kernels of other levels do not tell of these in the same way: there the other kernel is the wall.
    if (look.Seccomp !== "2") missing.push("the system call filter");
    if (look.NoNewPrivs !== "1") missing.push("no_new_privs");
  } else if (look.release === hostKernel) missing.push("a kernel of its own");
  for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] as const)
    // An old gVisor has no line for some of them.
    if (!/^0+$/.test(look[name]) && !(promised !== "container" && look[name] === "")) missing.push(`empty ${name}`);
  if (look.Uid.split(/\s+/).some((uid) => uid === "0")) missing.push("a user that is not root");
  if (look.devices !== "lo" && look.devices !== "") missing.push("a network namespace with nothing in it");
  if (missing.length > 0)
    throw new SandboxerError("isolation_unavailable", `inside the container there is not: ${missing.join(", ")}`, { phase: "create" });
}

/** What the engine itself says that it applied, against what was asked for. */
export function verifyLimits({ HostConfig }: ContainerInfo, asked: Readonly<Record<string, unknown>>): void {
  const names = ["Memory", "MemorySwap", "CpuQuota", "CpuPeriod", "PidsLimit", "NetworkMode"];
  const wrong = names.filter((name) => HostConfig[name] !== asked[name]);
  if (HostConfig["Privileged"] !== false) wrong.push("Privileged");
  if (wrong.length > 0)
    throw new SandboxerError("isolation_unavailable", `the engine did not apply: ${wrong.map((name) => `${name} (${JSON.stringify(HostConfig[name])})`).join(", ")}`, { phase: "create" }); // prettier-ignore
}
