import { z } from "zod";
import { Capability, IsolationLevel, Region } from "../../contract/index.ts";
import { FakeControl } from "./control.ts";
import { Fault, OPERATIONS } from "./faults.ts";

const milliseconds = z.number().min(0).max(3_600_000);

/** Options of a `fake` backend. An empty object is a backend that works and answers at once. */
export const FakeOptions = z.strictObject({
  latency_ms: z
    .union([milliseconds, z.partialRecord(z.enum(OPERATIONS), milliseconds)])
    .default(0)
    .meta({ description: "Waited before every operation, or before those named." }),
  isolation: IsolationLevel.default("process").meta({ description: "The level it claims, for tests of routing. It isolates nothing." }),
  without: z
    .array(Capability)
    .default([])
    .meta({ description: "Capabilities to leave out: their use is then refused as capability_unsupported." }),
  limits: z
    .strictObject({
      concurrency_max: z.int().min(0).optional().meta({ description: "Sandboxes at once; one more is refused as quota_exceeded." }),
      fs_max_write_bytes: z.int().min(0).optional(),
      create_rate_per_s: z.number().positive().optional().meta({ description: "Faster creates are refused as backend_rate_limited." }),
    })
    .default({}),
  region: Region.optional().meta({ description: "Where it says that it keeps things." }),
  self_hosted: z.boolean().optional().meta({ description: "What it says of whose machines it is on." }),
  unavailable: z.string().optional().meta({ description: "Makes the whole backend unavailable, for this reason." }),
  remote: z
    .url({ protocol: /^http$/ })
    .optional()
    .meta({ description: "Address of a fake backend that another process serves; it goes with no other option." }),
  faults: z.array(Fault).default([]),
  metering: z
    .strictObject({
      error_percent: z.number().min(-100).max(10_000).default(0).meta({ description: "How far its figures are off." }),
      now: z
        .custom<() => number>((value) => typeof value === "function")
        .optional()
        .meta({ description: "From code only: its clock." }),
    })
    .optional()
    .meta({ description: "Makes it meter what sandboxes use, as a vendor does; it does not unless given." }),
  control: z
    .instanceof(FakeControl)
    .optional()
    .meta({ description: "From code only: a handle that changes faults while the backend runs." }),
});
export type FakeOptions = z.infer<typeof FakeOptions>;
