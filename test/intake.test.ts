import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readWav } from '../src/audio/wav.ts';
import { ByteOrder, ReorderWindow } from '../src/intake.ts';
import type { LegEvent } from '../src/leg.ts';
import { noise, seeded, toBytes, toInt16 } from './support/signal.ts';

type Audio = Extract<LegEvent, { type: 'audio' }>;

function message(order: number | undefined): Audio {
  const bytes = new Uint8Array([(order ?? 0) & 0xff]);
  return order === undefined
    ? { type: 'audio', bytes, atMs: undefined }
    : { type: 'audio', bytes, atMs: order * 20, order };
}

/** What comes out when messages with these places in the stream go in, before and after the end. */
function through(orders: readonly number[]) {
  const out: number[] = [];
  const window = new ReorderWindow(({ order }) => out.push(order ?? -1));
  for (const order of orders) window.push(message(order));
  const before = [...out];
  window.flush();
  return { before, out, late: window.late };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

describe('the reorder window', () => {
  it('lets a stream in order pass at once, message by message', () => {
    const { before, late } = through(range(1, 50));
    expect(before).toEqual(range(1, 50));
    expect(late).toBe(0);
  });

  it('puts messages back in order that are at most two places late, and loses none', () => {
    const random = seeded(7);
    for (let round = 0; round < 50; round++) {
      const orders = range(1, 60);
      // Shuffled within groups of three.
      for (let at = 0; at + 2 < orders.length; at += 3) {
        const group = orders.slice(at, at + 3).sort(() => random() - 0.5);
        orders.splice(at, 3, ...group);
      }
      const { out, late } = through(orders);
      expect(out).toEqual(range(1, 60));
      expect(late).toBe(0);
    }
  });

  it('finds the beginning of a stream that begins out of order', () => {
    expect(through([4, 2, 3, 5, 6]).before).toEqual([2, 3, 4, 5, 6]);
  });

  it('does not wait at the beginning when the first message says that it is the first', () => {
    expect(through([1]).before).toEqual([1]);
    expect(through([0, 1]).before).toEqual([0, 1]);
  });

  it('gives what there is of a stream that ends before it was long enough to be put in order', () => {
    const { before, out } = through([8, 7]);
    expect(before).toEqual([]);
    expect(out).toEqual([7, 8]);
  });

  it('waits for a message that is missing until three later ones are there, then goes on without it', () => {
    expect(through([1, 2, 4, 5]).before).toEqual([1, 2]);
    expect(through([1, 2, 4, 5, 6]).before).toEqual([1, 2, 4, 5, 6]);
  });

  it('drops a message that was given up, and counts it', () => {
    const { before, late } = through([1, 2, 4, 5, 6, 3, 7]);
    expect(before).toEqual([1, 2, 4, 5, 6, 7]);
    expect(late).toBe(1);
  });

  it('lets nothing pass twice, whether it was delivered or still waits', () => {
    const { out, late } = through([1, 1, 2, 2, 4, 4, 3, 3, 5]);
    expect(out).toEqual([1, 2, 3, 4, 5]);
    expect(late).toBe(4);
  });

  it('goes on when a long stretch was lost', () => {
    expect(through([...range(1, 10), ...range(400, 405)]).before).toEqual([
      ...range(1, 10),
      ...range(400, 405),
    ]);
  });

  it('begins again with a stream that counts anew from far away, in either direction', () => {
    expect(through([...range(5000, 5004), ...range(1, 5)]).before).toEqual([
      ...range(5000, 5004),
      ...range(1, 5),
    ]);
    expect(through([1, 2, ...range(90_000, 90_003)]).before).toEqual([1, 2, ...range(90_000, 90_003)]);
  });

  it('does not stay silent for long when a stream counts anew from close by', () => {
    const { before } = through([...range(1, 500), ...range(1, 60)]);
    // Two hundred ms are taken for late messages.
    expect(before).toEqual([...range(1, 500), ...range(11, 60)]);
  });

  it('lets messages pass that have no place', () => {
    const out: Audio[] = [];
    const window = new ReorderWindow((audio) => out.push(audio));
    const plain = message(undefined);
    window.push(plain);
    expect(out).toEqual([plain]);
  });
});

/** In 20 ms messages of 16 kHz, each read by `order`; what comes out, joined. */
function ordered(order: ByteOrder, bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  for (let at = 0; at < out.length; at += 640) order.apply(out.subarray(at, at + 640));
  return out;
}

function swapped(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(Buffer.from(bytes).swap16());
}

async function speech(): Promise<Uint8Array> {
  return readWav(
    await readFile(new URL('../fixtures/speech/librivox-0880.wav', import.meta.url)),
  ).data.slice();
}

describe('the byte order', () => {
  it('is left alone where the carrier does not speak of it', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4);
    new ByteOrder(undefined).apply(bytes);
    expect([...bytes]).toEqual([1, 2, 3, 4]);
  });

  it('is turned where the carrier says that it is the network’s', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5);
    new ByteOrder('big').apply(bytes);
    expect([...bytes]).toEqual([2, 1, 4, 3, 5]);
  });

  it('is found out from speech, in both cases within the first messages', async () => {
    const little = await speech();
    expect(Buffer.from(ordered(new ByteOrder('detect'), little)).equals(little)).toBe(true);
    const found = ordered(new ByteOrder('detect'), swapped(little));
    expect(Buffer.from(found).equals(little)).toBe(true);
  });

  it('is found out from the faint noise of a line', () => {
    const little = toBytes(toInt16(noise(8000, 12)));
    expect(Buffer.from(ordered(new ByteOrder('detect'), little)).equals(little)).toBe(true);
    expect(Buffer.from(ordered(new ByteOrder('detect'), swapped(little))).equals(little)).toBe(true);
  });

  it('is not settled by silence: what comes after it decides', async () => {
    const order = new ByteOrder('detect');
    ordered(order, new Uint8Array(640 * 200));
    const little = await speech();
    const found = ordered(order, swapped(little));
    expect(Buffer.from(found).equals(little)).toBe(true);
  });

  it('stays as it was found when a loud burst of noise follows', async () => {
    const order = new ByteOrder('detect');
    ordered(order, swapped(await speech()));
    const burst = toBytes(toInt16(noise(16_000, 32_000)));
    expect(Buffer.from(ordered(order, swapped(burst))).equals(burst)).toBe(true);
  });

  it('is not guessed from noise that is as wild in either order', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const order = new ByteOrder('detect');
      const wild = toBytes(toInt16(noise(16_000, 32_767, seed)));
      expect(Buffer.from(ordered(order, wild)).equals(wild)).toBe(true);
    }
    const order = new ByteOrder('detect');
    ordered(order, toBytes(toInt16(noise(16_000, 32_767, 3))));
    // A second of speech is stronger than that.
    const little = await speech();
    const found = ordered(order, swapped(little));
    expect(Buffer.from(found.subarray(-32_000)).equals(little.subarray(-32_000))).toBe(true);
  });
});
