import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Whether sandboxes can be made for these tests. */
export const root = process.getuid?.() === 0;
if (!root) console.log("not tested: sync with a real sandbox, which is made as root");

/** Everything below a directory: kind, mode and content by path, names as bytes in latin-1. */
export function tree(root: string | Buffer, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(root, { encoding: "buffer" })) {
    const [place, path] = [Buffer.concat([Buffer.from(root), Buffer.from("/"), name]), prefix + name.toString("latin1")];
    const stat = lstatSync(place);
    if (stat.isSymbolicLink()) found[path] = `-> ${readlinkSync(place)}`;
    else if (stat.isDirectory()) Object.assign(found, { [path]: "dir" }, tree(place, `${path}/`));
    else found[path] = `${(stat.mode & 0o777).toString(8)} ${readFileSync(place, "latin1")}`;
  }
  return found;
}

/** Writes files by their paths, with the directories they need. */
export function put(root: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
