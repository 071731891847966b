import { existsSync, readdirSync, readFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Launcher, type Launched } from "../../../src/providers/local/launcher.ts";

/** The helper's pid: the only child of ours that runs its script. */
function helpers(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
        return parent === String(process.pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("launcher.pl");
      } catch (error) {
        // It has ended meanwhile.
        if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return false;
        throw error;
      }
    })
    .map(Number);
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch (error) {
    // It has ended meanwhile.
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return "";
    throw error;
  }
}

describe("the launcher", () => {
  let directory: string;
  let launcher: Launcher;
  const file = (name: string): string => join(directory, name);

  /** Asks until the helper is there; those before are not started by it. */
  async function launched(argv: readonly string[], files: { stdin?: string; stdout?: string; stderr?: string } = {}): Promise<Launched> {
    for (;;) {
      const one = await launcher.start({ argv, ...files });
      if (one !== undefined) return one;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "sbx-launcher-"));
    launcher = new Launcher();
  });
  afterEach(() => {
    launcher.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  test("starts nothing itself for who needs few programs", async () => {
    expect(await launcher.start({ argv: ["true"] })).toBeUndefined();
    expect(helpers()).toEqual([]);
  });

  test("gives a program its files, and says how it ended", async () => {
    writeFileSync(file("in"), "words\n");
    for (const name of ["out", "err"]) writeFileSync(file(name), "");
    const script = 'cat; echo "$1" >&2; exit 7';
    const one = await launched(["/bin/sh", "-c", script, "sh", "with spaces 'and' \n lines"], {
      stdin: file("in"),
      stdout: file("out"),
      stderr: file("err"),
    });
    expect(await one.ended).toEqual({ code: 7, signal: null });
    expect(readFileSync(file("out"), "utf8")).toBe("words\n");
    expect(readFileSync(file("err"), "utf8")).toBe("with spaces 'and' \n lines\n");
  });

  test("tells a death by signal, and what cannot be executed, as a shell does", async () => {
    expect(await (await launched(["/bin/sh", "-c", "kill -9 $$"])).ended).toEqual({ code: null, signal: "SIGKILL" });
    expect(await (await launched(["/does/not/exist"])).ended).toEqual({ code: 127, signal: null });
  });

  test("starts nothing where a file cannot be opened", async () => {
    await (
      await launched(["true"])
    ).ended;
    expect(await launcher.start({ argv: ["true"], stdin: file("missing") })).toBeUndefined();
  });

  test("hands on no blocked or ignored signal and no descriptor of its own", async () => {
    writeFileSync(file("out"), "");
    await (
      await launched(["/bin/sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status; ls -l /proc/self/fd"], { stdout: file("out") })
    ).ended;
    const text = readFileSync(file("out"), "utf8");
    expect(text.match(/Sig(Blk|Ign):\s+0{16}/g)).toHaveLength(2);
    expect(text).not.toMatch(/socket:|signalfd/);
  });

  test("keeps the ends of many at once apart", async () => {
    await (
      await launched(["true"])
    ).ended;
    const many = await Promise.all(Array.from({ length: 100 }, (_, i) => launcher.start({ argv: ["/bin/sh", "-c", `exit ${i}`] })));
    const ends = await Promise.all(many.map(async (one) => one?.ended));
    expect(ends).toEqual(many.map((_, code) => ({ code, signal: null })));
  });

  test("kills what it started, once, and nothing that has ended", async () => {
    const one = await launched(["sleep", "100"]);
    one.kill();
    expect(await one.ended).toEqual({ code: null, signal: "SIGKILL" });
    one.kill();
    expect(await (await launched(["true"])).ended).toEqual({ code: 0, signal: null });
  });

  test("that was killed itself says of what runs that nobody saw its end, and is replaced", async () => {
    const one = await launched(["sleep", "1"]);
    for (const pid of helpers()) process.kill(pid, "SIGKILL");
    expect(await one.ended).toEqual({ code: null, signal: null });
    expect(await (await launched(["true"])).ended).toEqual({ code: 0, signal: null });
  });

  test("runs a function of a Perl file in a fork that shows its first argument and outlives the launcher", async () => {
    writeFileSync(
      file("main.pl"),
      "sub main { my $to = shift; open my $file, '>', $to; print {$file} getppid(); close $file; sleep 100 }\n{ prepare => sub {}, run => \\&main };\n",
    );
    const one = await launcher.fork(file("main.pl"), [file("said")]);
    const find = (): number[] =>
      readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter((pid) => commandLine(pid).includes(`main.pl ${file("said")}`));
    for (let look = 0; find().length === 0 && look < 500; look++) await new Promise((resolve) => setTimeout(resolve, 10));
    const [pid = 0] = find();
    expect(one.isOver()).toBe(false);
    launcher.dispose();
    expect(await one.ended).toEqual({ code: null, signal: null });
    expect(find()).toEqual([pid]);
    process.kill(pid, "SIGKILL");
  });

  test("keeps a prepared fork ahead, does without one that was killed, and takes it along when it ends", async () => {
    writeFileSync(
      file("main.pl"),
      "{ prepare => sub { $0 = 'ahead of ' . $ENV{PATH} }, run => sub { my $to = shift; open my $out, '>', $to; print {$out} getppid(); close $out } };\n",
    );
    launcher.dispose();
    const path = process.env["PATH"] ?? "";
    // Its own mark, so that no other launcher's fork is counted.
    process.env["PATH"] = `${path}:${directory}`;
    launcher = new Launcher();
    const ahead = (): number[] =>
      readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => commandLine(pid).startsWith(`ahead of ${path}:${directory}`)); // prettier-ignore
    const until = async (count: number): Promise<number[]> => {
      for (let look = 0; ahead().length !== count && look < 500; look++) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(ahead()).toHaveLength(count);
      return ahead();
    };
    try {
      expect(await (await launcher.fork(file("main.pl"), [file("first")])).ended).toEqual({ code: 0, signal: null });
      const [kept = 0] = await until(1);
      process.kill(kept, "SIGKILL");
      // Seen to be gone, not only told to go: till then it could still be given what to run, and would die of the kill.
      for (let look = 0; existsSync(`/proc/${kept}`) && look < 500; look++) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await (await launcher.fork(file("main.pl"), [file("second")])).ended).toEqual({ code: 0, signal: null });
      expect(readFileSync(file("second"), "utf8")).toBe(readFileSync(file("first"), "utf8"));
      await until(1);
      launcher.dispose();
      await until(0);
    } finally {
      process.env["PATH"] = path;
    }
  });

  test("says of a Perl file that cannot be loaded that nothing was started", async () => {
    await expect(launcher.fork(file("missing.pl"), [])).rejects.toMatchObject({ code: "backend_unavailable" });
  });

  test("ends with who uses it", async () => {
    await (
      await launched(["true"])
    ).ended;
    expect(helpers()).toHaveLength(1);
    launcher.dispose();
    for (let look = 0; helpers().length > 0 && look < 500; look++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(helpers()).toEqual([]);
  });
});
