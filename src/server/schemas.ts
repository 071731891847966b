import { constants } from "node:os";
import { z } from "zod";
import {
  Account, BackendInfo, Budget, Discrepancy, ERROR_TABLE, FileInfo, HostInfo, JournalEntry, KeyInfo, PaymentRoute, PolicyVersion, PortInfo, ProcessInfo, ProfileRecord, ProjectInfo, QuotaInfo, SandboxPath, SecretInfo, ServiceState, TenantInfo, type ErrorCode, WebhookDelivery, WebhookInfo,
} from "../contract/index.ts"; // prettier-ignore

export const NoParameters = z.strictObject({});

const codes = Object.keys(ERROR_TABLE) as [ErrorCode, ...ErrorCode[]];

/** `{"error": ...}`: the one form of every error. */
export const ErrorBody = z
  .object({
    error: z
      .object({
        code: z.enum(codes),
        message: z.string(),
        hint: z.string().meta({ description: "What to do next." }),
        retryable: z.boolean().meta({ description: "Whether the same request may succeed later without a change." }),
        phase: z.string().optional(),
        backend: z.string().optional(),
        issues: z.array(z.object({ path: z.string(), message: z.string(), nearest: z.string().optional() })).optional(),
        rule: z.string().optional().meta({ description: "The rule of the policy that denied it." }),
        retry_after: z.number().optional().meta({ description: "Seconds to wait." }),
        request_id: z.string().optional(),
      })
      .meta({ id: "Error" }),
  })
  .meta({ id: "ErrorBody" });

const listOf = <T extends z.ZodType>(item: T, id: string) => z.object({ object: z.literal("list"), data: z.array(item) }).meta({ id });

export const ProcessList = listOf(ProcessInfo, "ProcessList");
export const FileList = listOf(FileInfo, "FileList");
export const ServiceList = listOf(ServiceState, "ServiceList");
export const PortList = listOf(PortInfo, "PortList");
export const ProfileList = listOf(ProfileRecord, "ProfileList");
export const BackendList = listOf(BackendInfo, "BackendList");
export const HostList = listOf(HostInfo, "HostList");
export const KeyList = listOf(KeyInfo, "KeyList");
export const SecretList = listOf(SecretInfo, "SecretList");
export const BudgetList = listOf(Budget, "BudgetList");
export const AccountList = listOf(Account, "AccountList");
export const EntryList = listOf(JournalEntry, "EntryList");
export const PaymentRouteList = listOf(PaymentRoute, "PaymentRouteList");
export const DiscrepancyList = listOf(Discrepancy, "DiscrepancyList");

export const WebhookList = listOf(WebhookInfo, "WebhookList");
export const WebhookDeliveryList = listOf(WebhookDelivery, "WebhookDeliveryList");

export const WebhookWithSecret = WebhookInfo.extend({
  secret: z
    .string()
    .meta({ description: "What its requests are signed with, in the form of Standard Webhooks. Shown this once; kept sealed." }),
}).meta({ id: "WebhookWithSecret" });
export const TenantList = listOf(TenantInfo, "TenantList");
export const ProjectList = listOf(ProjectInfo, "ProjectList");
export const QuotaList = listOf(QuotaInfo, "QuotaList");
export const PolicySchema = z.object({ object: z.literal("policy_schema"), cedar: z.string() }).meta({ id: "PolicySchema" });
export const PolicyVersionList = listOf(PolicyVersion, "PolicyVersionList");

export const CreatedKey = KeyInfo.extend({
  secret: z.string().meta({ description: "The key itself. Shown this once; only a hash is kept." }),
}).meta({ id: "CreatedKey" });

const signals = Object.keys(constants.signals) as [string, ...string[]];
export const SignalRequest = z.strictObject({ signal: z.enum(signals) }).meta({ id: "SignalRequest" });

export const Health = z
  .object({
    status: z.enum(["ok", "degraded"]),
    version: z.string(),
    checks: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string().nullable() })),
  })
  .meta({ id: "Health" });

/** A whole number in a query. */
export function integer(bounds: { min: number; max: number; description: string }) {
  return z
    .string()
    .regex(/^\d{1,16}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.int().min(bounds.min).max(bounds.max))
    .optional()
    .meta({ type: "integer", minimum: bounds.min, maximum: bounds.max, description: bounds.description });
}

/** `true` or `false` in a query; false unless given. */
export function flag(description: string) {
  return z
    .enum(["true", "false"])
    .optional()
    .transform((text) => text === "true")
    .meta({ type: "boolean", description });
}

export const OctalMode = z
  .string()
  .regex(/^0?[0-7]{3,4}$/, 'must be octal, as in "0644"')
  .transform((text) => Number.parseInt(text, 8));

export const PathQuery = z.strictObject({ path: SandboxPath });
