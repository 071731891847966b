import { SandboxerError } from "../../contract/errors.ts";
import { formatBytes } from "../../contract/format.ts";
import { nearest } from "../../contract/nearest.ts";
import type { ImageInfo, ImageProgress } from "../../sdk/index.ts";
import { archiveAt } from "../archive.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";
import { registryCredentials } from "../registry-auth.ts";

const VERBS = ["pull", "import", "ls", "rm", "prune", "build"] as const;
const FORMATS = ["auto", "docker", "oci", "rootfs"] as const;

export const command: Command = {
  usage: "image pull REFERENCE | image import PATH | image ls | image rm IMAGE | image prune",
  about: `Keeps images for profiles with image: oci:REFERENCE. Pull fetches one from its registry, with skopeo. Import takes what docker save writes,
an OCI layout (a directory or a tar), or a root file system (a directory or a tar); - reads standard input. Layers are kept once,
whatever number of images and sandboxes have them. An image that a sandbox stands on is not removed.`,
  options: {
    tag: { type: "string", short: "t", value: "REFERENCE", about: "import: the image's name; archives have names of their own" },
    format: { type: "string", value: "KIND", about: "import: docker, oci or rootfs, where it is not to be found out" },
    creds: { type: "boolean", about: "pull: read USER:PASSWORD of a private registry from standard input" },
    "auth-file": { type: "string", value: "FILE", about: "pull: take the registry's credentials from a file as docker login writes it" },
    "plain-http": { type: "boolean", about: "pull: the registry speaks HTTP without TLS" },
    all: { type: "boolean", about: "prune: also images that have a name" },
    backend: { type: "string", value: "NAME", about: "Where the images are; the first backend that keeps any unless given" },
  },
  positionals: [VERBS, { rm: "image", otherwise: "image" }],
  examples: [
    ["image pull docker.io/library/python:3.13-slim", "fetch it once"],
    ["image pull --auth-file ~/.docker/config.json registry.example.com/team/app:1.2", "from a private registry"],
    ["docker save app | sand-boxer image import -", "from a Docker engine"],
    ["image import --tag debian:mine rootfs.tar.zst", "a root file system, as mmdebstrap makes it"],
    ["image prune --all", "remove all that no sandbox stands on"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("image", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    return RUN[known](args);
  },
};

const RUN: Readonly<Record<(typeof VERBS)[number], (args: Arguments) => Promise<number>>> = {
  pull,
  import: take,
  ls: list,
  rm: (args) => remove(args, "rm"),
  prune: (args) => remove(args, "prune"),
  build() {
    throw new SandboxerError("capability_unsupported", "image.build: images are not built in this version", {
      hint: "Make it with another tool, and take it in with 'sand-boxer image import'.",
    });
  },
};

const backendOf = (args: Arguments): { backend?: string } => {
  const backend = args.text("backend");
  return backend === undefined ? {} : { backend };
};

async function pull(args: Arguments): Promise<number> {
  const [, reference = ""] = expect("image", args, "VERB", "REFERENCE");
  const credentials = await registryCredentials(reference, { asked: args.flag("creds"), file: args.text("auth-file") });
  await using connection = await connect();
  const taken = await connection.client.images.pull(reference, {
    ...backendOf(args),
    ...(credentials === undefined ? {} : { credentials }),
    plain_http: args.flag("plain-http"),
    onProgress: tell(args),
  });
  return printed(args, taken);
}

async function take(args: Arguments): Promise<number> {
  const [, path = ""] = expect("image", args, "VERB", "PATH");
  const format = FORMATS.find((one) => one === (args.text("format") ?? "auto"));
  if (format === undefined) throw usageError("image", `--format is one of ${FORMATS.join(", ")}`);
  const reference = args.text("tag");
  const archive = archiveAt(path);
  await using connection = await connect();
  const taken = await connection.client.images.import(archive, {
    ...backendOf(args),
    ...(reference === undefined ? {} : { reference }),
    format,
    onProgress: tell(args),
  });
  return printed(args, taken);
}

async function list(args: Arguments): Promise<number> {
  expect("image", args, "VERB?");
  await using connection = await connect();
  const found = await connection.client.images.list(backendOf(args));
  if (args.json) await json(found);
  else
    await table(
      ["REFERENCE", "ID", "SIZE", "LAYERS", "USER", "USED BY", "CREATED"],
      found.flatMap((image) => rowsOf(image)),
    );
  return 0;
}

function rowsOf({ references, id, size_bytes: size, layers, user, used_by: users, created_at: at }: ImageInfo): string[][] {
  const names = references.length === 0 ? ["-"] : references;
  return names.map((name) => [name, shortened(id), formatBytes(size), String(layers), user, String(users.length), at]);
}

const shortened = (id: string): string => id.slice("sha256:".length, "sha256:".length + 12);

async function remove(args: Arguments, verb: "rm" | "prune"): Promise<number> {
  const [, image = ""] = verb === "rm" ? expect("image", args, "VERB", "IMAGE") : expect("image", args, "VERB");
  await using connection = await connect();
  const { images } = connection.client;
  const removal = verb === "rm" ? await images.remove(image, backendOf(args)) : await images.prune({ ...backendOf(args), all: args.flag("all") });
  if (args.json) await json(removal);
  else {
    for (const name of [...removal.references, ...removal.images]) await line(name);
    note(`${formatBytes(removal.freed_bytes)} freed`);
  }
  return 0;
} // prettier-ignore

async function printed(args: Arguments, taken: readonly ImageInfo[]): Promise<number> {
  if (args.json) await json(taken);
  else for (const { id, references } of taken) await line(`${id} ${references.join(" ")}`.trim());
  return 0;
}

/** A line for each step, for people who wait. */
function tell(args: Arguments): (progress: Extract<ImageProgress, { type: "progress" }>) => void {
  return ({ step, detail, bytes }) => {
    if (!args.json && process.stderr.isTTY) note(`${step}: ${detail}${bytes === null ? "" : `, ${formatBytes(bytes)}`}`);
  };
}
