import { execFile } from "node:child_process";
import { mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** The version of the official Python SDK this door is held against. */
const VERSION = "2.51.0";

/**
 * A Python that has the official SDK: kept in the directory for temporary files between runs, made with `venv` and `pip`
 * where there is none yet. Where that cannot be, the reason, for people.
 */
export async function pythonWithE2b(): Promise<{ python: string } | { missing: string }> {
  const kept = join(tmpdir(), `sand-boxer-test-e2b-${VERSION}-${process.getuid?.() ?? 0}`);
  const python = join(kept, "bin", "python");
  if (await isOurs(kept)) return { python };
  const draft = await mkdtemp(join(tmpdir(), "sand-boxer-test-venv-"));
  try {
    await run("python3", ["-m", "venv", draft], { timeout: 60_000 });
    await run(join(draft, "bin", "python"), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `e2b==${VERSION}`], {
      timeout: 100_000,
    });
    await rm(kept, { recursive: true, force: true });
    await rename(draft, kept);
    return { python };
  } catch (thrown) {
    const said = thrown instanceof Error && "stderr" in thrown ? String(thrown.stderr).trim().split("\n").at(-1) : String(thrown);
    return { missing: `the Python SDK could not be installed: ${said === "" || said === undefined ? String(thrown) : said}` };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Nobody else's directory of that name is run. */
async function isOurs(directory: string): Promise<boolean> {
  const found = await stat(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}
