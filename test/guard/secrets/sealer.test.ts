import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { keyFile, openSealer } from "../../../src/guard/secrets/index.ts";

const made: string[] = [];
function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "sbx-sealer-"));
  made.push(path);
  return path;
}
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true });
});

const refused = (message: RegExp) => expect.objectContaining({ code: "secret_unavailable", message: expect.stringMatching(message) });

describe("sealing", () => {
  it("gives back any text, in another process as well, and never the same sealed form twice", () => {
    const path = directory();
    const sealer = openSealer(path, {});
    const later = openSealer(path, {});
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 5000 }), fc.string(), (text, context) => {
        const sealed = sealer.seal(text, context);
        expect(sealed).toMatch(/^sealed1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$/);
        expect(sealer.seal(text, context)).not.toBe(sealed);
        expect(later.open(sealed, context)).toBe(text);
      }),
      { numRuns: 200 },
    );
  });

  it("refuses what was changed at any place, cut, or sealed for another context, and says nothing of the text", () => {
    const sealer = openSealer(directory(), {});
    const sealed = sealer.seal("tell-no-one", "default/npm");
    const start = sealed.lastIndexOf(".") + 1;
    for (let at = start; at < sealed.length - 1; at++) {
      const other = sealed[at] === "A" ? "B" : "A";
      expect(() => sealer.open(sealed.slice(0, at) + other + sealed.slice(at + 1), "default/npm"), String(at)).toThrow(refused(/changed/));
    }
    expect(() => sealer.open(sealed.slice(0, -4), "default/npm")).toThrow(refused(/changed/));
    expect(() => sealer.open(sealed, "default/pypi")).toThrow(refused(/something else/));
    for (const text of ["", "tell-no-one", "sealed1.00000000.", "sealed2" + sealed.slice(7)])
      expect(() => sealer.open(text, "default/npm")).toThrow(refused(/not a sealed value/));
  });

  it("says so where a value was sealed under another key", () => {
    const sealed = openSealer(directory(), {}).seal("x", "c");
    expect(() => openSealer(directory(), {}).open(sealed, "c")).toThrow(refused(/sealed under the key [0-9a-f]{8}/));
  });
});

describe("the key", () => {
  it("is made once, of 32 bytes, for its owner alone, and leaves no draft behind", () => {
    const path = directory();
    openSealer(path, {});
    const text = readFileSync(keyFile(path), "utf8");
    expect(Buffer.from(text, "base64")).toHaveLength(32);
    expect(statSync(keyFile(path)).mode & 0o777).toBe(0o600);
    openSealer(path, {});
    expect(readFileSync(keyFile(path), "utf8")).toBe(text);
    expect(readdirSync(path)).toEqual(["secrets.key"]);
  });

  it("comes from the environment in base64 or hex, and then no file is made", () => {
    const path = directory();
    const key = randomBytes(32);
    const sealed = openSealer(path, { SANDBOXER_SECRETS_KEY: key.toString("base64") }).seal("x", "c");
    for (const form of ["hex", "base64url"] as const)
      expect(openSealer(path, { SANDBOXER_SECRETS_KEY: key.toString(form) }).open(sealed, "c")).toBe("x");
    expect(readdirSync(path)).toEqual([]);
    for (const bad of ["", "short", key.toString("hex").slice(2), key.toString("base64") + "AA"]) {
      expect(() => openSealer(path, { SANDBOXER_SECRETS_KEY: bad })).toThrow(refused(/SANDBOXER_SECRETS_KEY is not a key/));
    }
  });

  it.each([0o640, 0o604, 0o660, 0o644])("is refused where others may read or write it (%o)", (mode) => {
    const path = directory();
    openSealer(path, {});
    chmodSync(keyFile(path), mode);
    expect(() => openSealer(path, {})).toThrow(refused(/read by others/));
  });

  it("is refused where it is a link, a directory, empty, or not a key, and is not written over", () => {
    const path = directory();
    const file = keyFile(path);
    writeFileSync(join(path, "elsewhere"), randomBytes(32).toString("hex"), { mode: 0o600 });
    symlinkSync(join(path, "elsewhere"), file);
    expect(() => openSealer(path, {})).toThrow(refused(/symbolic link/));
    rmSync(file);
    mkdirSync(file);
    expect(() => openSealer(path, {})).toThrow(refused(/not a file/));
    rmSync(file, { recursive: true });
    for (const [text, why] of [
      ["", /is not a key/],
      ["hello\n", /is not a key/],
      ["a".repeat(5000), /too long/],
    ] as const) {
      writeFileSync(file, text, { mode: 0o600 });
      expect(() => openSealer(path, {})).toThrow(refused(why));
      expect(readFileSync(file, "utf8")).toBe(text);
      rmSync(file);
    }
  });
});
