import { z } from "zod";
import { TenantName } from "./access.ts";

/** A host path that says one place: absolute, and nothing in it to be resolved but its names. */
const HostPath = z
  .string()
  .max(4000)
  .regex(/^\/[^\0]*$/, "must be an absolute path")
  .refine(
    (path) =>
      path === "/" ||
      path
        .slice(1)
        .split("/")
        .every((part) => !["", ".", ".."].includes(part)),
    {
      message: 'must be written without "//", ".", ".." and a "/" at its end',
    },
  );

/** A path below the workspace; with a `/` at its end a fresh directory stands there, else nothing is seen there. */
const ShadowPath = z
  .string()
  .max(1024)
  .refine(
    (path) => {
      const parts = path.replace(/\/$/, "").split("/");
      return parts.every((part) => !["", ".", ".."].includes(part)) && !path.includes("\0");
    },
    { message: 'must be a path below the workspace, without "//", "." and ".."' },
  );

export const WorkspaceAccess = z.enum(["isolated", "ro", "rw"]);
export type WorkspaceAccess = z.infer<typeof WorkspaceAccess>;

/** What stands at the workspace: its own disk, or a host directory; and how a directory of the caller's is kept in step with it. */
export const Workspace = z
  .strictObject({
    access: WorkspaceAccess.optional().meta({
      description:
        "`isolated`: a disk of its own. `ro`, `rw`: the host directory `path`, which must be below a root that the operator allows.",
    }),
    path: z.string().min(1).max(4000).optional().meta({
      description: "With `ro` and `rw` a directory of the host's; else the caller's own, which its client syncs with the workspace.",
    }),
    shadow: z.array(ShadowPath).max(64).optional().meta({
      description:
        "Paths below a mounted workspace that are not seen inside; with a `/` at the end an empty directory that can be written stands there.",
    }),
    sync: z.enum(["mirror", "remote"]).optional().meta({
      description: "What a client does that is given a directory: `mirror` both ways, `remote` only in, at the start.",
    }),
  })
  .meta({ id: "Workspace" });
export type Workspace = z.infer<typeof Workspace>;

/** What of the host is mounted at a sandbox's workspace. */
export interface MountedWorkspace {
  readonly access: "ro" | "rw";
  readonly path: string;
  /** Its user inside is the directory's owner there; else a stranger, who may what others may. */
  readonly as_owner: boolean;
  readonly shadow: readonly string[];
}

/** Where what is at a sandbox's workspace comes from. */
export const SandboxWorkspace = z
  .object({
    access: WorkspaceAccess,
    path: z
      .string()
      .nullable()
      .meta({ description: "A directory of the host's where it is mounted; else the caller's own, for its client to sync." }),
    as_owner: z
      .boolean()
      .meta({ description: "Its user inside is the mounted directory's owner; else a stranger, who may what others may." }),
    shadow: z.array(z.string()),
    sync: z.enum(["mirror", "remote"]).nullable(),
  })
  .meta({ id: "SandboxWorkspace" });
export type SandboxWorkspace = z.infer<typeof SandboxWorkspace>;

/** No sandbox has any business in these, or in what holds them. */
const NEVER = [
  "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr", "/var/run", "/var/lib/docker",
  "/var/lib/containerd", "/var/lib/containers", "/var/spool/cron",
]; // prettier-ignore

/** Whether an absolute path is `root` or below it. */
export function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root === "/" ? root : `${root}/`);
}

/** Which place that no sandbox may have is in the path, or has it in itself. */
export function forbiddenPlace(path: string, more: readonly string[] = []): string | undefined {
  return [...NEVER, ...more].find((place) => isBelow(path, place) || isBelow(place, path));
}

const WorkspaceRoot = z.strictObject({
  path: HostPath.refine((path) => forbiddenPlace(path) === undefined, "must not be a place of the system's, nor hold one").meta({
    description: "A directory. It, and what is below it, may be mounted.",
  }),
  access: z.enum(["ro", "rw"]).optional().meta({ description: "The most that is given; ro unless given." }),
  tenants: z.array(TenantName).min(1).optional().meta({ description: "Who may mount it; the tenant `default` alone unless given." }),
  as_owner: z.boolean().optional().meta({
    description: "Sandboxes act in it as the owner of the mounted directory (never root); false unless given: as a stranger.",
  }),
});
export type WorkspaceRoot = z.infer<typeof WorkspaceRoot>;

/** What of this host sandboxes may have at their workspace: nothing unless it is listed. */
export const WorkspacesConfig = z.strictObject({ roots: z.array(WorkspaceRoot).max(256).optional() });
