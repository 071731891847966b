import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, type TestContext } from "vitest";
import { cli, document, type Cli } from "./cli.ts";
import { scratch } from "./scratch.ts";

/** The CLI over this host's own runtime, or a skip that says why there is none. */
async function overLocal(context: TestContext): Promise<Cli> {
  const box = cli();
  onTestFinished(() => unmountBelow(box.data));
  writeFileSync(join(box.data, "sand-boxer.yaml"), "backends: [{ name: local, provider: local }]\n");
  const [local] = document(await box.run(["backends", "--json"])) as { available: boolean; reason: string | null }[];
  if (local?.available !== true) context.skip(`this host has no runtime to test with: ${local?.reason ?? "no reason given"}`);
  return box;
}

/** The provider keeps disks mounted for the next sandbox, as it should; a data directory that goes away takes them along. */
function unmountBelow(directory: string): void {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const point of points.filter((one) => one.startsWith(`${directory}/`)).toReversed()) execFileSync("umount", [point]);
}

test("run gives real work a real sandbox, streams it, and leaves nothing", async (context) => {
  const box = await overLocal(context);
  const ran = await box.run(["run", "--", "sh", "-c", "id -u; cat; exit 6"], { input: "from the pipe\n" });
  expect(ran).toMatchObject({ code: 6, stdout: "1000\nfrom the pipe\n" });
  expect((await box.run(["ls", "-q"])).stdout).toBe("");
});

test("run -t has a terminal of its own", async (context) => {
  const box = await overLocal(context);
  const ran = await box.run(["run", "-t", "--", "sh", "-c", "tty; stty size; exit 3"]);
  expect(ran.code).toBe(3);
  expect(ran.stdout).toMatch(/\/dev\/pts\/\d+\r?\n24 80/);
});

test("a signal ends a run and its sandbox", async (context) => {
  const box = await overLocal(context);
  const { child, done, seen } = box.start(["run", "--", "sh", "-c", "echo started; sleep 600"]);
  await seen(/started/);
  child.kill("SIGTERM");
  expect((await done).code).toBe(143);
  expect((await box.run(["ls", "-q"])).stdout).toBe("");
});

test("a sandbox outlives the process that made it, and trees go in and out of it", async (context) => {
  const box = await overLocal(context);
  const here = scratch();
  mkdirSync(join(here, "tree/sub"), { recursive: true });
  writeFileSync(join(here, "tree/sub/f"), "content");
  symlinkSync("sub/f", join(here, "tree/link"));
  const id = (await box.run(["create", "--ttl", "5m"])).stdout.trim();
  try {
    expect(await box.run(["cp", join(here, "tree"), `${id}:`])).toMatchObject({ code: 0, stderr: "" });
    expect((await box.run(["exec", id, "--", "sh", "-c", "cat tree/link; ln -s /etc/passwd tree/evil; echo new > tree/new"])).stdout).toBe(
      "content",
    );
    const out = await box.run(["cp", `${id}:tree`, join(here, "out")]);
    expect(out.code).toBe(125);
    expect(out.stderr).toContain('not copied: evil: it is a symlink to "/etc/passwd"');
    expect(readdirSync(join(here, "out")).toSorted()).toEqual(["link", "new", "sub"]);
    expect(readFileSync(join(here, "out/link"), "utf8")).toBe("content");
  } finally {
    await box.run(["rm", id]);
  }
});
