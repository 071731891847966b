import { initial } from "./0001-initial.ts";
import { processNumbers } from "./0002-process-numbers.ts";
import { secrets } from "./0003-secrets.ts";
import { network } from "./0004-network.ts";
import { hub } from "./0009-hub.ts";
import { publishedPorts } from "./0005-published-ports.ts";
import { measurements } from "./0006-measurements.ts";
import { money } from "./0007-money.ts";
import { access } from "./0008-access.ts";
import { fleet } from "./0010-fleet.ts";
import { restAndScope } from "./0012-rest-and-scope.ts";

/** Every migration in order; the schema's version is how many have run. A released one is never edited. */
export const MIGRATIONS: readonly { readonly name: string; readonly statements: readonly string[] }[] = [
  { name: "0001-initial", statements: initial },
  { name: "0002-process-numbers", statements: processNumbers },
  { name: "0003-secrets", statements: secrets },
  { name: "0004-network", statements: network },
  { name: "0005-published-ports", statements: publishedPorts },
  { name: "0006-measurements", statements: measurements },
  { name: "0007-money", statements: money },
  { name: "0008-access", statements: access },
  { name: "0009-hub", statements: hub },
  { name: "0010-fleet", statements: fleet },
  { name: "0012-rest-and-scope", statements: restAndScope },
];
