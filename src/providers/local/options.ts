import { z } from "zod";
import { Size } from "../../contract/index.ts";

/** Options of the local provider in the configuration file. */
export const LocalOptions = z.strictObject({
  disk: z.enum(["auto", "image", "tmpfs"]).optional().meta({
    description:
      "`image`: a quota'd disk file a sandbox (needs root and loop devices). `tmpfs`: in memory, counted in the sandbox's memory. `auto` takes the first that works.",
  }),
  runtimes: z
    .array(z.enum(["crun", "runc", "runsc"]))
    .min(1)
    .optional()
    .meta({ description: "The runtimes that may be used, those to prefer within a level first; crun, runc, runsc unless given." }),
  pool: z.int().min(0).max(1024).optional().meta({
    description:
      "Prepared disks kept ready for each disk size in use; 16 unless given, 4 in a command without a server. Each takes about 0.3 MiB of kernel memory.",
  }),
  images: z
    .strictObject({
      max_bytes: Size.optional().meta({ description: "Unpacked bytes of one image, and of what is sent for it; 32GiB unless given." }),
      max_entries: z.int().min(1).optional().meta({ description: "Files and directories of one image; 2,000,000 unless given." }),
    })
    .optional(),
});
export type LocalOptions = z.infer<typeof LocalOptions>;
