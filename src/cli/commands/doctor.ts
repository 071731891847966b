import { spawn } from "node:child_process";
import { createInterface } from "node:readline/promises";
import type { Finding } from "../../contract/finding.ts";
import type { Command } from "../command.ts";
import { dataDirectory, ensureDataDirectory } from "../data-directory.ts";
import { OWN_FAILURE, usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, note } from "../print.ts";
import { paint, plain } from "../style.ts";

export const command: Command = {
  usage: "doctor [OPTIONS]",
  about: `Says what this host can enforce and at which isolation level, and for each shortcoming the command that would improve
it; and whether each other backend that is configured is reached, lets us in, and at which level. --fix shows those commands and runs them after a question. Exits 125 while something is an error.`,
  options: {
    fix: { type: "boolean", about: "Run the commands that would improve this host" },
    yes: { type: "boolean", short: "y", about: "With --fix: do not ask" },
  },
  positionals: [],
  examples: [
    ["doctor", "look"],
    ["doctor --fix --yes", "and repair, in a script"],
  ],
  async run(args) {
    expect("doctor", args);
    const fix = args.flag("fix");
    if (args.flag("yes") && !fix) throw usageError("doctor", "--yes needs --fix");
    let findings = await examine();
    const commands = [...new Set(findings.flatMap(({ ok, fix: repair }) => (ok || repair === undefined ? [] : [repair.command])))];
    if (!args.json) await print(findings);
    if (fix && commands.length > 0) {
      if (!(await agreed(commands, args.flag("yes"), args.json))) return OWN_FAILURE;
      for (const one of commands) await repairWith(one);
      findings = await examine();
      if (!args.json) await print(findings);
    } else if (commands.length > 0 && !args.json) note("'sand-boxer doctor --fix' runs these commands");
    if (args.json) await json(findings);
    return findings.some(({ ok, level }) => !ok && level === "error") ? OWN_FAILURE : 0;
  },
};

async function examine(): Promise<Finding[]> {
  const data = dataDirectory();
  ensureDataDirectory(data);
  const { diagnose } = await import("../../main.ts");
  return diagnose({ dataDir: data });
}

async function print(findings: readonly Finding[]): Promise<void> {
  for (const { ok, level, title, detail, fix } of findings) {
    const mark = ok
      ? paint(process.stdout, "green", "ok   ")
      : level === "error"
        ? paint(process.stdout, "red", "error")
        : level === "warn"
          ? paint(process.stdout, "yellow", "warn ")
          : paint(process.stdout, "cyan", "info ");
    await line(`${mark}  ${plain(title)}${detail === "" ? "" : `: ${plain(detail)}`}`);
    if (!ok && fix !== undefined) await line(`       fix: ${paint(process.stdout, "bold", plain(fix.command))}`);
  }
}

async function agreed(commands: readonly string[], yes: boolean, asJson: boolean): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY || asJson)
    throw usageError("doctor", "--fix asks before it runs anything, and there is nobody to ask here; add --yes");
  process.stderr.write(`These commands will be run:\n${commands.map((one) => `  ${one}\n`).join("")}`);
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question("Go on? [y/N] ")).trim());
  } finally {
    prompt.close();
  }
}

/** Runs a fix in the foreground. Its failure shows in what doctor finds afterwards; it does not keep the others from running. */
async function repairWith(text: string): Promise<void> {
  note(`runs: ${text}`);
  const code = await new Promise<number | null>((resolve, reject) => {
    spawn("/bin/sh", ["-c", text], { stdio: ["inherit", 2, "inherit"] })
      .once("error", reject)
      .once("close", resolve);
  });
  if (code !== 0) note(`that failed with exit code ${code ?? "none (killed by a signal)"}`);
}
