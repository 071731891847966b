import type { Route } from "../route.ts";
import { auditRoutes } from "./audit.ts";
import { eventRoutes } from "./events.ts";
import { besideRoutes } from "./beside.ts";
import { execRoute } from "./exec.ts";
import { fileRoutes } from "./files.ts";
import { hostRoutes } from "./hosts.ts";
import { keyRoutes } from "./keys.ts";
import { accountRoutes } from "./accounts.ts";
import { budgetRoutes } from "./budgets.ts";
import { moneyRoutes } from "./money.ts";
import { networkRoutes } from "./network.ts";
import { policyRoutes } from "./policy.ts";
import { portRoutes } from "./ports.ts";
import { processRoutes } from "./processes.ts";
import { profileRoutes } from "./profiles.ts";
import { sandboxRoutes } from "./sandboxes.ts";
import { secretRoutes } from "./secrets.ts";
import { serviceRoutes } from "./service.ts";
import { socketRoute } from "./socket.ts";
import { tenantRoutes } from "./tenants.ts";
import { treeRoutes } from "./trees.ts";
import { webhookRoutes } from "./webhooks.ts";

/** Every route, in the order of the reference. */
export const ROUTES: readonly Route[] = [
  ...sandboxRoutes,
  execRoute,
  ...processRoutes,
  socketRoute,
  ...fileRoutes,
  ...treeRoutes,
  ...networkRoutes,
  ...portRoutes,
  ...besideRoutes,
  ...profileRoutes,
  ...eventRoutes,
  ...webhookRoutes,
  ...auditRoutes,
  ...keyRoutes,
  ...secretRoutes,
  ...moneyRoutes,
  ...budgetRoutes,
  ...accountRoutes,
  ...tenantRoutes,
  ...policyRoutes,
  ...hostRoutes,
  ...serviceRoutes,
];
