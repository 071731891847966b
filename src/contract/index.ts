/** The nouns, and what an extension needs: `import { defineProvider } from "sand-boxer/provider"`. */
export * from "./api.ts";
export * from "./capability.ts";
export * from "./config.ts";
export * from "./errors.ts";
export * from "./exec.ts";
export * from "./files.ts";
export type * from "./finding.ts";
export * from "./ids.ts";
export * from "./issues.ts";
export * from "./nearest.ts";
export * from "./network.ts";
export * from "./path.ts";
export * from "./ports.ts";
export * from "./profile.ts";
export * from "./provider.ts";
export * from "./sandbox.ts";
export * from "./units.ts";
