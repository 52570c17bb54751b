import { describe, expect, it, vi } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { systemClock } from '../src/clock.ts';
import { Pacer } from '../src/pacer.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { Uplink } from '../src/uplink.ts';
import { tlsFront } from './support/tls-front.ts';
import { VirtualClock } from './support/virtual-clock.ts';

describe('the uplink', () => {
  it('loses none of what it kept, over an encrypted connection, which takes nothing within one turn', async () => {
    // The certificate is one of the test's own.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    await using openai = await startOpenAiSimulator({ respond: () => ({}) });
    await using front = await tlsFront(openai.port);
    const provider = createOpenAiProvider({
      apiKey: 'sk-test',
      model: 'gpt-realtime-2.1',
      baseUrl: `wss://127.0.0.1:${front.port}/v1/realtime`,
    });
    const warnings: string[] = [];
    const session = await provider.connect(
      {
        instructions: 'x',
        voice: undefined,
        language: undefined,
        tools: [],
        turnDetection: {},
        transcribeCaller: false,
        preferredFormats: [],
        history: [],
        overrides: {},
        clock: systemClock,
      },
      (event) => {
        if (event.type === 'warning') warnings.push(event.code);
      },
      new AbortController().signal,
    );
    const pacer = new Pacer(systemClock);
    const uplink = new Uplink({
      format: MULAW_8K,
      clock: systemClock,
      pacer,
      onFailed: (error) => {
        throw error;
      },
    });
    for (let i = 0; i < 490; i++) uplink.receive(new Uint8Array(160).fill(0xff), i * 20);
    uplink.connect(session, createTranscoder(MULAW_8K, session.input));
    for (let i = 490; i < 495; i++) uplink.receive(new Uint8Array(160).fill(0xff), i * 20);
    await expect.poll(() => openai.connections[0]?.receivedAudioMs, { timeout: 5000 }).toBe(9900);
    expect(warnings).toEqual([]);
    expect(pacer.size).toBe(0);
    await session.close('done');
  });

  it('keeps the order when frames come while it catches up', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    const out: number[] = [];
    const uplink = new Uplink({ format: MULAW_8K, clock, pacer, onFailed: () => undefined });
    const send = (i: number): void => uplink.receive(new Uint8Array(160).fill(i % 251), i * 20);
    for (let i = 0; i < 200; i++) send(i);
    const session = {
      sendAudio: (bytes: Uint8Array): boolean => {
        out.push(...bytes);
        return true;
      },
    };
    uplink.connect(session, createTranscoder(MULAW_8K, MULAW_8K));
    for (let i = 200; i < 220; i++) {
      send(i);
      clock.advance(20);
    }
    expect(out.filter((_, i) => i % 160 === 0)).toEqual(Array.from({ length: 220 }, (_, i) => i % 251));
    expect(clock.pending).toBe(0);
  });
});
