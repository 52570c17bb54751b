import { BridgeError } from '../errors.ts';

/** An amount in nano-units of the currency of the price table: 1_000_000_000n is one dollar, euro or yen. */
export type Money = bigint;

/** Figures of the agents file have at most so many places behind the point, so that a price is a whole amount. */
const PLACES = 9;
const NANO = 10 ** PLACES;
/** An amount as others see it has six places. */
const MICRO = 1_000n;
/** The most that a figure of the agents file may be: above it a number cannot hold nine places any more. */
export const MOST = 1_000_000;

/** Whether a figure is an amount, zero or more, that can be held to the last place. */
export function isAmount(value: number): boolean {
  return value >= 0 && value <= MOST && Math.round(value * NANO) / NANO === value;
}

/** The amount of a figure such as 0.0085. Throws BAD_INPUT unless `isAmount(value)`. */
export function moneyOf(value: number): Money {
  if (!isAmount(value)) {
    throw new BridgeError(
      'BAD_INPUT',
      `found the amount ${value}, wanted 0 to ${MOST} with at most ${PLACES} places`,
    );
  }
  return BigInt(Math.round(value * NANO));
}

/** `count` times a price that holds for `per` of them, rounded to the next nano-unit; half a one is rounded up. */
export function share(price: Money, count: number, per: number): Money {
  const divisor = BigInt(per);
  return (2n * price * BigInt(Math.round(count)) + divisor) / (2n * divisor);
}

/** Rounded to six places, half of the last one up. */
export function toMicros(amount: Money): Money {
  const sign = amount < 0n ? -1n : 1n;
  return sign * ((sign * amount + MICRO / 2n) / MICRO) * MICRO;
}

/** The amount as a number with at most six places, which prints exactly as the decimal that it is. */
export function decimal(amount: Money): number {
  return Number(toMicros(amount) / MICRO) / 1_000_000;
}

/** All nine places, as they are kept on disk: `12.345678901`. */
export function exactText(amount: Money): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(PLACES + 1, '0');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -PLACES)}.${digits.slice(-PLACES)}`;
}

/** Reads what `exactText` wrote; undefined for anything else. */
export function fromExactText(text: unknown): Money | undefined {
  if (typeof text !== 'string' || !/^-?\d{1,30}\.\d{9}$/.test(text)) return undefined;
  return BigInt(text.replace('.', ''));
}
