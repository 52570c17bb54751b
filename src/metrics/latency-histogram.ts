import { Histogram, type Registry } from 'prom-client';
import { type Bounds, Latency } from './latency.ts';

type Labels<L extends string> = Readonly<Record<L, string>>;
type Told<L extends string> = Awaited<ReturnType<Histogram<L>['get']>>;

/**
 * Latencies as a metric with labels. The registry's own histogram looks its labels up at every observation; this one is
 * asked for a series once, and puts its figures together when somebody wants to read them.
 */
export class LatencyHistogram<L extends string> extends Histogram<L> {
  readonly #what: { readonly name: string; readonly help: string };
  readonly #bounds: Bounds;
  readonly #series = new Map<string, { readonly labels: Labels<L>; readonly latency: Latency }>();

  /** @param name without the prefix and `_ms` */
  constructor(registers: Registry[], name: string, help: string, bounds: Bounds, labelNames: L[]) {
    const what = { name: `patchcord_${name}_ms`, help };
    super({ ...what, buckets: [...bounds], labelNames, registers });
    this.#what = what;
    this.#bounds = bounds;
  }

  /** Always the same for the same labels, so it need not be looked up again. */
  of(labels: Labels<L>): Latency {
    const key = JSON.stringify(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known.latency;
    const latency = new Latency(this.#bounds);
    this.#series.set(key, { labels, latency });
    return latency;
  }

  override async get(): Promise<Told<L>> {
    const { name, help } = this.#what;
    const values: Told<L>['values'] = [];
    for (const { labels, latency } of this.#series.values()) {
      const counts = latency.cumulative();
      counts.forEach((value, at) => {
        const le = this.#bounds[at] ?? '+Inf';
        values.push({ labels: { ...labels, le }, value, metricName: `${name}_bucket` });
      });
      values.push({ labels, value: latency.sum, metricName: `${name}_sum` });
      values.push({ labels, value: counts.at(-1) ?? 0, metricName: `${name}_count` });
    }
    const type = 'histogram' as unknown as Told<L>['type'];
    return { name, help, type, values, aggregator: 'sum', collect: () => undefined };
  }

  /** What the registry asks where there is such a thing; of its own figures this histogram has none. */
  getForPromString(): Promise<Told<L>> {
    return this.get();
  }
}
