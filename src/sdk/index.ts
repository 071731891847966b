/** The TypeScript client of sand-boxer: fetch only, nothing from npm. Node >= 20, Bun, Deno, browsers, Workers. */
export { SandboxerError } from "../contract/errors.ts";
export type { ErrorCode, Issue } from "../contract/errors.ts";
export type {
  KeyInfo, KeyRequest, KeyRotation, ProjectInfo, ProjectRequest, QuotaInfo, QuotaRequest, Scope, TenantInfo, TenantRequest,
} from "../contract/access.ts"; // prettier-ignore
export type { BackendInfo, CreateRequest, LedgerEvent, SweepReport, Usage } from "../contract/api.ts";
export type { AuditAnchor, AuditEntry, AuditReport } from "../contract/audit.ts";
export type { CloudEvent } from "../contract/cloud-event.ts";
export type { ProcessInfo, PtySize } from "../contract/exec.ts";
export type { FileEvent, FileInfo } from "../contract/files.ts";
export type { HostChange, HostChanged, HostCheck, HostInfo, HostRequest } from "../contract/inventory.ts";
export type {
  EffectiveRule, NetworkChange, NetworkCheck, NetworkCheckRequest, NetworkSuggestion, NetworkUpdate, NetworkView,
} from "../contract/network-api.ts"; // prettier-ignore
export type {
  Account, AccountEntryRequest, AccountRequest, Budget, BudgetRequest, Discrepancy, JournalEntry, MoneyAudit, PaymentRoute, SandboxCost, StripeReport, UsageBy, UsageReport,
} from "../contract/money.ts"; // prettier-ignore
export type { AllowRule, NetworkVerdict } from "../contract/network.ts";
export type {
  PolicyApplied, PolicyApplyRequest, PolicyCase, PolicyDocument, PolicyExplanation, PolicyFile, PolicyQuestion, PolicyReading, PolicyTestReport, PolicyVersion,
} from "../contract/policy.ts"; // prettier-ignore
export type { AddressRequest, PortAddress, PortInfo, PublishRequest } from "../contract/ports.ts";
export type { Profile, ProfileRecord } from "../contract/profile.ts";
export type { Route, RouteCandidate, RouteCost, Routing } from "../contract/routing.ts";
export type { SandboxState } from "../contract/sandbox.ts";
export type { SecretInfo } from "../contract/secret.ts";
export type { ServiceState } from "../contract/beside.ts";
export type { WebhookChange, WebhookDelivery, WebhookInfo, WebhookReplay, WebhookRequest, WebhookTestResult } from "../contract/webhook.ts";
export { Keys, Projects, Quotas, Tenants } from "./access.ts";
export type { Attachment, AttachEvent, AttachOptions } from "./attachment.ts";
export { Audit, type AuditOptions } from "./audit.ts";
export { SandBoxer, type ListOptions, type SecretOptions } from "./client.ts";
export type { CommandLine, CommandOptions, StdinStream } from "./command.ts";
export type { EventOptions } from "./events.ts";
export { Execution, type ExecEvent, type ExecOptions } from "./exec.ts";
export { Files, type FileContent } from "./files.ts";
export type { FetchFunction, FetchInit, SandBoxerOptions, WebSocketConstructor, WebSocketLike } from "./options.ts";
export { Hosts } from "./hosts.ts";
export { Money, type UsageOptions, type UsagePage } from "./money.ts";
export { Network, type NetworkLogOptions } from "./network.ts";
export type { OutputOptions, ProcessOutput } from "./output.ts";
export { Policy } from "./policy.ts";
export { Ports } from "./ports.ts";
export { Process } from "./process.ts";
export { ExecResult, type Ending } from "./result.ts";
export { Sandbox, type CreateOptions, type SandboxInfo, type SpawnOptions } from "./sandbox.ts";
export { Services, type ServiceLogOptions } from "./services.ts";
export { Webhooks } from "./webhooks.ts";
