import { z } from "zod";
import type { Op, Ref } from "./provider.ts";

/** A service beside a sandbox, as its backend sees it now. */
export const ServiceState = z
  .strictObject({
    object: z.literal("service"),
    name: z.string(),
    state: z.enum(["created", "running", "ended"]),
    health: z.enum(["starting", "healthy", "unhealthy"]).nullable().meta({ description: "null: it has no health check." }),
    exit_code: z.int().nullable().meta({ description: "Of one that has ended." }),
  })
  .meta({ id: "ServiceState" });
export type ServiceState = z.infer<typeof ServiceState>;

/** A piece of a service's log. */
export const ServiceLogEvent = z
  .strictObject({ type: z.enum(["stdout", "stderr"]), data: z.base64() })
  .meta({ id: "ServiceLogEvent", description: "Ends with an event `end`; a stream without it was cut off." });

export interface ServiceLogOptions {
  /** Lines from the end to begin with. */
  readonly tail: number;
  /** Goes on until the service ends or the signal aborts. */
  readonly follow: boolean;
}

/** What can be asked of the services of a profile, where a backend has capability `services`. */
export interface Beside {
  /** In the order of their names. */
  list(ref: Ref, op: Op): Promise<ServiceState[]>;
  /** What it wrote, as far back as the backend keeps it. Throws `not_found` for a name that the sandbox has no service of. */
  logs(
    ref: Ref,
    name: string,
    options: ServiceLogOptions,
    op: Op,
  ): AsyncIterable<{ readonly type: "stdout" | "stderr"; readonly data: Uint8Array }>;
}
