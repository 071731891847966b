import {
  chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync,
} from "node:fs"; // prettier-ignore
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Sandbox, SandBoxer } from "../../src/sdk/index.ts";
import { sync, type SyncOptions } from "../../src/sync/index.ts";
import { type Local, openLocal } from "../support/local-engine.ts";
import { containerRuntime } from "../support/runtimes.ts";
import { put, root, tree } from "./tree.ts";

describe.runIf(root)("a directory and a sandbox's", () => {
  const base = mkdtempSync(join(tmpdir(), "sand-boxer-sync-"));
  let local: Local;
  let client: SandBoxer;
  let sandbox: Sandbox;
  let count = 0;
  beforeAll(async () => {
    local = await openLocal("sync", { runtime: await containerRuntime() });
    const { url, key } = await local.listen();
    client = new SandBoxer({ url, apiKey: await key() });
    sandbox = await client.create();
  });
  afterAll(async () => {
    await local[Symbol.asyncDispose]();
    rmSync(base, { recursive: true, force: true });
  });

  /** A pair of directories of its own. */
  const pair = (place: Sandbox = sandbox) => {
    const to = `pair-${count++}`;
    const here = join(base, to);
    mkdirSync(here);
    const run = (options: SyncOptions = {}) => sync(place, here, { to, stateDirectory: join(base, "state"), ...options });
    const sh = async (shell: string) => {
      const result = await place.exec(`cd ${to} && { ${shell}\n}`);
      expect(result.stderr + String(result.exitCode), shell).toBe("0");
      return result.stdout;
    };
    /** What is inside, brought out by another way. */
    const inside = async () => {
      const out = mkdtempSync(join(base, "out-"));
      const tar = (await place.exec(["tar", "-c", "-C", to, "."])).stdoutBytes;
      writeFileSync(`${out}.tar`, tar);
      const { spawnSync } = await import("node:child_process");
      expect(spawnSync("tar", ["-x", "-p", "-f", `${out}.tar`, "-C", out]).status).toBe(0);
      return tree(out);
    };
    return { here, to, run, sh, inside };
  };
  const paths = (changes: readonly { path: string; change: string }[]) => changes.map(({ path, change }) => `${change} ${path}`).sort();

  test("come in step: differences alone travel, removals too, with modes and symlinks, and then nothing", async () => {
    const { here, run, sh, inside } = pair();
    put(here, { "a.txt": "a", "d/b.sh": "b", "d/e/c": "c", gone: "g", "old/x": "x" });
    chmodSync(join(here, "d/b.sh"), 0o755);
    chmodSync(join(here, "a.txt"), 0o600);
    symlinkSync("d/b.sh", join(here, "link"));
    const first = await run();
    expect(paths(first.pushed)).toEqual(
      ["a.txt", "d", "d/b.sh", "d/e", "d/e/c", "gone", "link", "old", "old/x"].map((path) => `created ${path}`),
    );
    expect(await inside()).toEqual(tree(here));
    expect(await run()).toMatchObject({ pushed: [], pulled: [], conflicts: [], refused: [], backup: null });

    rmSync(join(here, "gone"));
    rmSync(join(here, "old"), { recursive: true });
    writeFileSync(join(here, "a.txt"), "A");
    renameSync(join(here, "link"), join(here, "moved"));
    await sh("echo new > d/new; rm d/e/c; rmdir d/e; chmod 700 d/b.sh; ln -s new d/l; mkdir -p deep/er && echo 1 > deep/er/1");
    const second = await run();
    expect(paths(second.pushed)).toEqual([
      "created moved",
      "modified a.txt",
      "removed gone",
      "removed link",
      "removed old",
      "removed old/x",
    ]);
    expect(paths(second.pulled)).toEqual([
      "created d/l",
      "created d/new",
      "created deep",
      "created deep/er",
      "created deep/er/1",
      "modified d/b.sh",
      "removed d/e",
      "removed d/e/c",
    ]);
    expect(await inside()).toEqual(tree(here));
    expect(statSync(join(here, "d/b.sh")).mode & 0o777).toBe(0o700);
    expect(await run()).toMatchObject({ pushed: [], pulled: [], conflicts: [], refused: [], backup: null });
  });

  test("that both changed are a conflict by its path: neither is touched, until a name says whose version wins", async () => {
    const { here, run, sh, inside } = pair();
    put(here, { one: "1", two: "2", "d/three": "3", kept: "k", same: "s" });
    await run();
    put(here, { one: "here", two: "here", "d/three": "here", same: "alike" });
    rmSync(join(here, "kept"));
    await sh("echo -n inside > one; echo -n inside > two; rm d/three; echo -n changed > kept; echo -n alike > same; echo -n n > fresh");
    const [before, beforeInside] = [tree(here), await inside()];
    const report = await run();
    const conflicts = [
      { path: "d/three", here: "modified", inside: "removed" },
      { path: "kept", here: "removed", inside: "modified" },
      { path: "one", here: "modified", inside: "modified" },
      { path: "two", here: "modified", inside: "modified" },
    ];
    expect(report.conflicts.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual(conflicts);
    expect([paths(report.pushed), paths(report.pulled)]).toEqual([[], ["created fresh"]]);
    expect(tree(here)).toEqual({ ...before, fresh: "644 n" });
    expect(await inside()).toEqual(beforeInside);
    const settled = await run({ ours: ["one", "d"], theirs: ["two", "kept"] });
    expect([paths(settled.pushed), paths(settled.pulled)]).toEqual([
      ["created d/three", "modified one"],
      ["created kept", "modified two"],
    ]);
    expect(settled.conflicts).toEqual([]);
    expect(await inside()).toEqual(tree(here));
    expect(tree(here)).toMatchObject({ one: "644 here", two: "644 inside", kept: "644 changed", "d/three": "644 here" });
    expect(readFileSync(join(settled.backup ?? "", "two"), "utf8")).toBe("here");
  });

  test("that met for the first time overwrite nothing: what differs is a conflict, what is alike is in step", async () => {
    const { here, to, run, sh } = pair();
    await sandbox.files.write(`${to}/alike`, "x");
    await sandbox.files.write(`${to}/other`, "inside");
    put(here, { alike: "x", other: "here!!" });
    expect(await run()).toMatchObject({ pushed: [], pulled: [], conflicts: [{ path: "other", here: "created", inside: "created" }] });
    expect(await sh("cat other")).toBe("inside");
    expect(readFileSync(join(here, "other"), "utf8")).toBe("here!!");
  });

  test("give way to another kind of thing only with all that is in them", async () => {
    const { here, run, sh, inside } = pair();
    put(here, { "d/x": "x", "d/y": "y", f: "f", "g/z": "z" });
    await run();
    rmSync(join(here, "d"), { recursive: true });
    put(here, { d: "a file" });
    rmSync(join(here, "f"));
    put(here, { "f/inner": "i" });
    await sh("echo changed > d/y; rm -r g; echo file > g");
    const report = await run();
    expect(report.conflicts.map(({ path }) => path).sort()).toEqual(["d", "d/x", "d/y"]);
    expect(await sh("cat d/x d/y; cat f/inner")).toBe("xchanged\ni");
    expect([readFileSync(join(here, "d"), "utf8"), readFileSync(join(here, "g"), "utf8")]).toEqual(["a file", "file\n"]);
    await run({ ours: ["d"] });
    expect(await inside()).toEqual(tree(here));
    expect(tree(here)["d"]).toBe("644 a file");
  });

  test("leave ignored files where they are, by nested ignore files, and .git", async () => {
    const { here, run, sh, inside } = pair();
    put(here, {
      ".gitignore": "*.log\nnode_modules/\n/build\n", ".sandboxerignore": "secret*\n!keep.log\n", "a.log": "", "keep.log": "k", "src/main": "m",
      "src/.gitignore": "!b.log\n*.tmp\n", "src/b.log": "b", "src/c.tmp": "", "node_modules/m/i.js": "", "sub/node_modules/m": "", "build/o": "", "sub/build/o": "o",
      ".git/config": "host", "secret.txt": "s", "sub/.git": "gitdir: x",
    }); // prettier-ignore
    await run();
    const travelled = [
      ".gitignore",
      ".sandboxerignore",
      "keep.log",
      "src",
      "src/.gitignore",
      "src/b.log",
      "src/main",
      "sub",
      "sub/build",
      "sub/build/o",
    ];
    expect(Object.keys(await inside()).sort()).toEqual(travelled);
    await sh("mkdir -p node_modules/own .git/hooks && touch node_modules/own/x x.log .git/hooks/post-checkout; echo -n 2 > src/main");
    expect(paths((await run()).pulled)).toEqual(["modified src/main"]);
    expect(existsSync(join(here, ".git/hooks"))).toBe(false);
    expect(await sh("ls node_modules/own x.log")).toContain("x.log");
    // With everything: what git would run stays inside all the same.
    const all = await run({ git: true, ignoreFiles: false, direction: "pull" });
    expect(all.refused.map(({ path }) => path)).toContain(".git/hooks/post-checkout");
    expect(existsSync(join(here, ".git/hooks/post-checkout"))).toBe(false);
    expect(existsSync(join(here, "x.log"))).toBe(true);
  });

  test("keep hostile names as they are, both ways", async () => {
    const { here, run, sh, inside } = pair();
    const names = [
      "-rf",
      "new\nline",
      "back\\slash",
      "quo'te\"s",
      " sp ace ",
      "*?[x]",
      "$(touch pwned)",
      "é",
      "x".repeat(255),
      "..dots",
      "#hash",
      "!bang",
    ];
    for (const name of names) put(here, { [name]: name, [`d/${name}`]: "in" });
    const raw = Buffer.concat([Buffer.from(`${here}/`), Buffer.from([0x62, 0xff, 0xfe])]);
    writeFileSync(raw, "raw");
    await run();
    expect(await inside()).toEqual(tree(here));
    await sh(
      `for f in * ..dots; do [ -d "./$f" ] || printf 2 >> "./$f"; done; printf x > "$(printf 'in\\377side')"; rm -r d; rm -- "$(printf 'b\\377\\376')"`,
    );
    const report = await run();
    expect(report).toMatchObject({ conflicts: [], refused: [] });
    expect(await inside()).toEqual(tree(here));
    expect(existsSync(raw)).toBe(false);
    expect(Object.keys(tree(here)).length).toBe(names.length + 1);
    expect(existsSync(join(here, "pwned"))).toBe(false);
  });

  test("take nothing hostile from inside: no symlink that leads out, and none of here is followed", async () => {
    const { here, run, sh } = pair();
    const elsewhere = mkdtempSync(join(base, "elsewhere-"));
    put(elsewhere, { file: "host's" });
    put(here, { "ok/file": "1" });
    symlinkSync(elsewhere, join(here, "away"));
    await run();
    await sh("rm away; mkdir away; echo evil > away/file; ln -s /etc/passwd out; ln -s ../../x up; ln -s ok/file fine; mkfifo pipe");
    const report = await run();
    expect(report.refused.map(({ path }) => path).sort()).toEqual(["out", "pipe", "up"]);
    expect(readFileSync(join(elsewhere, "file"), "utf8")).toBe("host's");
    expect(lstatSync(join(here, "away")).isDirectory()).toBe(true);
    expect(readlinkSync(join(report.backup ?? "", "away"))).toBe(elsewhere);
    expect(readlinkSync(join(here, "fine"))).toBe("ok/file");
    expect([existsSync(join(here, "out")), existsSync(join(here, "pipe"))]).toEqual([false, false]);
  });

  test("see a change that keeps size and time, however soon it comes", async () => {
    const { here, run, sh } = pair();
    put(here, { f: "1", g: "1" });
    await run();
    for (let i = 2; i < 6; i++) {
      put(here, { f: String(i) });
      await sh(`printf ${i} > g`);
      const report = await run();
      expect([paths(report.pushed), paths(report.pulled)]).toEqual([["modified f"], ["modified g"]]);
    }
    const { mtime, atime } = statSync(join(here, "f"));
    put(here, { f: "x" });
    utimesSync(join(here, "f"), atime, mtime);
    expect(paths((await run()).pushed)).toEqual(["modified f"]);
    expect(await sh("cat f g")).toBe("x5");
  });

  test("go one way where that is asked for, and only tell where it is to be dry", async () => {
    const { here, run, sh, inside } = pair();
    put(here, { a: "1", b: "1" });
    await run();
    put(here, { a: "here" });
    await sh("printf inside > b");
    const [before, beforeInside] = [tree(here), await inside()];
    const dry = await run({ dryRun: true });
    expect([paths(dry.pushed), paths(dry.pulled)]).toEqual([["modified a"], ["modified b"]]);
    expect([tree(here), await inside()]).toEqual([before, beforeInside]);
    expect(await run({ direction: "push" })).toMatchObject({ pushed: [{ path: "a" }], pulled: [], left: { here: 0, inside: 1 } });
    expect(readFileSync(join(here, "b"), "utf8")).toBe("1");
    expect(await run({ direction: "pull" })).toMatchObject({ pushed: [], pulled: [{ path: "b" }], left: { here: 0, inside: 0 } });
  });

  test("are left alone where a side cannot be read whole, and by a second sync at the same time", async () => {
    const { here, run, sh } = pair();
    put(here, { "d/x": "x", y: "y" });
    await run();
    await sh("chmod 0 d");
    await expect(run()).rejects.toMatchObject({ code: "file_denied" });
    expect(readFileSync(join(here, "d/x"), "utf8")).toBe("x");
    await sh("chmod 755 d");
    const both = await Promise.allSettled([run(), run()]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await run()).toMatchObject({ conflicts: [], refused: [] });
  });

  test("are synced by the files API where the image has no GNU programs", async () => {
    const tools = "/workspace/.bin";
    const bare = await client.create({ env: { PATH: `${tools}:/usr/bin:/bin` } });
    await bare.files.write(`${tools}/find`, "#!/bin/sh\nexit 1\n", { mode: "0755" });
    const { here, run, sh, inside } = pair(bare);
    put(here, { a: "1", "d/b": "1", gone: "g", "x y": "1" });
    await run();
    expect(await inside()).toEqual(tree(here));
    put(here, { a: "here" });
    rmSync(join(here, "gone"));
    await sh("printf 'inside!' > d/b; ln -s b d/l; rm 'x y'");
    const report = await run();
    expect([paths(report.pushed), paths(report.pulled)]).toEqual([
      ["modified a", "removed gone"],
      ["created d/l", "modified d/b", "removed x y"],
    ]);
    expect(await inside()).toEqual(tree(here));
    await bare.destroy();
  });
});
