import {
  isBelow,
  type SandboxWorkspace,
  SandboxerError,
  type Workspace,
  type WorkspaceAccess,
  type WorkspaceRoot,
} from "../contract/index.ts";

/** The workspace as profile and request want it together. */
export interface MergedWorkspace {
  readonly access: WorkspaceAccess;
  /** A host directory where it is mounted; else the caller's, and no business of ours. */
  readonly path: string | undefined;
  readonly shadow: readonly string[];
  /** What a client does that is given a directory; undefined where nothing is said of one. */
  readonly sync: "mirror" | "remote" | undefined;
}

const WIDTH: readonly WorkspaceAccess[] = ["isolated", "ro", "rw"];

function wrong(path: string, message: string): SandboxerError {
  return new SandboxerError("invalid_request", `${path}: ${message}`, { phase: "workspace", issues: [{ path, message }] });
}

/**
 * The narrower access of those that say one; what either hides is hidden. A profile's directory is not another's by a request.
 *
 * @throws SandboxerError `invalid_request` naming the field.
 */
export function mergeWorkspace(profile: Workspace, request: Workspace, narrowed: (field: string) => void): MergedWorkspace {
  const asked = [request.access, profile.access].filter((access) => access !== undefined);
  const access = asked.toSorted((a, b) => WIDTH.indexOf(a) - WIDTH.indexOf(b))[0] ?? "isolated";
  if (request.access !== undefined && request.access !== access) narrowed("workspace.access");
  const path = request.path ?? profile.path;
  const sync = request.sync ?? profile.sync;
  const shadow = [...new Set([...(profile.shadow ?? []), ...(request.shadow ?? [])])];
  if (access === "isolated") {
    if (shadow.length > 0 && asked.length === 0)
      throw wrong("workspace.shadow", "hides what is mounted, and nothing is: set workspace.access");
    return { access, path, shadow: [], sync: sync ?? (path === undefined ? undefined : "remote") };
  }
  if (path === undefined) throw wrong("workspace.path", `is missing: the host directory that is mounted ${access}`);
  if (profile.access !== undefined && profile.path !== undefined && path !== profile.path)
    throw wrong("workspace.path", `is ${profile.path} in the profile, and cannot be another`);
  if (sync === "mirror") throw wrong("workspace.sync", "a directory is mounted or mirrored, not both");
  return { access, path, shadow, sync: undefined };
}

/**
 * Where what is at a workspace comes from, once the operator's roots allow it; null: it begins empty. Looks at no file: who may not have a directory learns
 * nothing of it. The deepest root that it is below decides.
 *
 * @throws SandboxerError `policy_denied` naming the field and the list that would allow it.
 */
export function admitWorkspace(
  { access, path = "", shadow, sync }: MergedWorkspace,
  roots: readonly WorkspaceRoot[],
  tenant: string,
): SandboxWorkspace | null {
  if (access === "isolated")
    return sync === undefined ? null : { access, path: path === "" ? null : path, as_owner: false, shadow: [], sync };
  if (
    !path.startsWith("/") ||
    path
      .split("/")
      .slice(1)
      .some((part) => ["", ".", ".."].includes(part))
  )
    throw wrong("workspace.path", 'must be an absolute path without "//", ".", ".." and a "/" at its end');
  const root = roots.filter((one) => isBelow(path, one.path)).toSorted((a, b) => b.path.length - a.path.length)[0];
  const mine = root?.tenants ?? ["default"];
  // In the same words: whose other directories are is nobody's business.
  if (root === undefined || !mine.includes(tenant))
    throw denied("workspace.path", `"${path}" is below no root that is listed for tenant ${tenant}`);
  if (access === "rw" && (root.access ?? "ro") === "ro")
    throw denied("workspace.access", `what is below ${root.path} may be mounted ro only`);
  return { access, path, as_owner: root.as_owner ?? false, shadow: [...shadow], sync: null };
}

function denied(path: string, message: string): SandboxerError {
  return new SandboxerError("policy_denied", `${path}: ${message}`, {
    phase: "workspace",
    issues: [{ path, message }],
    hint: "Ask the operator to list a root in workspaces.roots of sand-boxer.yaml, or sync a copy: 'sand-boxer run --workspace DIR'.",
  });
}
