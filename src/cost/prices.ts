import { z } from 'zod';
import type { CarrierName } from '../carrier.ts';
import { amountSchema } from './budget-schema.ts';

const CURRENCY = 'three capital letters such as USD';
const SECONDS = 'a whole number of seconds from 1 to 3600';
const PRICED = 'perMillionTokens, perMinute or both';

const tokenPrices = z
  .strictObject({
    inputText: amountSchema.optional(),
    cachedText: amountSchema.optional().describe('Left out: as inputText.'),
    inputAudio: amountSchema.optional(),
    cachedAudio: amountSchema.optional().describe('Left out: as inputAudio.'),
    outputText: amountSchema.optional(),
    outputAudio: amountSchema.optional(),
  })
  .describe(
    'Prices of a million tokens. A kind that is left out and used all the same is reported as unpriced.',
  );

const modelPrice = z
  .strictObject({
    perMillionTokens: tokenPrices.optional(),
    perMinute: amountSchema
      .optional()
      .describe('Of session, or of speech where the model reports how long it listened.'),
  })
  .refine((price) => price.perMillionTokens !== undefined || price.perMinute !== undefined, {
    error: PRICED,
  });

const carrierPrice = z.strictObject({
  inboundPerMinute: amountSchema.optional(),
  outboundPerMinute: amountSchema.optional(),
  streamPerMinute: amountSchema
    .optional()
    .describe('Of the media stream, on top; left out: it costs nothing.'),
  roundUpSeconds: z
    .int({ error: SECONDS })
    .min(1, { error: SECONDS })
    .max(3600, { error: SECONDS })
    .default(60)
    .describe('The carrier charges for as many whole intervals as were begun.'),
});

const carriers = {
  twilio: carrierPrice.optional(),
  telnyx: carrierPrice.optional(),
  plivo: carrierPrice.optional(),
} satisfies Record<CarrierName, unknown>;

/** `prices` of the agents file: what providers and carriers charge, without taxes. */
export const pricesSchema = z
  .strictObject({
    currency: z.string({ error: CURRENCY }).regex(/^[A-Z]{3}$/, { error: CURRENCY }),
    providers: z
      .record(z.string().regex(/^[\x21-\x7e]{1,128}$/, { error: 'a name without blanks' }), modelPrice)
      .default({})
      .describe('By provider (openai), provider and model (openai/gpt-realtime), or model (gpt-transcribe).'),
    carriers: z.strictObject(carriers).default({}),
  })
  .describe('What providers and carriers charge. Nothing is known without it.');

export type PriceTable = z.output<typeof pricesSchema>;
export type ModelPrice = z.output<typeof modelPrice>;
export type CarrierPrice = z.output<typeof carrierPrice>;

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
