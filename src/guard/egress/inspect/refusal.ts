import type { DenyReason, SecretBinding } from "../../../contract/network.ts";
import { EgressRefusal } from "./types.ts";

/** A request that goes no further. `closes`: where it ended in the stream cannot be trusted, so the connection ends as well. */
export class Refused extends EgressRefusal {
  readonly status: number;
  readonly rule: string | null;
  readonly closes: boolean;

  constructor(reason: DenyReason, detail: string, { status = 403, rule = null as string | null, closes = false } = {}) {
    super(reason, detail);
    this.status = status;
    this.rule = rule;
    this.closes = closes;
  }
}

/** A placeholder where it may not be. `binding` is null for one that is not this sandbox's, or no longer. */
export class Violation extends Refused {
  readonly binding: SecretBinding | null;

  constructor(binding: SecretBinding | null, where: string) {
    const whose =
      binding === null ? "A placeholder that is not of this sandbox, or was revoked," : `The placeholder of secret "${binding.name}"`;
    super("placeholder", `${whose} stands in ${where}, where it is not replaced; nothing with it was sent on.`);
    this.binding = binding;
  }
}

/** What any failure on the way upstream comes to: a refusal as it is, everything else a 502 of reason `error`. */
export function asRefused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  if (error instanceof EgressRefusal) return new Refused(error.reason, error.message, { closes: error.reason === "limit" });
  const { code, message } = error as NodeJS.ErrnoException;
  return new Refused("error", `The upstream server failed: ${code ?? message}.`, { status: 502 });
}

/** What a request ends with when its client has left: no fault of anybody's, and nobody to tell. */
export const CLIENT_GONE = new Error("the client has gone");
