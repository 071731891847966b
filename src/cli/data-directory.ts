import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Where everything is kept: `SANDBOXER_DATA`, else /var/lib/sand-boxer for root, else the user's data home. */
export function dataDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const { SANDBOXER_DATA: named, XDG_DATA_HOME: dataHome } = environment;
  if (named !== undefined && named !== "") return resolve(named);
  if (process.getuid?.() === 0) return "/var/lib/sand-boxer";
  return join(dataHome !== undefined && dataHome.startsWith("/") ? dataHome : join(homedir(), ".local/share"), "sand-boxer");
}

/** Makes it where it is missing. 0711: sandboxes' mapped users pass through to their own directories and list nothing. */
export function ensureDataDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
}
