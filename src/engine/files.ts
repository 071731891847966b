import { type Capability, type Files, type Op, type Principal, SandboxerError, SandboxPath, parse, type Ref } from "../contract/index.ts";
import { type Context, op } from "./context.ts";
import type { Engine } from "./engine.ts";
import { requireCapability, streaming, type Usable, used, using } from "./use.ts";

type Call<T> = (files: Files, ref: Ref, op: Op) => T;

/** Passes file verbs to the backend, which works inside the sandbox's own confinement; here only who, state and clocks are minded. */
export function files(ctx: Context): Engine["files"] {
  async function target(
    who: Principal,
    id: string,
    paths: readonly string[],
    capability: Capability,
  ): Promise<{ at: Usable; files: Files }> {
    for (const path of paths) parse(SandboxPath, path, { what: "path" });
    const at = await used(ctx, who, id);
    requireCapability(at, capability, "files");
    if (at.provider.files === undefined)
      throw new SandboxerError("capability_unsupported", `backend ${at.row.backend} has no files`, { backend: at.row.backend });
    return { at, files: at.provider.files };
  }
  async function once<T>(
    who: Principal,
    id: string,
    paths: readonly string[],
    call: Call<Promise<T>>,
    signal?: AbortSignal,
    capability: Capability = "fs.rw",
  ): Promise<T> {
    const { at, files } = await target(who, id, paths, capability);
    return using(ctx, at, "files", () => call(files, at.ref, op(ctx, signal)));
  }
  async function stream<T>(
    who: Principal,
    id: string,
    path: string,
    call: Call<AsyncIterable<T>>,
    signal: AbortSignal | undefined,
    capability: Capability,
  ): Promise<AsyncIterable<T>> {
    const { at, files } = await target(who, id, [path], capability);
    await ctx.activity.touch(at.row);
    return streaming(ctx, at, "files", call(files, at.ref, op(ctx, signal)));
  }
  return {
    async read(who, id, path, range, signal) {
      const { at, files } = await target(who, id, [path], "fs.rw");
      const { info, body } = await using(ctx, at, "files", () => files.read(at.ref, path, range, op(ctx, signal)));
      return { info, body: streaming(ctx, at, "files", body) };
    },
    write: (who, id, path, body, options, signal) =>
      once(who, id, [path], (files, ref, op) => files.write(ref, path, body, options, op), signal),
    list: (who, id, path, options) => once(who, id, [path], (files, ref, op) => files.list(ref, path, options, op)),
    stat: (who, id, path) => once(who, id, [path], (files, ref, op) => files.stat(ref, path, op)),
    mkdir: (who, id, path, options) => once(who, id, [path], (files, ref, op) => files.mkdir(ref, path, options, op)),
    rename: (who, id, from, to, options) => once(who, id, [from, to], (files, ref, op) => files.rename(ref, from, to, options, op)),
    remove: (who, id, path, options) => once(who, id, [path], (files, ref, op) => files.remove(ref, path, options, op)),
    chmod: (who, id, path, mode) => once(who, id, [path], (files, ref, op) => files.chmod(ref, path, mode, op)),
    watch: (who, id, path, options, signal) =>
      stream(who, id, path, (files, ref, op) => files.watch(ref, path, options, op), signal, "fs.watch"),
    exportTree: (who, id, path, signal) => stream(who, id, path, (files, ref, op) => files.exportTree(ref, path, op), signal, "fs.tree"),
    importTree: (who, id, path, tar, signal) =>
      once(who, id, [path], (files, ref, op) => files.importTree(ref, path, tar, op), signal, "fs.tree"),
  };
}
