import { describe, expect, it } from 'vitest';
import type { Agent } from '../src/agents.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import type { CallEvent } from '../src/call-events.ts';
import { endCall } from '../src/tools/built-in.ts';
import { createKit, type Kit, type KitCall, type KitOptions } from './support/call-kit.ts';
import { Service, STYLES } from './support/carrier-styles.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { noiseSamples } from './support/noise.ts';
import { BEFORE_MS, onLine, sentence, voiceOnset } from './support/onsets.ts';

/** Calls with a provider that does not say when the caller begins to speak. */

const LATE = { bargeIn: 'interrupted' } as const;
const SENTENCE = onLine(sentence('0880'), -18, -60);
const ONSET_MS = BEFORE_MS + voiceOnset(sentence('0880'));
const QUIET = onLine(new Int16Array(8000), -90, -60);

function bargeIns(events: readonly CallEvent[]) {
  return events.filter((event) => event.type === 'bargeIn');
}

/** The caller's side in real time, on the virtual clock. */
async function hear(kit: Kit, call: KitCall, samples: Int16Array): Promise<void> {
  const bytes = encodeG711('mulaw', samples);
  for (let at = 0; at + 160 <= bytes.length; at += 160) {
    kit.clock.advance(20);
    call.session.onLegEvent({ type: 'audio', bytes: bytes.subarray(at, at + 160), atMs: undefined });
    await settled();
  }
}

async function start(agent: Partial<Agent> = {}, more: Omit<KitOptions, 'agent'> = {}) {
  const kit = createKit({ provider: LATE, ...more, agent });
  const call = await kit.talk();
  return { kit, call, provider: kit.provider, leg: call.leg };
}

describe('a caller who cuts in on a provider that tells late', () => {
  it('silences the agent within 150 ms, and the provider is told what was heard', async () => {
    const { kit, call, provider, leg } = await start();
    provider.speak('r', 'a', 8000, false);
    const from = kit.clock.now();
    await hear(kit, call, SENTENCE);
    expect(leg.log.filter((what) => what === 'clear')).toHaveLength(1);
    const [event] = bargeIns(kit.events);
    expect(event).toMatchObject({ by: 'local', heard: [{ itemId: 'a', receivedMs: 8000 }] });
    const delay = (event?.atMs ?? 0) - from - ONSET_MS;
    expect(delay).toBeGreaterThanOrEqual(0);
    expect(delay).toBeLessThanOrEqual(150);
    const heardMs = provider.interruptions[0]?.[0]?.playedMs ?? 0;
    expect(Math.abs(heardMs - ONSET_MS - delay)).toBeLessThan(100);
    // What still comes of that answer is for nobody.
    const { length } = leg.played;
    provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(8000).fill(0x55) });
    await kit.pass(500);
    expect(leg.played).toHaveLength(length);
    await kit.close();
  });

  it('is one who cut in once, also when the provider says so later', async () => {
    const { kit, call, provider } = await start();
    provider.speak('r', 'a', 8000, false);
    await hear(kit, call, SENTENCE);
    provider.emit({ type: 'interrupted', responseId: 'r' });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'cancelled', reason: undefined });
    await hear(kit, call, QUIET);
    expect(bargeIns(kit.events)).toHaveLength(1);
    expect(provider.interruptions).toHaveLength(1);
    // The answer to what the caller said is heard, and can be cut off by the provider alone.
    provider.speak('r2', 'b', 4000, false);
    await kit.pass(1000);
    provider.emit({ type: 'interrupted', responseId: 'r2' });
    expect(bargeIns(kit.events).map((event) => event.by)).toEqual(['local', 'provider']);
    await kit.close();
  });

  it.each([
    'cough',
    'cough-with-voice',
    'door-slam',
    'dtmf-number',
    'hum-60',
    'ringback-us',
    'typing',
  ] as const)('is no %s', async (name) => {
    const { kit, call, provider, leg } = await start();
    provider.speak('r', 'a', 8000, false);
    await hear(kit, call, noiseSamples(name));
    expect(leg.log).not.toContain('clear');
    expect(provider.interruptions).toEqual([]);
    await kit.close();
  });

  it.each([
    ['the agent leaves it to the provider', { bargeIn: 'interrupted' }, 'provider'],
    ['the provider says so itself', { bargeIn: 'speech-started' }, 'auto'],
    ['the provider speaks and hears at the same time', { bargeIn: 'none', speech: 'continuous' }, 'auto'],
  ] as const)('silences nobody when %s', async (_why, provider, detector) => {
    const agent = { bargeIn: { detector, minSpeechMs: 60, guardMs: 0 } };
    const { kit, call, leg, provider: model } = await start(agent, { provider });
    model.speak('r', 'a', 8000, false);
    await hear(kit, call, SENTENCE);
    expect(leg.log).not.toContain('clear');
    expect(bargeIns(kit.events)).toEqual([]);
    await kit.close();
  });

  it('is noticed by the bridge as well as by such a provider when the agent wants that, and counts once', async () => {
    const agent = { bargeIn: { detector: 'local', minSpeechMs: 60, guardMs: 0 } } as const;
    const { kit, call, provider } = await start(agent, { provider: { bargeIn: 'speech-started' } });
    provider.speak('r', 'a', 8000, false);
    await hear(kit, call, SENTENCE.subarray(0, 20_000));
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    expect(bargeIns(kit.events).map((event) => event.by)).toEqual(['local']);
    await kit.close();
  });
});

describe('a caller who speaks to a provider that tells late', () => {
  const silence = { afterMs: 3000, prompts: ['Are you there?'], goodbye: 'Bye.' };

  it.each([
    ['tells late', LATE],
    ['speaks and hears at the same time', { bargeIn: 'none', speech: 'continuous' }],
  ] as const)(
    'is not asked whether they are there while they speak, when the provider %s',
    async (_what, capabilities) => {
      const { kit, call, provider } = await start({ silence }, { provider: capabilities });
      const long = onLine(sentence('0870'), -18, -60);
      await hear(kit, call, long);
      expect(provider.said).toEqual(['Hello.']);
      for (let i = 0; i < 2; i++) await hear(kit, call, QUIET);
      expect(provider.said).toEqual(['Hello.', 'Are you there?']);
      await kit.close();
    },
  );

  it('is asked when they fall silent and the carrier with them', async () => {
    const { kit, call, provider } = await start({ silence });
    await hear(kit, call, SENTENCE.subarray(0, 20_000));
    const before = provider.audio.length;
    await kit.pass(1500, 20);
    // The provider hears the end of the turn, which no media message would have told it.
    expect(provider.audio.length - before).toBe(8000);
    await kit.pass(4000, 20);
    expect(provider.said).toEqual(['Hello.', 'Are you there?']);
    await kit.close();
  });

  it('calls off a goodbye that has not been said', async () => {
    const { kit, call, provider } = await start({ tools: [endCall] });
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'f', name: 'end_call', args: '{}' });
    await settled();
    provider.speak('bye', 'b', 4000);
    await hear(kit, call, SENTENCE);
    await kit.pass(8000);
    expect(call.endReason).toBeUndefined();
    expect(bargeIns(kit.events)).toHaveLength(1);
    await kit.close();
  });

  it('who is a machine is not listened to', async () => {
    const { kit, call, provider, leg } = await start(
      {},
      { machine: { mode: 'leave-message', message: 'Please call back.' } },
    );
    call.session.onCarrierEvent({
      type: 'machine',
      callId: call.session.callId,
      ref: undefined,
      result: 'machine-beep',
      greetingOver: true,
    });
    expect(provider.said).toContain('Please call back.');
    provider.speak('m', 'b', 4000, false);
    const clears = leg.log.filter((what) => what === 'clear').length;
    await hear(kit, call, SENTENCE);
    expect(leg.log.filter((what) => what === 'clear')).toHaveLength(clears);
    expect(bargeIns(kit.events)).toEqual([]);
    await kit.close();
  });
});

describe.concurrent.each(STYLES)('a phone call by $name', (style) => {
  it('is given back to the caller who speaks, and not to one who coughs', async ({ expect }) => {
    const provider = new ManualProvider(undefined, LATE);
    await using on = await Service.start(style, {
      provider,
      agent: { bargeIn: { detector: 'auto', minSpeechMs: 60, guardMs: 200 } },
    });
    const call = on.dial();
    await call.streaming;
    await provider.ready();
    await on.event('mediaStarted');
    provider.speak('r', 'a', 12_000, false);
    expect(await call.untilHeard(500)).toBe(true);
    await call.speak(noiseSamples('cough'));
    expect(bargeIns(on.events)).toEqual([]);
    const [clear] = await Promise.all([call.next('clear'), call.speak(SENTENCE)]);
    expect(clear.droppedBytes).toBeGreaterThan(0);
    expect(await on.event('bargeIn')).toMatchObject({ by: 'local', heard: [{ itemId: 'a' }] });
    provider.emit({ type: 'interrupted', responseId: 'r' });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'cancelled', reason: undefined });
    const report = await call.hangUp();
    expect(report.failure).toBeUndefined();
    expect(report.heardBytes).toBeLessThan(8 * 8000);
    expect(bargeIns(on.events)).toHaveLength(1);
    expect(provider.interruptions).toHaveLength(1);
  });
});
