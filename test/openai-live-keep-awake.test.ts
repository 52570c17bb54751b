import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { KeepAwake } from '../src/providers/openai-live/keep-awake.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function start() {
  const clock = new VirtualClock();
  const sent: number[] = [];
  const awake = new KeepAwake(clock, MULAW_8K, 200, (bytes) => sent.push(bytes.length));
  return { clock, sent, awake };
}

describe('silence that keeps a session awake', () => {
  it('comes when no audio came for a while, at the pace of audio, and stops when audio comes', async () => {
    const { clock, sent, awake } = start();
    clock.advance(199);
    await turn();
    expect(sent).toEqual([]);
    for (let i = 0; i < 4; i++) {
      clock.advance(i === 0 ? 1 : 100);
      await turn();
    }
    expect(sent).toEqual([800, 800, 800, 800]);
    awake.heard();
    clock.advance(150);
    await turn();
    expect(sent).toHaveLength(4);
    awake.close();
    expect(clock.pending).toBe(0);
  });

  it('does not come between words that all arrive at once after the process stood still', async () => {
    const { clock, sent, awake } = start();
    clock.advance(900);
    awake.heard();
    await turn();
    expect(sent).toEqual([]);
    awake.close();
    clock.advance(1000);
    await turn();
    expect(sent).toEqual([]);
  });
});
