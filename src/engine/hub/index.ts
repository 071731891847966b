/** What is told to the outside, and what is kept as proof. Loaded when it is first needed. */
export { anchorAudit, auditPage, verifyAudit } from "./audit-log.ts";
export { Courier } from "./courier.ts";
export { Denials } from "./denials.ts";
export { eventSource } from "./source.ts";
export { webhookVerbs } from "./webhooks.ts";
