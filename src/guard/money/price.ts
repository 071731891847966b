import type { Price } from "../../contract/index.ts";

/**
 * Amounts are whole micro-dollars: 1,000,000 are one US dollar. A sum is exact in units of 10^-12 dollars and rounded up once, at its
 * end, so that what is reserved is never less than what is owed.
 */
export type MicroUsd = number;

/** What a price is applied to. Whole units, as the ledger's usage rows have them. */
export interface Allocation {
  /** Thousandths of a vCPU. */
  readonly cpuMilli: number;
  readonly memMib: number;
  readonly diskMib: number;
}

/** A stay that is over, or one to come. */
export interface Stay extends Allocation {
  /** Milliseconds from the open to the close. Rounded up to the price's granularity. */
  readonly ms: number;
  /** Of `ms`, how long it stood still with its memory; 0 unless given. */
  readonly pausedMs?: number;
  /** Of `ms`, how long there was only its disk; 0 unless given. */
  readonly suspendedMs?: number;
  readonly creates: number;
  /** Out of the sandbox. */
  readonly egressBytes: number;
  /** vCPU milliseconds that it really ran, where someone measured them; null: not known. */
  readonly activeCpuMs: number | null;
}

/** `upper_bound`: the CPU is billed by its activity, nobody measured that, and it is counted as busy all the time. */
export interface Cost {
  readonly microUsd: MicroUsd;
  readonly precision: "exact" | "upper_bound";
}

const PICO = 1e12;
const HOUR_MS = 3_600_000n;
const MIB_IN_GB = 1024n;
/** Parts of a million: the finest duty cycle that counts. */
const PARTS = 1_000_000n;

const pico = (usd: number): bigint => BigInt(Math.round(usd * PICO));
const ceil = (amount: bigint, divisor: bigint): bigint => (amount + divisor - 1n) / divisor;
const toMicro = (amount: bigint): MicroUsd => Number(ceil(amount, 1_000_000n));

const milliOf = (cpu: number): number => Math.ceil(cpu * 1000);
const mibOf = (bytes: number): number => Math.ceil(bytes / 1024 ** 2);

/** Resources as the ledger's usage rows round them: up. */
export function allocationOf(resources: { cpu: number; memory_bytes: number; disk_bytes: number }): Allocation {
  return { cpuMilli: milliOf(resources.cpu), memMib: mibOf(resources.memory_bytes), diskMib: mibOf(resources.disk_bytes) };
}

/** Pico-dollars of memory for `memMs` and disk for `diskMs`, times {@link MIB_IN_GB} and {@link HOUR_MS}. */
function storage(price: Price, { memMib, diskMib }: Allocation, memMs: bigint, diskMs: bigint): bigint {
  const paid = BigInt(Math.max(0, diskMib - Math.floor((price.disk_free_gb ?? 0) * 1024)));
  return BigInt(memMib) * pico(price.gb_hour) * memMs + paid * pico(price.disk_gb_hour ?? 0) * diskMs;
}

/** How long each part is billed of a stay of `ms`: whole steps that it stood still are taken off, as the price's `paused` says. */
function billed(
  price: Price,
  { pausedMs = 0, suspendedMs = 0 }: Stay,
  ms: number,
  step: number,
): { cpu: bigint; mem: bigint; disk: bigint } {
  const whole = (rest: number): number => Math.floor(Math.max(0, rest) / step) * step;
  const less = (rest: number): bigint => BigInt(Math.max(0, ms - whole(rest)));
  const [all, still] = [BigInt(ms), less(pausedMs + suspendedMs)];
  // What stands still keeps no CPU busy, whatever else is billed of it.
  const cpu = price.cpu_basis === "active" ? still : all;
  if (price.paused === "free") return { cpu: still, mem: still, disk: still };
  if (price.paused === "memory") return { cpu: still, mem: less(suspendedMs), disk: all };
  return { cpu, mem: all, disk: all };
}

/** Pico-dollars of that many vCPU milliseconds, times {@link HOUR_MS}; `cpuMs` is in thousandths. */
function cpu(price: Price, milliCpuMs: bigint): bigint {
  return ceil(milliCpuMs * pico(price.vcpu_hour), 1000n);
}

/**
 * What an hour costs, without creates and egress. `dutyCycle` (0 to 1) is the share of time that the CPU is busy; it changes the price
 * only where the CPU is billed by its activity. Rounded up to whole micro-dollars.
 */
export function ratePerHour(price: Price, allocation: Allocation, dutyCycle = 1): MicroUsd {
  const busy = price.cpu_basis === "active" ? BigInt(Math.ceil(dutyCycle * Number(PARTS))) : PARTS;
  const cpuPart = ceil(cpu(price, BigInt(allocation.cpuMilli) * HOUR_MS) * busy, PARTS * HOUR_MS);
  return toMicro(cpuPart + ceil(storage(price, allocation, HOUR_MS, HOUR_MS), MIB_IN_GB * HOUR_MS));
}

/** What a stay costs. Time is rounded up to the price's granularity, the amount to whole micro-dollars. */
export function costOf(price: Price, stay: Stay): Cost {
  const step = Math.max(1, Math.round((price.granularity_s ?? 1) * 1000));
  const { cpu: cpuMs, mem, disk } = billed(price, stay, Math.ceil(Math.max(0, stay.ms) / step) * step, step);
  const allocated = BigInt(stay.cpuMilli) * cpuMs;
  const active = price.cpu_basis === "active" && price.vcpu_hour > 0;
  const measured = active && stay.activeCpuMs !== null ? BigInt(Math.ceil(stay.activeCpuMs)) * 1000n : null;
  const milliCpuMs = measured === null || measured > allocated ? allocated : measured;
  const amount =
    ceil(cpu(price, milliCpuMs), HOUR_MS) +
    ceil(storage(price, stay, mem, disk), MIB_IN_GB * HOUR_MS) +
    ceil(BigInt(stay.creates) * pico(price.create_per_million ?? 0), 1_000_000n) +
    ceil(BigInt(Math.ceil(stay.egressBytes)) * pico(price.egress_gb ?? 0), 1_000_000_000n);
  return { microUsd: toMicro(amount), precision: active && stay.activeCpuMs === null && allocated > 0n ? "upper_bound" : "exact" };
}

export interface Life {
  /** Seconds. */
  readonly seconds: number;
  /** The most that can leave the sandbox: 0 without a network, null where nothing bounds it. */
  readonly egressBytes: number | null;
  /** Creates that may be billed; 1 unless given. */
  readonly creates?: number;
}

/**
 * The most that a sandbox can cost in that time, its CPU busy throughout. null where it cannot be said: egress has a price, and nothing
 * bounds it.
 */
export function largestCost(price: Price, allocation: Allocation, { seconds, egressBytes, creates = 1 }: Life): MicroUsd | null {
  if (egressBytes === null && (price.egress_gb ?? 0) > 0) return null;
  return costOf(price, { ...allocation, ms: Math.ceil(seconds * 1000), creates, egressBytes: egressBytes ?? 0, activeCpuMs: null })
    .microUsd;
}

/** What a sandbox is expected to cost in that time at a duty cycle, without egress. */
export function expectedCost(price: Price, allocation: Allocation, seconds: number, dutyCycle: number): MicroUsd {
  const ms = Math.ceil(seconds * 1000);
  const activeCpuMs = Math.ceil((allocation.cpuMilli * ms * dutyCycle) / 1000);
  return costOf(price, { ...allocation, ms, creates: 1, egressBytes: 0, activeCpuMs }).microUsd;
}

/** US dollars, as a profile or a person writes them, as micro-dollars; rounded down, since it is a bound. */
export function boundFromUsd(usd: number): MicroUsd {
  // 0.07 * 1e6 is 70,000.00000000001: what is meant is the nearest whole number where it is that close.
  const exact = usd * 1e6;
  const near = Math.round(exact);
  return Math.abs(exact - near) < 1e-6 * Math.max(1, near) ? near : Math.floor(exact);
}
