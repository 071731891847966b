import { defineProvider } from "../../contract/index.ts";
import { SshProviderOptions } from "./options.ts";
import { openSsh } from "./provider.ts";

/**
 * Sandboxes on a host that is reached by SSH: a user, a directory and namespaces each, of the level `process`. The host needs perl and nothing of
 * ours. What is enforced there and what is not: docs/backends/ssh.md.
 */
export default defineProvider({ name: "ssh", options: SshProviderOptions, remote: () => true, open: openSsh });
