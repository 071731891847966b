import type { Duplex } from "node:stream";
import type { PortVisibility } from "../contract/index.ts";

/** A port that is reached from outside, as it is in force now. */
export interface Publication {
  readonly sandboxId: string;
  readonly tenant: string;
  readonly project: string | null;
  readonly port: number;
  readonly visibility: PortVisibility;
  readonly source: "profile" | "request";
  readonly generation: number;
  /** Grows with every change of what is published of the port; 0 while only the profile spoke. */
  readonly serial: number;
  /** Epoch ms; null: with the sandbox. */
  readonly expiresAt: number | null;
}

/** Somebody whom a publication lets in: not the sandbox's owner, and no more than that port. */
export interface Visitor {
  readonly publication: Pick<Publication, "generation" | "serial" | "visibility">;
  /** Whose key let him in; null where none did. */
  readonly keyId: string | null;
}

/** A connection to a port. */
export interface PortConnection {
  readonly stream: Duplex;
  /** Says that what just moved was use: sets the idle clock back. Cheap, to be called for every piece. */
  readonly active: () => void;
}
