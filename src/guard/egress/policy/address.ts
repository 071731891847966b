import { BlockList, isIPv4, isIPv6 } from "node:net";

/**
 * Who may dial an address: anyone whom a rule lets (`public`), only a rule that names exactly this one (`exact`), or nobody,
 * because it is no single machine, or another address in disguise (`never`).
 */
export type AddressKind = "public" | "exact" | "never";

export interface AddressClass {
  readonly kind: AddressKind;
  /** As an event says it: "loopback", "link-local". */
  readonly name: string;
}

/** From what a sandbox's DNS answers are taken. RFC 2544 keeps it for measurements: no host on the internet has one. */
export const SYNTHETIC = { base: 0xc612_0000, bits: 15 } as const;

/** Source: the IANA special-purpose address registries (RFC 6890), and where clouds keep their metadata. */
const TABLE: readonly (readonly [AddressKind, string, readonly string[]])[] = [
  ["never", "unspecified", ["0.0.0.0/8", "::/128"]],
  ["exact", "loopback", ["127.0.0.0/8"]],
  ["exact", "private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]],
  ["exact", "shared", ["100.64.0.0/10"]],
  ["exact", "link-local", ["169.254.0.0/16"]],
  ["exact", "protocol assignment", ["192.0.0.0/24"]],
  ["exact", "documentation", ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]],
  ["never", "relay", ["192.88.99.0/24"]],
  ["never", "measurement", ["198.18.0.0/15"]],
  ["never", "multicast", ["224.0.0.0/4", "ff00::/8"]],
  ["never", "broadcast", ["255.255.255.255/32"]],
  ["never", "reserved", ["240.0.0.0/4"]],
  ["never", "loopback", ["::1/128"]],
  ["never", "an IPv4 address in IPv6", ["::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"]],
  ["never", "protocol assignment", ["2001::/23"]],
  ["never", "documentation", ["2001:db8::/32", "3fff::/20"]],
  ["never", "private", ["fc00::/7"]],
  ["never", "link-local", ["fe80::/10", "fec0::/10"]],
]; // prettier-ignore

// By family: a BlockList takes a.b.c.d and ::ffff:a.b.c.d for the same, and here they are not.
const CLASSES = {
  ipv4: classesOf((range) => !range.includes(":")),
  ipv6: classesOf((range) => range.includes(":")),
};
const GLOBAL_IPV6 = listOf(["2000::/3"]);
const PUBLIC: AddressClass = { kind: "public", name: "public" };

function classesOf(which: (range: string) => boolean): readonly { readonly class: AddressClass; readonly list: BlockList }[] {
  return TABLE.map(([kind, name, ranges]) => ({ class: { kind, name }, list: listOf(ranges.filter(which)) }));
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [base = "", bits = ""] = range.split("/");
    list.addSubnet(base, Number(bits), base.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}

/** What an address, as a resolver or a socket gives it, is. A text that is none, and one with a zone, is `never`. */
export function classifyAddress(address: string): AddressClass {
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) && !address.includes("%") ? "ipv6" : undefined;
  if (family === undefined) return { kind: "never", name: "no address" };
  const found = CLASSES[family].find(({ list }) => list.check(address, family))?.class;
  if (found !== undefined) return found;
  return family === "ipv4" || GLOBAL_IPV6.check(address, "ipv6") ? PUBLIC : { kind: "never", name: "reserved" };
}

/** An IPv4 range: the base's bits beyond `bits` are zero. */
export interface Range {
  readonly base: number;
  readonly bits: number;
}

/** Reads `a.b.c.d` or `a.b.c.d/n`; a text with the fault where it is neither. */
export function readRange(text: string): Range | string {
  const [, address = "", bitsText] = /^([\d.]+)(?:\/(\d{1,2}))?$/.exec(text) ?? [];
  const bits = bitsText === undefined ? 32 : Number(bitsText);
  if (!isIPv4(address) || bits > 32) return 'must be an IPv4 address or range, as "192.0.2.0/24"';
  const base = addressNumber(address);
  const start = mask(base, bits);
  return start === base ? { base, bits } : `has bits set beyond its length; nearest: "${addressText(start)}/${bits}"`;
}

export function rangeHas({ base, bits }: Range, address: string): boolean {
  return mask(addressNumber(address), bits) === base;
}

export function addressNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function addressText(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
}

function mask(number: number, bits: number): number {
  return bits === 0 ? 0 : (number & (0xffff_ffff << (32 - bits))) >>> 0;
}
