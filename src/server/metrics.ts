import type { monitorEventLoopDelay } from "node:perf_hooks";
import type { MetricSample } from "../contract/index.ts";

type Delays = ReturnType<typeof monitorEventLoopDelay>;

/** Counts answers and watches the event loop. `stop` lets the process end. */
export class HttpCounter {
  readonly #answers = new Map<string, { labels: Record<string, string>; value: number }>();
  #delay: Delays | undefined;

  /** Begins to watch the event loop: for what listens. What answers one command in its own process is spared loading what it takes. */
  watch(): void {
    if (this.#delay !== undefined) return;
    const measure: { monitorEventLoopDelay: typeof monitorEventLoopDelay } = process.getBuiltinModule("node:perf_hooks");
    this.#delay = measure.monitorEventLoopDelay({ resolution: 20 });
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
    this.#delay?.disable();
  }

  /** What this process itself knows. Event loop delays are since the last look, and absent where nothing listens. */
  samples(openRequests: number): MetricSample[] {
    return [
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
      ...delays(this.#delay),
    ];
  }
}

function delays(delay: Delays | undefined): MetricSample[] {
  if (delay === undefined) return [];
  const seconds = (nanoseconds: number): number => (Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0);
  const quantiles = [50, 90, 99].map((q) => ({ labels: { quantile: String(q / 100) }, value: seconds(delay.percentile(q)) }));
  const longest = seconds(delay.max);
  delay.reset();
  return [
    { name: "nodejs_eventloop_delay_seconds", help: "Delay of the event loop since the last scrape.", type: "gauge", values: quantiles },
    gauge("nodejs_eventloop_delay_max_seconds", "Longest delay of the event loop since the last scrape.", longest),
  ];
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
