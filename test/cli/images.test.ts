import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, type TestContext } from "vitest";
import type { ImageInfo } from "../../src/sdk/index.ts";
import { mountsBelow } from "../support/host-objects.ts";
import { dockerArchive, imageId, ociLayout, smallSystem, writeMembers } from "../support/image-files.ts";
import { openRegistry, withoutRegistry } from "../support/registry.ts";
import { cli, document, type Cli } from "./cli.ts";
import { scratch } from "./scratch.ts";

const image = { layers: [smallSystem()], tags: ["team/app:1"], config: { User: "app" } };

/** The CLI beside a server over this host's own runtime, or a skip that says why there can be none. */
async function overLocal(context: TestContext): Promise<Cli> {
  const box = cli();
  onTestFinished(() => {
    for (const point of mountsBelow(box.data).reverse()) execFileSync("umount", ["-l", point]);
  });
  writeFileSync(
    join(box.data, "sand-boxer.yaml"),
    "backends: [{ name: local, provider: local, options: { pool: 1, runtimes: [crun, runc] } }]\n",
  );
  await box.serve();
  const [local] = document(await box.run(["backends", "--json"])) as { capabilities: Record<string, string> }[];
  if (local?.capabilities["image.oci"] === undefined) context.skip("this host cannot mount images");
  return box;
}

test("an image is imported, stood on, kept while it is, and removed", async (context) => {
  const box = await overLocal(context);
  const archive = join(scratch(), "app.tar");
  writeFileSync(archive, dockerArchive(image));
  expect(await box.run(["image", "import", archive])).toMatchObject({ code: 0, stdout: `${imageId(image)} docker.io/team/app:1\n` });
  const layout = scratch();
  writeMembers(layout, ociLayout(image));
  const [again] = document(await box.run(["image", "import", "--tag", "again", layout, "--json"])) as ImageInfo[];
  expect(again).toMatchObject({ id: imageId(image), references: ["docker.io/library/again:latest", "docker.io/team/app:1"], user: "1234:2345" });
  const profile = join(scratch(), "app.yaml");
  writeFileSync(profile, "kind: profile\nname: app\nversion: 1\nimage: oci:team/app:1\nsetup: ['echo made >made']\n");
  expect((await box.run(["profile", "apply", profile])).code).toBe(0);
  const id = (await box.run(["create", "--profile", "app", "--ttl", "5m"])).stdout.trim();
  expect(await box.run(["exec", id, "--", "sh", "-c", "id -un; cat made; cat /data/low"])).toMatchObject({ stdout: "app\nmade\nlow\n", stderr: "" });
  expect(await box.run(["image", "rm", imageId(image)])).toMatchObject({ code: 125, stderr: expect.stringContaining(id) as string });
  // What it wrote goes on in others.
  const [kept = "", said] = [await box.run(["snapshot", "create", id, "--name", "mine"])].flatMap(({ stdout, stderr }) => [stdout.trim(), stderr]);
  expect(said).toContain("preserves disk; side effects: freezes_source");
  const restored = (await box.run(["restore", kept])).stdout.trim();
  expect((await box.run(["exec", restored, "--", "cat", "made"])).stdout).toBe("made\n");
  const [fork = ""] = (await box.run(["fork", restored])).stdout.trim().split("\n");
  expect((await box.run(["tree"])).stdout).toMatch(new RegExp(`${id}  sandbox .*\n  ${kept}  snapshot .*  mine\n    ${restored}  sandbox .*\n      sn\\w+  snapshot .*\n        ${fork}  sandbox`));
  const file = join(scratch(), "kept.tar");
  expect((await box.run(["snapshot", "export", kept, file])).code).toBe(0);
  const elsewhere = (await box.run(["snapshot", "import", file, "--name", "back"])).stdout.trim();
  expect((await box.run(["snapshot", "ls"])).stdout).toMatch(new RegExp(`${elsewhere}  back +ready`));
  expect((await box.run(["rm", id, restored, fork])).code).toBe(0);
  // What the fork came from goes with it.
  expect((await box.run(["sweep"])).code).toBe(0);
  for (const one of [elsewhere, kept]) expect((await box.run(["snapshot", "rm", one])).stdout).toBe(`${one}\n`);
  expect((await box.run(["image", "prune", "--all"])).stdout.split("\n")).toContain(imageId(image));
  expect((await box.run(["create", "--profile", "app"])).stderr).toContain("image pull");
  // A root file system, and what is none.
  const root = scratch();
  mkdirSync(join(root, "bin"));
  writeFileSync(join(root, "bin/sh"), readFileSync("/usr/bin/busybox"), { mode: 0o755 });
  expect(await box.run(["image", "import", "--tag", "mine", root])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64} docker.io\/library\/mine:latest\n$/) as string });
  expect((await box.run(["image", "ls"])).stdout).toMatch(/docker.io\/library\/mine:latest +[0-9a-f]{12} /);
  expect(await box.run(["image", "import", join(root, "bin/sh")])).toMatchObject({ code: 125, stderr: expect.stringContaining("not a tar") as string });
  expect(await box.run(["image", "build", "."])).toMatchObject({ code: 125, stderr: expect.stringContaining("capability_unsupported") as string });
}); // prettier-ignore

const reason = withoutRegistry();
test.skipIf(reason !== undefined)(`an image is pulled from a private registry${reason === undefined ? "" : ` (${reason})`}`, async (context) => {
  const box = await overLocal(context);
  await using registry = await openRegistry();
  registry.push(dockerArchive(image), "team/app:1");
  const pull = ["image", "pull", "--plain-http", `${registry.name}/team/app:1`];
  expect(await box.run(pull)).toMatchObject({ code: 125, stderr: expect.stringContaining("--creds") as string });
  expect(await box.run([...pull, "--creds"], { input: registry.credentials })).toMatchObject({ code: 0, stdout: `${imageId(image)} ${registry.name}/team/app:1\n` });
  // The name that a profile has for it.
  expect((await box.run(["image", "rm", `${registry.name}/team/app:1`])).stdout).toContain(imageId(image));
  const auth = join(scratch(), "auth.json");
  writeFileSync(auth, JSON.stringify({ auths: { [registry.name]: { auth: Buffer.from(registry.credentials).toString("base64") } } }));
  expect((await box.run([...pull, "--auth-file", auth])).code).toBe(0);
  expect(await box.run(["image", "pull", `${registry.name}/team/app:1`])).toMatchObject({ code: 125, stderr: expect.stringContaining("--plain-http") as string });
}); // prettier-ignore
