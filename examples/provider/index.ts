import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
// In a package of its own this is "sand-boxer/provider".
import { SandboxerError, defineProvider } from "../../src/contract/index.ts";
import type { Created, Op, OpenContext, Provider, Ref, SandboxSpec } from "../../src/contract/index.ts";
import { Commands } from "./commands.ts";

const Options = z.strictObject({
  path: z.string().default("/usr/local/bin:/usr/bin:/bin").meta({ description: "PATH of the commands." }),
});

const ISOLATION = {
  level: "process",
  runtime: "unshare",
  notes: ["Separates workspaces, /tmp and processes. No security boundary: commands see the host's files."],
} as const;

/** What stands in a sandbox's own directory, and is its label. */
interface Label {
  readonly ref: Ref;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A directory is a sandbox: `<id>-<generation>/` with a label, a workspace and a /tmp. It appears and goes by one
 * rename each, so that create and destroy are idempotent, and nothing half-made carries a label.
 */
class UnshareProvider implements Provider {
  readonly traits: Provider["traits"] = {
    isolation: [ISOLATION],
    capabilities: {
      "image.host": "native", "create.idempotent": "native", "create.labels": "native",
      "exec.stream": "native", "exec.split_stderr": "native", "exec.stdin": "native", "exec.timeout": "native", "exec.cwd_env": "native",
    }, // prettier-ignore
    limits: {},
  };
  readonly #root: string;
  readonly #commands: Commands;

  constructor(root: string, commands: Commands) {
    this.#root = root;
    this.#commands = commands;
  }

  async create(spec: SandboxSpec, op: Op): Promise<Created> {
    if (spec.isolationMin !== "process")
      throw new SandboxerError("isolation_unavailable", `unshare gives level process, not ${spec.isolationMin}`, { phase: "create" });
    const { id, tenant, generation, maxLifeAt } = spec;
    const ref: Ref = { id, tenant, generation, native: `${id}-${generation}`, maxLifeAt };
    const half = await mkdtemp(join(this.#root, ".new-"));
    try {
      await mkdir(join(half, "workspace"));
      await mkdir(join(half, "tmp"));
      await writeFile(join(half, "label.json"), JSON.stringify({ ref, env: spec.env } satisfies Label));
      if (op.signal.aborted) throw new SandboxerError("canceled", "the create was canceled", { phase: "create" });
      await rename(half, join(this.#root, ref.native));
    } catch (thrown) {
      await rm(half, { recursive: true, force: true });
      // Another caller with the same id was faster: its sandbox is the one.
      if (codeOf(thrown) !== "ENOTEMPTY" && codeOf(thrown) !== "EEXIST") throw SandboxerError.from(thrown, { phase: "create" });
    }
    return { ref, isolation: ISOLATION };
  }

  async *exec(...[ref, command, options, op]: Parameters<Provider["exec"]>): ReturnType<Provider["exec"]> {
    const { env } = await this.#label(ref.native);
    yield* this.#commands.run(join(this.#root, ref.native), env, command, options, op);
  }

  async destroy(ref: Ref, _op: Op): Promise<"destroyed" | "absent"> {
    const directory = join(this.#root, ref.native);
    const gone = join(this.#root, `.gone-${ref.native}`);
    try {
      await rename(directory, gone);
    } catch (thrown) {
      if (codeOf(thrown) === "ENOENT") return "absent";
      throw SandboxerError.from(thrown, { phase: "destroy" });
    }
    await this.#commands.killAll(directory);
    await rm(gone, { recursive: true, force: true });
    return "destroyed";
  }

  async *list(op: Op): AsyncGenerator<Ref> {
    for (const name of await readdir(this.#root)) {
      op.signal.throwIfAborted();
      if (!name.startsWith(".")) yield (await this.#label(name)).ref;
    }
  }

  async inspect(ref: Ref, op: Op): ReturnType<Provider["inspect"]> {
    op.signal.throwIfAborted();
    const names = await readdir(this.#root);
    if (!names.includes(ref.native)) return "absent";
    return {
      state: "running",
      usage: {
        cpu_seconds: null,
        memory_bytes: null,
        memory_peak_bytes: null,
        disk_bytes: null,
        inodes: null,
        pids: null,
        oom_kills: null,
      },
    };
  }

  async dispose(): Promise<void> {
    await this.#commands.killAll();
  }

  async #label(native: string): Promise<Label> {
    try {
      return JSON.parse(await readFile(join(this.#root, native, "label.json"), "utf8")) as Label;
    } catch (thrown) {
      if (codeOf(thrown) === "ENOENT") throw new SandboxerError("sandbox_not_found", `there is no sandbox ${native}`, { cause: thrown });
      throw thrown;
    }
  }
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : undefined;
}

async function open(options: z.infer<typeof Options>, context: OpenContext): Promise<Provider> {
  for (const name of await readdir(context.directory))
    if (name.startsWith(".")) await rm(join(context.directory, name), { recursive: true, force: true });
  return new UnshareProvider(context.directory, new Commands(options.path));
}

export default defineProvider({ name: "unshare", options: Options, open });
