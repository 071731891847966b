import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./killed.ts";

/** Why there can be no registry on this machine; undefined where there can. */
export function withoutRegistry(): string | undefined {
  const missing = ["docker-registry", "skopeo"].filter((program) => spawnSync("which", [program]).status !== 0);
  return missing.length === 0 ? undefined : `${missing.join(" and ")} not installed`;
}

/** A real registry on a port of its own, without TLS, which asks for a name and a password. */
export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly name: string;
  /** `user:password` */
  readonly credentials: string;
  /** Where it keeps what was pushed. */
  readonly storage: string;
  /** Pushes an archive of `docker save`. */
  push(archive: Buffer, repository: string): void;
}

export async function openRegistry(): Promise<Registry> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-registry-"));
  const storage = join(directory, "storage");
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const hash = execFileSync("perl", ["-e", "print crypt 'secret', '$2y$05$abcdefghijklmnopqrstuu'"]).toString();
  writeFileSync(join(directory, "users"), `reader:${hash}\n`);
  const config = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: `127.0.0.1:${port}` },
    auth: { htpasswd: { realm: "test", path: join(directory, "users") } },
  };
  writeFileSync(join(directory, "config.yml"), JSON.stringify(config));
  const server = spawn("docker-registry", ["serve", join(directory, "config.yml")], { stdio: "ignore" });
  await eventually(() => fetch(`http://127.0.0.1:${port}/v2/`).then(({ status }) => status === 401, () => false));
  const name = `127.0.0.1:${port}`;
  return {
    name,
    credentials: "reader:secret",
    storage,
    push(archive, repository) {
      const file = join(directory, "archive.tar");
      writeFileSync(file, archive);
      execFileSync("skopeo", ["copy", "--dest-tls-verify=false", "--dest-creds", "reader:secret", `docker-archive:${file}`, `docker://${name}/${repository}`], { stdio: "pipe" });
    },
    async [Symbol.asyncDispose]() {
      server.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    },
  };
} // prettier-ignore
