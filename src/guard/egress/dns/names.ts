import { createHash } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { addressNumber, addressText, canonicalHost, SYNTHETIC } from "../policy/index.ts";

const SIZE = 2 ** (32 - SYNTHETIC.bits);
/** Names that one sandbox can have asked for; a wildcard must not let it fill memory and disk. Some 200 bytes each. */
const MAX_NAMES = 16_384;

/**
 * Which address stands for which name, for one sandbox. An address is never given to another name, also not after a restart: programs
 * keep answers. So each is written down before it is told.
 */
export class Names {
  readonly #path: string;
  readonly #byName = new Map<string, number>();
  readonly #byAddress = new Map<number, string>();

  constructor(path: string) {
    this.#path = path;
    for (const line of read(path)) {
      const [address = "", name = ""] = line.split(" ");
      const number = addressNumber(address);
      // A line torn by a crash was never told to anyone.
      if (!inRange(number) || canonicalHost(name) !== name) continue;
      this.#byName.set(name, number);
      this.#byAddress.set(number, name);
    }
  }

  /** The name's address as a number, and whether it is a new one; undefined where there are too many. */
  addressOf(name: string): { readonly address: number; readonly fresh: boolean } | undefined {
    const known = this.#byName.get(name);
    if (known !== undefined) return { address: known, fresh: false };
    if (this.#byName.size >= MAX_NAMES) return undefined;
    let offset = createHash("sha256").update(name).digest().readUInt32BE(0) % SIZE;
    while (offset === 0 || this.#byAddress.has(SYNTHETIC.base + offset)) offset = (offset + 1) % SIZE;
    const address = SYNTHETIC.base + offset;
    appendFileSync(this.#path, `${addressText(address)} ${name}\n`, { mode: 0o600 });
    this.#byName.set(name, address);
    this.#byAddress.set(address, name);
    return { address, fresh: true };
  }

  /** The name that an address stands for; null for one that stands for none, undefined for one that is not ours to give. */
  nameOf(address: string): string | null | undefined {
    const number = addressNumber(address);
    return inRange(number) ? (this.#byAddress.get(number) ?? null) : undefined;
  }
}

function inRange(number: number): boolean {
  return number >= SYNTHETIC.base && number < SYNTHETIC.base + SIZE;
}

function read(path: string): string[] {
  try {
    return readFileSync(path, "latin1").split("\n").slice(0, -1);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return [];
    throw thrown;
  }
}
