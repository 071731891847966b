import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { dataDirectory, localConfig, removeDataDirectory } from "../support/local-engine.ts";
import { page, ROOT } from "./pages.ts";

const SOURCES: Readonly<Record<string, string>> = { "sand-boxer": "src/main.ts", "sand-boxer/sdk": "src/sdk/index.ts" };

it("the README's TypeScript example runs as it stands, on a real sandbox", (context) => {
  if (process.getuid?.() !== 0) context.skip("the python profile needs root");
  const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(page("README.md")) ?? [];
  expect(example.trim().split("\n").length).toBeLessThanOrEqual(14);
  const data = dataDirectory("readme");
  try {
    writeFileSync(join(data, "sand-boxer.yaml"), JSON.stringify(localConfig()));
    const code = example.replaceAll(
      /from "(sand-boxer[^"]*)"/g,
      (_, name: string) => `from "${pathToFileURL(join(ROOT, SOURCES[name] ?? name)).href}"`,
    );
    writeFileSync(join(data, "example.ts"), code);
    const { SANDBOXER_URL: _url, SANDBOXER_CONFIG: _config, ...env } = process.env;
    const output = execFileSync(process.execPath, [join(data, "example.ts")], { env: { ...env, SANDBOXER_DATA: data }, encoding: "utf8" });
    expect(output.replaceAll(/^ +/gm, "")).toBe("1 box\n2 sand\n42 0\n");
  } finally {
    removeDataDirectory(data);
  }
});
