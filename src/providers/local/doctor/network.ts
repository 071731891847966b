import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding } from "../../../contract/finding.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { discardNamespaces, makeNamespace } from "../network/namespace.ts";
import { missingPrograms } from "../network/probe.ts";
import { flaw, well } from "./report.ts";

/** Whether the kernel has what a sandbox's network needs: a namespace is made, with its route and its rules, and thrown away. */
export async function examineNetwork(root: boolean): Promise<Finding[]> {
  const missing = missingPrograms();
  // Without root it is refused whatever the kernel has; a missing program is a finding of its own.
  if (!root || missing.length > 0) return [];
  const trial = mkdtempSync(join(tmpdir(), "sand-boxer-doctor-"));
  const file = join(trial, "namespace");
  try {
    await makeNamespace(file);
    return [well("network.kernel", "network namespaces with a boundary (AnyIP, nftables, TPROXY)")];
  } catch (error) {
    const detail = `sandboxes cannot reach anything: ${SandboxerError.from(error).message}`;
    const title = "the kernel cannot hand a sandbox's connections to the boundary";
    return [flaw("warn", "network.kernel", title, detail, "modprobe -a nf_tables nft_tproxy nft_reject_ipv4")];
  } finally {
    await discardNamespaces([file]);
    rmSync(trial, { recursive: true, force: true });
  }
}
