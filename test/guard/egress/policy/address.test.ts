import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressNumber, addressText, classifyAddress, rangeHas, readRange } from "../../../../src/guard/egress/policy/index.ts";

describe("an address", () => {
  it.each(["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1"])(
    "%s is public",
    (address) => {
      expect(classifyAddress(address)).toEqual({ kind: "public", name: "public" });
    },
  );

  it.each([
    ["127.0.0.1", "loopback"], ["127.255.255.254", "loopback"], ["10.1.2.3", "private"], ["172.16.0.1", "private"], ["172.31.255.255", "private"],
    ["192.168.1.1", "private"], ["169.254.169.254", "link-local"], ["100.100.100.200", "shared"], ["192.0.0.192", "protocol assignment"], ["192.0.2.1", "documentation"],
  ])("%s needs a rule for exactly itself (%s)", (address, name) => {
    expect(classifyAddress(address)).toEqual({ kind: "exact", name });
  }); // prettier-ignore

  it.each([
    "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "198.18.0.1", "198.19.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2001::1",
    "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "4000::1", "1::1", "localhost", "127.1", "", "2606:4700::1%eth0",
  ])("%s is never reachable", (address) => {
    expect(classifyAddress(address).kind).toBe("never");
  }); // prettier-ignore

  it("in IPv4 that is dressed up as IPv6 is never reachable, whatever it is", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.constantFrom("::ffff:", "::", "64:ff9b::", "::ffff:0:"), (address, prefix) => {
        expect(classifyAddress(prefix + address).kind).toBe("never");
      }),
    );
  });
});

describe("a range", () => {
  it("has the addresses between its first and its last, and no others", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (address, bits, other) => {
        const size = 2 ** (32 - bits);
        const base = Math.floor(addressNumber(address) / size) * size;
        const range = readRange(`${addressText(base)}/${bits}`);
        if (typeof range === "string") throw new Error(range);
        expect(rangeHas(range, other)).toBe(addressNumber(other) >= base && addressNumber(other) < base + size);
        expect(rangeHas(range, address)).toBe(true);
      }),
    );
  });

  it("is one address where no length is given", () => {
    expect(readRange("10.1.2.3")).toEqual({ base: addressNumber("10.1.2.3"), bits: 32 });
  });

  it.each(["10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "::/0", "a", "10.0.0.00/32"])("%s is none", (text) => {
    expect(readRange(text)).toBeTypeOf("string");
  });
});
