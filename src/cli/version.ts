import { readFileSync } from "node:fs";

/** The package's version. The same file stands above both src/cli and dist/cli. */
export function version(): string {
  const { version: text } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return text;
}
