import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newId, SandboxerError } from "../contract/index.ts";

/**
 * The name of a data directory, made once: it is in the label of everything its backends make. It stands beside the
 * ledger and not in it, so that orphans are still found by it when the ledger is lost.
 */
export function dataDirectoryId(dataDirectory: string): string {
  const path = join(dataDirectory, "instance");
  const known = read(path);
  if (known !== undefined) return known;
  const draft = `${path}.new-${process.pid}`;
  try {
    writeFileSync(draft, `${newId("instance")}\n`, { mode: 0o600 });
    linkSync(draft, path);
  } catch (thrown) {
    // Another process was first: its name holds.
    if (!(thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST")) {
      throw new SandboxerError(
        "storage_unavailable",
        `the data directory cannot be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
        { phase: "open", cause: thrown },
      );
    }
  } finally {
    rmSync(draft, { force: true });
  }
  const made = read(path);
  if (made === undefined) throw new SandboxerError("storage_unavailable", `${path} cannot be read after it was written`, { phase: "open" });
  return made;
}

function read(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    if (text === "")
      throw new SandboxerError("storage_unavailable", `${path} is empty`, {
        phase: "open",
        hint: "Write the id back into it from the label of any object of this data directory, or remove it once nothing runs.",
      });
    return text;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}
