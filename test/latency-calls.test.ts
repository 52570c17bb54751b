import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { resampleWhole } from '../src/audio/offline.ts';
import { readWav } from '../src/audio/wav.ts';
import { Service as PlainService, type Service, STYLES } from './support/carrier-styles.ts';
import { RecordingService } from './support/recording-service.ts';
import { SUBJECTS } from './support/subjects.ts';

const recording = readWav(readFileSync(new URL('../fixtures/speech/librivox-0880.wav', import.meta.url)));
/** The first second of somebody's speech, at 8 kHz. */
const question = resampleWhole(recording.channel(0), recording.rate, 8000).slice(8000, 16_000);

const ANSWERS = [
  { transcript: 'Hello.', audioMs: 400, speedFactor: 8 },
  { transcript: 'It rains, and it will rain for a long time to come.', audioMs: 8000, speedFactor: 4 },
  { transcript: 'Goodbye.', audioMs: 400, speedFactor: 8 },
];

/** Figures by name, those of all labels added up. */
async function figures(on: Service): Promise<(name: string) => number> {
  const response = await fetch(`${on.url}/metrics`, { headers: { authorization: 'Bearer operator' } });
  const lines = (await response.text()).split('\n');
  return (name) => {
    let sum = 0;
    for (const line of lines)
      if (new RegExp(`^patchcord_${name}[{ ]`).test(line)) sum += Number(line.slice(line.lastIndexOf(' ')));
    return sum;
  };
}

/** A caller who asks, cuts in on the answer, and hangs up. */
async function talk(on: Service, cutsIn: boolean): Promise<void> {
  const call = on.dial();
  await call.streaming;
  await call.untilQuiet(500);
  await call.speak(question);
  await on.event('transcript', ({ text }) => text.includes('rains'));
  await call.untilHeard(400);
  if (cutsIn) {
    const clear = call.next('clear');
    await call.speak(question);
    await clear;
  }
  await call.hangUp();
  await on.event('ended');
}

const [twilio] = STYLES;
const [openai] = SUBJECTS;
const nova = SUBJECTS.find(({ name }) => name.includes('Nova'));

describe('the latencies of a call over real sockets', () => {
  it.each([
    { how: 'as it is', recorded: false },
    { how: 'while it is recorded, when the clock of the call stands still', recorded: true },
  ])('are measured $how', { timeout: 120_000 }, async ({ recorded }) => {
    if (twilio === undefined || openai === undefined) throw new Error('there is nobody to call');
    let asked = 0;
    await using service = await openai.start({
      answer: () => {
        asked += 1;
        return ANSWERS[Math.min(asked, ANSWERS.length) - 1] ?? {};
      },
      heard: ['What is the weather like?', 'Thank you.'],
    });
    const options = { provider: service.provider, agent: { transcribeCaller: true } };
    await using kept = recorded ? await RecordingService.start(twilio, options) : undefined;
    await using plain = recorded ? undefined : await PlainService.start(twilio, options);
    const on = kept?.on ?? plain;
    if (on === undefined) throw new Error('there is no service');
    await talk(on, true);
    const of = await figures(on);
    // Two seconds of speech are a hundred messages.
    expect(of('uplink_latency_ms_count')).toBeGreaterThan(60);
    expect(of('downlink_latency_ms_count')).toBeGreaterThan(2);
    expect(of('barge_in_latency_ms_count')).toBeGreaterThan(0);
    expect(of('webhook_latency_ms_count')).toBeGreaterThan(0);
    expect(of('first_audio_ms_count')).toBe(1);
    for (const name of ['uplink', 'downlink', 'barge_in']) {
      expect(of(`${name}_latency_ms_sum`), name).toBeGreaterThan(0);
    }
    const turns = on.events.filter((event) => event.type === 'turn');
    expect(turns[0]).toMatchObject({ heardBy: 'bridge', interrupted: true });
    const { commitMs = 0, firstDeltaMs = 0, firstFrameMs = 0, firstMarkMs = 0 } = turns[0] ?? {};
    expect(commitMs).toBeGreaterThan(100);
    expect(firstDeltaMs).toBeGreaterThanOrEqual(commitMs);
    expect(firstFrameMs).toBeGreaterThanOrEqual(firstDeltaMs);
    expect(firstMarkMs).toBeGreaterThanOrEqual(firstFrameMs);
    expect(of('turn_ms_count')).toBe(turns.filter(({ firstFrameMs: ms }) => ms !== undefined).length);
  });

  it('are measured with a provider that is reached by an event stream', { timeout: 120_000 }, async () => {
    if (twilio === undefined || nova === undefined) throw new Error('there is nobody to call');
    let asked = 0;
    await using service = await nova.start({
      answer: () => {
        asked += 1;
        return ANSWERS[Math.min(asked, ANSWERS.length) - 1] ?? {};
      },
      heard: ['What is the weather like?'],
    });
    await using on = await PlainService.start(twilio, { provider: service.provider });
    await talk(on, false);
    const of = await figures(on);
    expect(of('downlink_latency_ms_count')).toBeGreaterThan(2);
    expect(of('uplink_latency_ms_count')).toBeGreaterThan(30);
    const turn = on.events.find((event) => event.type === 'turn');
    expect(turn).toMatchObject({ provider: 'nova', heardBy: 'bridge' });
    expect(turn).not.toHaveProperty('commitMs', expect.any(Number));
  });
});
