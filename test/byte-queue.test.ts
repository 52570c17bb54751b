import { describe, expect, it } from 'vitest';
import { ByteQueue } from '../src/audio/byte-queue.ts';

describe('the byte queue', () => {
  it('gives back what was put in, through wraps and growth', () => {
    const queue = new ByteQueue();
    const mirror: number[] = [];
    let state = 7;
    const random = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state % below;
    };
    for (let step = 0; step < 400; step++) {
      const bytes = Uint8Array.from({ length: random(900) }, () => random(256));
      queue.push(bytes);
      mirror.push(...bytes);
      const pad = random(50);
      queue.pushValue(0xff, pad);
      mirror.push(...Array<number>(pad).fill(0xff));
      const dropped = random(30);
      queue.drop(dropped);
      mirror.splice(0, dropped);
      const out = new Uint8Array(random(1200));
      const count = queue.shift(out);
      expect([...out.subarray(0, count)]).toEqual(mirror.splice(0, out.length));
      expect(queue.length).toBe(mirror.length);
    }
  });

  it('gives memory back when it is empty after having been large', () => {
    const queue = new ByteQueue();
    queue.push(new Uint8Array(1_000_000));
    queue.clear();
    expect(queue.length).toBe(0);
    queue.push(Uint8Array.of(1, 2, 3));
    const out = new Uint8Array(3);
    queue.shift(out);
    expect([...out]).toEqual([1, 2, 3]);
  });
});
