import { defineProvider } from "../../contract/index.ts";
import { E2bOptions } from "./options.ts";
import { openE2b } from "./provider.ts";

/**
 * Sandboxes at E2B, or at anything that speaks its wire, over the official `e2b` package, which is loaded when a backend is opened and is
 * not among our own dependencies. What is enforced there and what is not: docs/backends/e2b.md.
 */
export default defineProvider({ name: "e2b", options: E2bOptions, remote: () => true, open: openE2b });
