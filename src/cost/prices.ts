import type { CarrierName } from '../carrier.ts';
import type { CarrierPrice, ModelPrice, PriceTable } from './price-schema.ts';

/**
 * Models that nobody charges for: they run in this process. A table that lists them all the same is believed.
 */
const FREE: Readonly<Record<string, ModelPrice>> = { local: { perMinute: 0 } };

/** Looks prices up. An unknown price is undefined, never zero. */
export class Prices {
  /** Of all amounts; undefined: there is no price table. */
  readonly currency: string | undefined;
  readonly #models: ReadonlyMap<string, ModelPrice>;
  readonly #carriers: ReadonlyMap<string, CarrierPrice | undefined>;

  constructor(table: PriceTable | undefined) {
    this.currency = table?.currency;
    this.#models = new Map(Object.entries({ ...FREE, ...table?.providers }));
    this.#carriers = new Map(Object.entries(table?.carriers ?? {}));
  }

  /** Price of the model that a session is held with: the most exact of `provider/model`, `model` and `provider`. */
  session(provider: string, model: string | undefined): ModelPrice | undefined {
    const ofModel = model === undefined ? undefined : this.helper(provider, model);
    return ofModel ?? this.#models.get(provider);
  }

  /**
   * Price of a model that helps in a session, such as one that writes down what the caller says: `provider/model` or
   * `model`. The price of the provider is that of its sessions, and says nothing about it.
   */
  helper(provider: string, model: string): ModelPrice | undefined {
    return this.#models.get(`${provider}/${model}`) ?? this.#models.get(model);
  }

  carrier(name: CarrierName): CarrierPrice | undefined {
    return this.#carriers.get(name);
  }
}
