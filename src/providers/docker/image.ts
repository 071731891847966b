import { SandboxerError, type Op } from "../../contract/index.ts";
import { HOME, WORKDIR } from "./container.ts";
import { engineFailure, statusOf } from "./failure.ts";
import { helperLabels } from "./helper.ts";
import type { Settings } from "./options.ts";
import type { Docker, ImageInfo } from "./sdk.ts";

const LABEL = "dev.sandboxer.prepared";
/** Part of a prepared image's name: another recipe makes another image. */
const RECIPE = "1";
const MAKES_WITHIN_MS = 120_000;

/** What a sandbox is made from. */
export interface PreparedImage {
  readonly id: string;
  /** The image's own user; undefined where it has none, or root. */
  readonly user: string | undefined;
}

/** Makes the places that a sandbox's user may write to, and gives its number a name where it has none. Runs in a container without network. */
const RECIPE_SOURCE = `
use strict; use warnings;
my ($workdir, $home) = @ARGV;
for my $directory ($workdir, $home =~ m{^(.*)/[^/]+$}, $home) { mkdir $directory, 0755 }
chown 1000, 1000, $workdir, $home or die "chown: $!";
if (!getpwuid 1000) { open my $file, '>>', '/etc/passwd' or die "passwd: $!"; print {$file} "sandbox:x:1000:1000::$home:/bin/sh\\n"; close $file or die }
if (!getgrgid 1000) { open my $file, '>>', '/etc/group' or die "group: $!"; print {$file} "sandbox:x:1000:\\n"; close $file or die }
`;

/** Images as sandboxes need them: each is pulled and prepared once, and kept at the engine under a name of its own. */
export class Images {
  readonly #docker: Docker;
  readonly #settings: Settings;
  readonly #backend: string;
  readonly #instance: string;
  readonly #ready = new Map<string, Promise<PreparedImage>>();

  constructor(docker: Docker, settings: Settings, { backend, instance }: { backend: string; instance: string }) {
    this.#docker = docker;
    this.#settings = settings;
    this.#backend = backend;
    this.#instance = instance;
  }

  /** The prepared form of a spec's image. The first time it costs a pull where it is not there, and a container and a commit: about a second. */
  async prepared(image: string, op: Op): Promise<PreparedImage> {
    const reference = image === "host" ? this.#settings.image : image.slice("oci:".length);
    const base = await this.present(reference, op);
    const running = this.#ready.get(base.Id);
    if (running !== undefined) return running;
    const made = this.#prepare(base, op);
    this.#ready.set(base.Id, made);
    made.catch(() => this.#ready.delete(base.Id));
    return made;
  }

  /** Forgets what was found: the engine says that a prepared image is not there any more. */
  forget(): void {
    this.#ready.clear();
  }

  /** An image as it is, pulled where it is not there. */
  async present(reference: string, op: Op): Promise<ImageInfo> {
    const found = await this.#find(reference, op);
    if (found !== undefined) return found;
    if (!this.#settings.pull) throw this.#missing(reference, "and `pull` is never");
    await this.#pull(reference, op);
    const pulled = await this.#find(reference, op);
    if (pulled === undefined) throw this.#missing(reference, "though it was pulled");
    return pulled;
  }

  async #find(reference: string, op: Op): Promise<ImageInfo | undefined> {
    try {
      return await this.#docker.getImage(reference).inspect({ abortSignal: op.signal });
    } catch (thrown) {
      if (statusOf(thrown) === 404) return undefined;
      throw this.#failure(thrown, op);
    }
  }

  async #pull(reference: string, op: Op): Promise<void> {
    op.log.info({ image: reference }, "an image is pulled");
    try {
      const progress = await this.#docker.pull(reference, { abortSignal: op.signal });
      await new Promise<void>((resolve, reject) =>
        this.#docker.modem.followProgress(progress, (error) => (error === null ? resolve() : reject(error))),
      );
    } catch (thrown) {
      if (op.signal.aborted) throw this.#failure(thrown, op);
      throw this.#missing(reference, `and cannot be pulled: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
    }
  }

  #missing(reference: string, why: string, cause?: unknown): SandboxerError {
    return new SandboxerError("backend_rejected", `image ${reference} is not at the engine, ${why}`, {
      phase: "create",
      backend: this.#backend,
      hint: `Run: docker pull ${reference}`,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  async #prepare(base: ImageInfo, { log, signal }: Op): Promise<PreparedImage> {
    const own = base.Config?.User?.trim() ?? "";
    const user = own === "" || own === "0" || own === "root" || own.startsWith("0:") || own.startsWith("root:") ? undefined : own;
    const tag = `${RECIPE}-${base.Id.replace(/^sha256:/, "").slice(0, 24)}`;
    const repo = "sandboxer/prepared";
    // Others wait for the same: one caller's abort must not end it for them.
    const op: Op = { log, signal: AbortSignal.timeout(MAKES_WITHIN_MS) };
    const found = await this.#find(`${repo}:${tag}`, op);
    if (found !== undefined) return { id: found.Id, user };
    log.info({ image: base.Id }, "an image is prepared");
    let container;
    try {
      container = await this.#docker.createContainer({
        Image: base.Id, Cmd: ["/usr/bin/perl", "-e", RECIPE_SOURCE, WORKDIR, HOME], Entrypoint: [], User: "0:0", WorkingDir: "/",
        Labels: helperLabels(this.#instance, MAKES_WITHIN_MS), NetworkDisabled: true, abortSignal: op.signal,
        HostConfig: { NetworkMode: "none", CapDrop: ["ALL"], CapAdd: ["CHOWN", "DAC_OVERRIDE"], SecurityOpt: ["no-new-privileges:true"], PidsLimit: 64 },
      }); // prettier-ignore
      await container.start({ abortSignal: op.signal });
      const { StatusCode } = await container.wait({ abortSignal: op.signal });
      if (StatusCode !== 0) throw this.#unsuitable(base, `its preparation ended with ${StatusCode}`);
      // Each create says itself what runs, as whom and where: of the configuration only the variables count.
      const { Id } = await container.commit({ repo, tag, changes: `LABEL ${LABEL}=${base.Id}`, abortSignal: op.signal });
      return { id: Id, user };
    } catch (thrown) {
      if (statusOf(thrown) === 400) throw this.#unsuitable(base, "it has no /usr/bin/perl", thrown);
      throw this.#failure(thrown, { log, signal });
    } finally {
      await container?.remove({ force: true, v: true }).catch((error: unknown) => log.warn({ error: String(error) }, "a container that prepared an image could not be removed; the sweep will")); // prettier-ignore
    }
  }

  #unsuitable(base: ImageInfo, why: string, cause?: unknown): SandboxerError {
    return new SandboxerError("backend_rejected", `image ${base.Id} cannot be a sandbox: ${why}`, {
      phase: "create",
      backend: this.#backend,
      hint: "It needs /usr/bin/perl, as every Debian and Ubuntu image has it.",
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #failure(thrown: unknown, { signal }: Op): SandboxerError {
    return engineFailure(thrown, { phase: "create", backend: this.#backend }, signal);
  }
}
