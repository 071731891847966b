import { readFileSync } from "node:fs";
import type { Finding } from "../../../contract/finding.ts";
import { findProgram } from "../runtime.ts";
import { flaw, install, well } from "./report.ts";

interface Needed {
  readonly program: string;
  readonly debianPackage: string;
  readonly why: string;
  readonly level: Finding["level"];
  /** It stands in the sandbox too, where no library of it may be. */
  readonly standalone?: true;
}

const NEEDED: readonly Needed[] = [
  { program: "tini-static", debianPackage: "tini", why: "the first process in every sandbox", level: "error", standalone: true },
  {
    program: "busybox",
    debianPackage: "busybox-static",
    why: "files in sandboxes, and their max_life clock",
    level: "error",
    standalone: true,
  },
  {
    program: "perl",
    debianPackage: "perl-base",
    why: "background processes, piped input, and sockets in sandboxes' networks",
    level: "error",
  },
  { program: "mkfs.ext4", debianPackage: "e2fsprogs", why: "disks with a quota", level: "warn" },
  { program: "mount", debianPackage: "mount", why: "disks with a quota, and network namespaces", level: "warn" },
  { program: "ip", debianPackage: "iproute2", why: "sandboxes that may reach something (network.allow)", level: "warn" },
  { program: "nft", debianPackage: "nftables", why: "sandboxes that may reach something (network.allow)", level: "warn" },
  { program: "flock", debianPackage: "util-linux", why: "egress, and images", level: "warn" },
  { program: "skopeo", debianPackage: "skopeo", why: "images from registries (image pull)", level: "info" },
];

/** The programs that the provider calls beside the runtimes. */
export function examinePrograms(): Promise<Finding[]> {
  return Promise.all(
    NEEDED.map(async ({ program, debianPackage, why, level, standalone }) => {
      const id = `program.${program}`;
      const path = await findProgram(program);
      if (path === undefined) return flaw(level, id, `${program} is not on this host`, why, install(debianPackage));
      if (standalone && needsLibraries(path)) {
        return flaw(
          "warn",
          id,
          `${path} is not a static program`,
          "it may not start in images other than the host's own",
          install(debianPackage),
        );
      }
      return well(id, program, path);
    }),
  );
}

/** Whether an ELF program asks for a dynamic linker: a program header of type PT_INTERP (elf(5)). */
function needsLibraries(path: string): boolean {
  const elf = readFileSync(path);
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2) return false;
  const [offset, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  return Array.from({ length: count }, (_, i) => offset + i * size).some((at) => at + 4 <= elf.length && elf.readUInt32LE(at) === 3);
}
