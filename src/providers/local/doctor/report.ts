import type { Finding } from "../../../contract/finding.ts";

/** Short forms for findings: what is well, and what could be better. */

export function well(id: string, title: string, detail = ""): Finding {
  return { id, ok: true, level: "info", title, detail };
}

/** `command` is a shell command that would improve it, and that nobody regrets: `doctor --fix` runs it. */
export function flaw(level: Finding["level"], id: string, title: string, detail: string, command?: string): Finding {
  return { id, ok: false, level, title, detail, ...(command === undefined ? {} : { fix: { command } }) };
}

/** Debian's and Ubuntu's way. */
export function install(debianPackage: string): string {
  return `apt-get install -y ${debianPackage}`;
}
