import { isIPv4 } from "node:net";

/** RFC 1035, 2.3.4. */
const MAX_NAME = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** What some resolver or URL parser reads as a number: decimal, octal or hexadecimal. Such a last label makes the whole an address. */
const NUMERIC = /^(?:\d+|0x[0-9a-f]*)$/;

/** Why a text is no host that can be asked for, or null where it is one. */
export function hostFault(text: string): string | null {
  if (text === "") return "is empty";
  if (text.length > MAX_NAME) return `is longer than ${MAX_NAME} characters`;
  // Everything else that is not in a label is refused below; these get words of their own because they are how names are smuggled.
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) return "has a space or a control character in it";
  // oxlint-disable-next-line no-control-regex
  if (/[^\u0000-\u007f]/.test(text)) return "is not ASCII; write an international name in its xn-- form";
  if (/[:[\]]/.test(text)) return "must be a name or an IPv4 address alone";
  if (text.endsWith(".")) return "ends in a dot";
  const labels = text.toLowerCase().split(".");
  if (labels.some((label) => !LABEL.test(label) && !NUMERIC.test(label))) return "is not a host name";
  if (NUMERIC.test(labels.at(-1) ?? "") && !isAddress(text)) return "is a number that can be read as more than one address";
  return null;
}

/**
 * The one form in which a host is checked, resolved and dialled: a name in lower case, or an IPv4 address of four decimal numbers.
 * Undefined for everything else: NUL, `%`, a trailing dot, ports, brackets, IPv6, names that are not ASCII, and numbers in any other
 * form (127.1, 0x7f000001, 017700000001).
 */
export function canonicalHost(text: string): string | undefined {
  return hostFault(text) === null ? text.toLowerCase() : undefined;
}

/** Whether a host is an IPv4 address in its one canonical form. */
export function isAddress(host: string): boolean {
  return isIPv4(host) && host.split(".").every((part) => part === String(Number(part)));
}

/** Why a text is no pattern for hosts, or null where it is one: a name, or `*.` and a name. */
export function patternFault(text: string): string | null {
  const name = text.startsWith("*.") ? text.slice(2) : text;
  if (name.includes("*")) return 'may have "*" only at the beginning, as in "*.example.com"';
  const fault = hostFault(name);
  if (fault !== null) return fault;
  return isAddress(name) ? 'is an address; name it in "cidr"' : null;
}

/** Whether a canonical host is one that the canonical pattern names. `*.x` names everything below x, at any depth, and never x. */
export function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === host;
  const suffix = pattern.slice(1);
  return host.length > suffix.length && host.endsWith(suffix);
}
