import { z } from "zod";

/** Paths on the wire: text, where bytes that are not UTF-8 stand as `\udc80`..`\udcff` (see contract/path). */
export const SandboxPath = z
  .string()
  .min(1)
  .max(4096)
  .refine((path) => !path.includes("\0"), "must not contain a NUL byte")
  .meta({ id: "SandboxPath", description: "Absolute, or relative to the workspace. Resolved inside the sandbox, never on the host." });

export const FileInfo = z
  .object({
    path: z.string(),
    name: z.string(),
    type: z.enum(["file", "directory", "symlink", "fifo", "socket", "char_device", "block_device"]),
    size: z.number(),
    mode: z.string().meta({ description: "Permission bits in octal, as in 0644." }),
    uid: z.int(),
    gid: z.int(),
    modified_at: z.iso.datetime(),
    target: z.string().nullable().meta({ description: "What a symlink points to, as it is written in it." }),
  })
  .meta({ id: "FileInfo" });
export type FileInfo = z.infer<typeof FileInfo>;

export const FileEvent = z
  .object({ type: z.enum(["created", "modified", "removed", "renamed", "attributes", "overflow"]), path: z.string() })
  .meta({ id: "FileEvent", description: "`overflow`: events were lost; list again." });
export type FileEvent = z.infer<typeof FileEvent>;

const mode = z.string().regex(/^0?[0-7]{3,4}$/, 'must be octal, as in "0644"');

export const MkdirRequest = z
  .strictObject({ path: SandboxPath, parents: z.boolean().optional(), mode: mode.optional() })
  .meta({ id: "MkdirRequest" });
export const RenameRequest = z
  .strictObject({
    from: SandboxPath,
    to: SandboxPath,
    replace: z.boolean().optional().meta({ description: "Replace what stands at the new path; refused as file_conflict otherwise." }),
  })
  .meta({ id: "RenameRequest" });
export const ChmodRequest = z.strictObject({ path: SandboxPath, mode }).meta({ id: "ChmodRequest" });
export type MkdirRequest = z.infer<typeof MkdirRequest>;
export type RenameRequest = z.infer<typeof RenameRequest>;
export type ChmodRequest = z.infer<typeof ChmodRequest>;
