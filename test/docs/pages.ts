import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");

/** A file of the repository as text. */
export function page(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Every page of documentation, relative to the repository. */
export function pages(): string[] {
  return globSync(["*.md", "docs/**/*.md", "examples/**/*.md"], { cwd: ROOT, exclude: ["**/node_modules/**"] }).sort();
}

/** The rows of a page's tables as cells; `\|` within one is a bar. */
export function rows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll("\\|", "|")),
    );
}
