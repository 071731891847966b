import { z } from "zod";
import { Duration, Size } from "./units.ts";

/** Capabilities that images of databases need to take on their own user when they start; nothing beyond them may be asked for. */
export const SERVICE_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"] as const;

const Words = z.union([z.string().min(1), z.array(z.string())]);
const Name = z.string().regex(/^[a-z0-9]([a-z0-9_-]{0,30}[a-z0-9])?$/, "must be small letters, digits, - and _, at most 32");

/**
 * One service beside the sandbox, in the words of a compose file: those that can be kept apart from the host. It shares the sandbox's
 * network, where it is found under its name and at localhost, and its end.
 * Format: https://github.com/compose-spec/compose-spec/blob/main/05-services.md
 */
export const Service = z
  .strictObject({
    image: z.string().min(1),
    command: Words.optional(),
    entrypoint: Words.optional(),
    environment: z.record(z.string(), z.string()).optional(),
    user: z.string().min(1).optional(),
    working_dir: z.string().startsWith("/").optional(),
    depends_on: z
      .union([z.array(Name), z.record(Name, z.strictObject({ condition: z.enum(["service_started", "service_healthy"]) }))])
      .optional(),
    healthcheck: z
      .strictObject({
        test: z
          .union([z.string().min(1), z.array(z.string()).min(2)])
          .meta({ description: 'A shell line, or ["CMD", ...] or ["CMD-SHELL", line].' }),
        interval: Duration.optional(),
        timeout: Duration.optional(),
        retries: z.int().min(1).max(100).optional(),
        start_period: Duration.optional(),
      })
      .optional(),
    tmpfs: z.union([z.string().startsWith("/"), z.array(z.string().startsWith("/"))]).optional(),
    volumes: z
      .array(
        z
          .string()
          .regex(/^[a-z0-9][a-z0-9_-]{0,31}:\/[^:]*(:ro)?$/, 'must be "name:/path", with ":ro" if wanted; host paths cannot be mounted'),
      )
      .optional()
      .meta({ description: "Named volumes of this sandbox's own, which go with it." }),
    shm_size: Size.optional(),
    mem_limit: Size.optional().meta({ description: "The sandbox's own memory unless given, and never more." }),
    cpus: z.number().min(0.05).optional().meta({ description: "The sandbox's own unless given, and never more." }),
    pids_limit: z.int().min(8).optional(),
    cap_add: z.array(z.enum(SERVICE_CAPABILITIES)).optional(),
  })
  .meta({ id: "Service" });
export type Service = z.infer<typeof Service>;

/** Services by name. */
export const Services = z
  .record(Name, Service)
  .refine((services) => Object.keys(services).length <= 16, "must be at most 16")
  .superRefine((services, context) => {
    for (const [name, service] of Object.entries(services)) {
      for (const needed of dependenciesOf(service))
        if (services[needed.name] === undefined)
          context.addIssue({ code: "custom", path: [name, "depends_on"], message: `there is no service "${needed.name}"` });
    }
    if (orderOf(services) === undefined) context.addIssue({ code: "custom", message: "services depend on each other in a circle" });
  });
export type Services = z.infer<typeof Services>;

/** What a service waits for. */
export function dependenciesOf({ depends_on: on = [] }: Service): { name: string; healthy: boolean }[] {
  if (Array.isArray(on)) return on.map((name) => ({ name, healthy: false }));
  return Object.entries(on).map(([name, { condition }]) => ({ name, healthy: condition === "service_healthy" }));
}

/** Names in an order in which each comes after what it depends on; undefined where there is none. */
export function orderOf(services: Readonly<Record<string, Service>>): string[] | undefined {
  const order: string[] = [];
  let left = Object.keys(services);
  while (left.length > 0) {
    const ready = left.filter((name) =>
      dependenciesOf(services[name] as Service).every((needed) => order.includes(needed.name) || services[needed.name] === undefined),
    );
    if (ready.length === 0) return undefined;
    order.push(...ready);
    left = left.filter((name) => !ready.includes(name));
  }
  return order;
}
