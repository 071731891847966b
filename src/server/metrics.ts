import { monitorEventLoopDelay } from "node:perf_hooks";
import type { MetricSample } from "../engine/engine.ts";

/** Counts answers and watches the event loop. `stop` lets the process end. */
export class HttpCounter {
  readonly #answers = new Map<string, { labels: Record<string, string>; value: number }>();
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });

  constructor() {
    this.#delay.enable();
  }

  /** `route` is a route's template, never an address: the number of series stays bounded. */
  count(method: string, route: string, status: number): void {
    const key = `${method} ${route} ${status}`;
    const entry = this.#answers.get(key);
    if (entry === undefined) this.#answers.set(key, { labels: { method, route, status: String(status) }, value: 1 });
    else entry.value++;
  }

  stop(): void {
    this.#delay.disable();
  }

  /** What this process itself knows; event loop delays are since the last look. */
  samples(openRequests: number): MetricSample[] {
    const seconds = (nanoseconds: number): number => (Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0);
    const quantiles = [50, 90, 99].map((q) => ({ labels: { quantile: String(q / 100) }, value: seconds(this.#delay.percentile(q)) }));
    const samples: MetricSample[] = [
      { name: "sandboxer_http_requests_total", help: "Answers by route and status.", type: "counter", values: [...this.#answers.values()] },
      gauge("sandboxer_http_requests_open", "Requests being answered now.", openRequests),
      gauge("process_resident_memory_bytes", "Resident memory of the server.", process.memoryUsage.rss()),
      gauge("process_uptime_seconds", "Since the server's process started.", process.uptime()),
      {
        name: "process_cpu_seconds_total",
        help: "CPU time of the server.",
        type: "counter",
        values: [{ labels: {}, value: cpuSeconds() }],
      },
      { name: "nodejs_eventloop_delay_seconds", help: "Delay of the event loop since the last scrape.", type: "gauge", values: quantiles },
      gauge("nodejs_eventloop_delay_max_seconds", "Longest delay of the event loop since the last scrape.", seconds(this.#delay.max)),
    ];
    this.#delay.reset();
    return samples;
  }
}

function gauge(name: string, help: string, value: number): MetricSample {
  return { name, help, type: "gauge", values: [{ labels: {}, value }] };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The text form of Prometheus, version 0.0.4. */
export function prometheusText(samples: readonly MetricSample[]): string {
  let text = "";
  for (const { name, help, type, values } of samples) {
    text += `# HELP ${name} ${escape(help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value, suffix } of values) {
      const pairs = Object.entries(labels).map(([key, label]) => `${key}="${escape(label).replaceAll('"', '\\"')}"`);
      text += `${name}${suffix ?? ""}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${number(value)}\n`;
    }
  }
  return text;
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function number(value: number): string {
  return value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);
}
