/** The nouns, and what an extension needs: `import { defineProvider } from "sand-boxer/provider"`. */
export * from "./access.ts";
export * from "./api.ts";
export * from "./audit.ts";
<<<<<<< 264834f44f23d8b700c0ffee79ca8fcc0e3b5e9c
export * from "./background.ts";
=======
>>>>>>> 9c24bb207df69ca40b3764bf3273843fadb3c78e
export * from "./beside.ts";
export * from "./capability.ts";
export * from "./cloud-event.ts";
export * from "./config.ts";
export * from "./errors.ts";
export * from "./event-types.ts";
export * from "./exec.ts";
export * from "./files.ts";
export type * from "./finding.ts";
export * from "./fleet.ts";
export * from "./hub-config.ts";
export * from "./ids.ts";
export * from "./image.ts";
export * from "./inventory.ts";
export * from "./issues.ts";
export type * from "./keeping.ts";
export type * from "./logger.ts";
export * from "./money.ts";
export * from "./nearest.ts";
export * from "./network-api.ts";
export * from "./network.ts";
export * from "./path.ts";
export * from "./policy.ts";
export * from "./ports.ts";
export * from "./price.ts";
export * from "./profile.ts";
export * from "./provider.ts";
export * from "./routing.ts";
export * from "./sandbox.ts";
export * from "./secret.ts";
export * from "./services.ts";
export * from "./snapshot.ts";
export * from "./telemetry.ts";
export * from "./units.ts";
export * from "./webhook.ts";
export * from "./workspace.ts";
