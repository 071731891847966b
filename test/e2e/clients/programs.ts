import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A client that is compiled outside and copied in, or why there is none. */
export type Compiled = { readonly file: Buffer } | { readonly why: string };

const GO = `package main

import ("fmt"; "io"; "net/http"; "os")

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
	body, _ := io.ReadAll(answer.Body)
	fmt.Print(string(body))
}
`;

const JAVA = `import java.net.URI;
import java.net.http.*;

public class Fetch {
  public static void main(String[] args) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(args[0])).build();
    System.out.print(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
  }
}
`;

/** Answers what the compiler made, in a directory that is gone afterwards. */
function compile(source: string, text: string, made: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): Buffer {
  const directory = mkdtempSync(join(tmpdir(), "sbx-client-"));
  try {
    writeFileSync(join(directory, source), text);
    const [program = "", ...args] = command;
    execFileSync(program, args, { cwd: directory, env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
    return readFileSync(join(directory, made));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export function goClient(): Compiled {
  const go = ["go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go"].find((name) => spawnSync(name, ["version"]).status === 0);
  if (go === undefined) return { why: "there is no go on this machine" };
  const env = { CGO_ENABLED: "0", GOFLAGS: "-mod=mod", GO111MODULE: "off" };
  return { file: compile("main.go", GO, "client", [go, "build", "-trimpath", "-ldflags=-s -w", "-o", "client", "main.go"], env) };
}

/** A class for the JDK that the sandbox sees, which is the host's below /usr. */
export function javaClient(): Compiled {
  if (!existsSync("/usr/bin/java") || spawnSync("javac", ["-version"]).status !== 0) return { why: "there is no JDK on this machine" };
  return { file: compile("Fetch.java", JAVA, "Fetch.class", ["javac", "Fetch.java"]) };
}

/** Why a program cannot be tried inside, where only /usr of the host is; undefined where it can. */
export function lacking(program: string): string | undefined {
  return existsSync(program) ? undefined : `${program} is not on this machine`;
}

/** The same of one of Python's modules, for the Python that the sandbox sees. */
export function lackingModule(name: string): string | undefined {
  const there = spawnSync("/usr/bin/python3", ["-c", `import ${name}`], { env: { PATH: "/usr/bin:/bin" } }).status === 0;
  return there ? undefined : `python3 has no ${name} on this machine`;
}
