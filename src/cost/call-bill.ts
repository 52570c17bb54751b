import type { CarrierName } from '../carrier.ts';
import { assertNever } from '../errors.ts';
import type { Usage } from '../provider.ts';
import { decimal, type Money, moneyOf, share, toMicros } from './money.ts';
import type { CarrierPrice, ModelPrice, Prices } from './prices.ts';

/** What one model counted. Counts of input include what was cached of it. */
export interface ModelUsage extends Usage {
  /** Speech that the model charges for by its length; 0 for models that count tokens. */
  readonly seconds: number;
}

/** Time on a line, as it passed and as the carrier charges for it. */
export interface BilledTime {
  readonly seconds: number;
  readonly billedSeconds: number;
}

export interface CarrierTime {
  readonly inbound: BilledTime;
  readonly outbound: BilledTime;
  readonly stream: BilledTime;
}

/** Amounts are decimals with at most six places; the parts add up to the total. */
export interface CallCost {
  readonly currency: string;
  readonly total: number;
  readonly byProvider: Readonly<Record<string, number>>;
  readonly byCarrier: Readonly<Partial<Record<CarrierName, number>>>;
}

/** What a call has used, and what that costs. JSON as it is. */
export interface CallBill {
  /** By `provider/model`, or `provider` where the model is not known. */
  readonly usage: Readonly<Record<string, ModelUsage>>;
  /** Time in sessions, by provider; sessions that overlap count each. */
  readonly providerSeconds: Readonly<Record<string, number>>;
  readonly carrierSeconds: Readonly<Partial<Record<CarrierName, CarrierTime>>>;
  /** Undefined: no price of anything that was used is known. What is `unpriced` is not in it. */
  readonly cost: CallCost | undefined;
  /**
   * What was used and is not in the cost, each once: what has no price (`openai/gpt-realtime`, `openai outputAudio`,
   * `twilio inbound`), and counts that cannot be true (`openai/gpt-realtime implausible`).
   */
  readonly unpriced: readonly string[];
}

/** What one model was used for. Times in ms. */
export interface ModelTally {
  readonly provider: string;
  readonly model: string | undefined;
  readonly helper: boolean;
  readonly usage: Usage;
  /** It charges by the length of the speech, and this is what it reported; undefined: it has not. */
  readonly reportedMs: number | undefined;
  /** It reported what cannot be true, and that was not counted. */
  readonly hasDoubtful: boolean;
  readonly sessionMs: number;
}

export const LINE_KINDS = ['inbound', 'outbound', 'stream'] as const;
export type LineKind = (typeof LINE_KINDS)[number];

/** One stretch of time that a carrier charges for by itself, in whole ms. */
export interface Stretch {
  readonly carrier: CarrierName;
  readonly kind: LineKind;
  readonly ms: number;
}

/** Everything that a call has used so far. */
export interface Tally {
  readonly models: readonly ModelTally[];
  readonly stretches: readonly Stretch[];
}

const MILLION = 1_000_000;
const MINUTE_MS = 60_000;
/** How carriers mostly round, for those that no table says anything of. */
const ROUND_UP_S = 60;

const TOKEN_KINDS = [
  'inputText',
  'cachedText',
  'inputAudio',
  'cachedAudio',
  'outputText',
  'outputAudio',
] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

/** The amount of what has a price, and the names of what has none. */
interface Priced {
  readonly amount: Money | undefined;
  readonly unpriced: readonly string[];
}

/** Each token once, for bills and metrics: what was cached is taken out of the rest. */
export function tokensOf(usage: Usage): Readonly<Record<TokenKind, number>> {
  const cachedText = Math.min(usage.cachedTextTokens, usage.inputTextTokens);
  const cachedAudio = Math.min(usage.cachedAudioTokens, usage.inputAudioTokens);
  return {
    inputText: usage.inputTextTokens - cachedText,
    cachedText,
    inputAudio: usage.inputAudioTokens - cachedAudio,
    cachedAudio,
    outputText: usage.outputTextTokens,
    outputAudio: usage.outputAudioTokens,
  };
}

type TokenPrices = NonNullable<ModelPrice['perMillionTokens']>;

function priceOfToken(prices: TokenPrices, kind: TokenKind): number | undefined {
  if (prices[kind] !== undefined) return prices[kind];
  if (kind === 'cachedText') return prices.inputText;
  return kind === 'cachedAudio' ? prices.inputAudio : undefined;
}

function costOfTokens(name: string, prices: TokenPrices, usage: Usage): Priced {
  const tokens = tokensOf(usage);
  const unpriced: string[] = [];
  let millionths = 0n;
  for (const kind of TOKEN_KINDS) {
    const price = priceOfToken(prices, kind);
    if (price !== undefined) millionths += moneyOf(price) * BigInt(Math.round(tokens[kind]));
    else if (tokens[kind] > 0) unpriced.push(`${name} ${kind}`);
  }
  return { amount: share(millionths, 1, MILLION), unpriced };
}

export function modelName(tally: Pick<ModelTally, 'provider' | 'model'>): string {
  return tally.model === undefined ? tally.provider : `${tally.provider}/${tally.model}`;
}

function usedTokens(usage: Usage): boolean {
  return Object.values(tokensOf(usage)).some((count) => count > 0);
}

function costOfModel(prices: Prices, tally: ModelTally): Priced {
  const { provider, model, helper } = tally;
  const price =
    helper && model !== undefined ? prices.helper(provider, model) : prices.session(provider, model);
  const name = modelName(tally);
  if (price === undefined) return { amount: undefined, unpriced: [name] };
  const { perMillionTokens, perMinute } = price;
  const ms = tally.reportedMs ?? tally.sessionMs;
  const unpriced = tally.hasDoubtful ? [`${name} implausible`] : [];
  let amount = perMinute === undefined ? 0n : share(moneyOf(perMinute), ms, MINUTE_MS);
  if (perMillionTokens !== undefined) {
    const tokens = costOfTokens(name, perMillionTokens, tally.usage);
    amount += tokens.amount ?? 0n;
    unpriced.push(...tokens.unpriced);
  } else if (ms === 0 && usedTokens(tally.usage)) {
    // Priced by the minute, but it only counts tokens: free it is not.
    unpriced.push(`${name} tokens`);
  }
  if (perMinute === undefined && tally.reportedMs !== undefined) unpriced.push(`${name} minutes`);
  return { amount, unpriced };
}

function pricePerMinute(price: CarrierPrice | undefined, kind: LineKind): number | undefined {
  switch (kind) {
    case 'inbound':
      return price?.inboundPerMinute;
    case 'outbound':
      return price?.outboundPerMinute;
    case 'stream':
      // Unlike a line, a stream is included in what many carriers charge.
      return price === undefined ? undefined : (price.streamPerMinute ?? 0);
    default:
      return assertNever(kind);
  }
}

/** What the carrier charges for, in ms: whole intervals, and at least one for whatever came about. */
function billedMs(prices: Prices, { carrier, ms }: Stretch): number {
  const intervalMs = (prices.carrier(carrier)?.roundUpSeconds ?? ROUND_UP_S) * 1000;
  return Math.max(1, Math.ceil(ms / intervalMs)) * intervalMs;
}

function costOfStretch(prices: Prices, stretch: Stretch): Priced {
  const { carrier, kind } = stretch;
  const price = pricePerMinute(prices.carrier(carrier), kind);
  if (price === undefined) return { amount: undefined, unpriced: [`${carrier} ${kind}`] };
  return { amount: share(moneyOf(price), billedMs(prices, stretch), MINUTE_MS), unpriced: [] };
}

interface Sums {
  readonly byProvider: Map<string, Money>;
  readonly byCarrier: Map<CarrierName, Money>;
  readonly unpriced: Set<string>;
}

function put<K>(sums: Map<K, Money>, key: K, { amount, unpriced }: Priced, names: Set<string>): void {
  if (amount !== undefined) sums.set(key, (sums.get(key) ?? 0n) + amount);
  for (const name of unpriced) names.add(name);
}

function sumsOf(prices: Prices, tally: Tally): Sums {
  const sums: Sums = { byProvider: new Map(), byCarrier: new Map(), unpriced: new Set() };
  for (const model of tally.models) {
    put(sums.byProvider, model.provider, costOfModel(prices, model), sums.unpriced);
  }
  for (const stretch of tally.stretches) {
    put(sums.byCarrier, stretch.carrier, costOfStretch(prices, stretch), sums.unpriced);
  }
  return sums;
}

/** The known cost to the last nano-unit; without a price table it is 0. */
export function costOf(prices: Prices, tally: Tally): Money {
  if (prices.currency === undefined) return 0n;
  const { byProvider, byCarrier } = sumsOf(prices, tally);
  let total = 0n;
  for (const amount of byProvider.values()) total += amount;
  for (const amount of byCarrier.values()) total += amount;
  return total;
}

function decimals(sums: ReadonlyMap<string, Money>): Record<string, number> {
  return Object.fromEntries([...sums].map(([key, amount]) => [key, decimal(amount)]));
}

// Of rounded parts, so that whoever adds the parts up comes to the same.
function totalOf({ byProvider, byCarrier }: Sums): number {
  let total = 0n;
  for (const amount of byProvider.values()) total += toMicros(amount);
  for (const amount of byCarrier.values()) total += toMicros(amount);
  return decimal(total);
}

function callCost(prices: Prices, sums: Sums): CallCost | undefined {
  const { currency } = prices;
  const nothingKnown = sums.byProvider.size + sums.byCarrier.size === 0 && sums.unpriced.size > 0;
  if (currency === undefined || nothingKnown) return undefined;
  return {
    currency,
    total: totalOf(sums),
    byProvider: decimals(sums.byProvider),
    byCarrier: decimals(sums.byCarrier),
  };
}

function usageOf(models: readonly ModelTally[]): Record<string, ModelUsage> {
  const usage: Record<string, ModelUsage> = {};
  for (const tally of models) {
    usage[modelName(tally)] = { ...tally.usage, seconds: secondsOf(tally.reportedMs ?? 0) };
  }
  return usage;
}

function providerSeconds(models: readonly ModelTally[]): Record<string, number> {
  const ms = new Map<string, number>();
  for (const { provider, helper, sessionMs } of models) {
    if (!helper) ms.set(provider, (ms.get(provider) ?? 0) + sessionMs);
  }
  return Object.fromEntries([...ms].map(([provider, of]) => [provider, secondsOf(of)]));
}

function secondsOf(ms: number): number {
  return Math.round(ms) / 1000;
}

function carrierSeconds(
  prices: Prices,
  stretches: readonly Stretch[],
): Partial<Record<CarrierName, CarrierTime>> {
  const found: Partial<Record<CarrierName, CarrierTime>> = {};
  for (const { carrier } of stretches) {
    const ofKind = (kind: LineKind): BilledTime => {
      let ms = 0;
      let billed = 0;
      for (const stretch of stretches) {
        if (stretch.carrier !== carrier || stretch.kind !== kind) continue;
        ms += stretch.ms;
        billed += billedMs(prices, stretch);
      }
      return { seconds: secondsOf(ms), billedSeconds: secondsOf(billed) };
    };
    found[carrier] ??= { inbound: ofKind('inbound'), outbound: ofKind('outbound'), stream: ofKind('stream') };
  }
  return found;
}

/** What everything that a call has used amounts to. */
export function billOf(prices: Prices, tally: Tally): CallBill {
  const sums = sumsOf(prices, tally);
  return {
    usage: usageOf(tally.models),
    providerSeconds: providerSeconds(tally.models),
    carrierSeconds: carrierSeconds(prices, tally.stretches),
    cost: callCost(prices, sums),
    unpriced: [...sums.unpriced],
  };
}
