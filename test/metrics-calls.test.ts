import { describe, expect, it } from 'vitest';
import type { CallEvent } from '../src/call-events.ts';
import type { CallCounts } from '../src/metrics/calls.ts';
import { createMetrics } from '../src/metrics.ts';
import { countEvent } from '../src/server/call-figures.ts';
import type { Session } from '../src/session.ts';
import { createKit } from './support/call-kit.ts';

const NOTHING: CallCounts = {
  seconds: 0,
  framesIn: 0,
  filledMs: 0,
  lostBeforeReadyMs: 0,
  refusedFrames: 0,
  refusedDownlinkMs: 0,
  droppedDownlinkMs: 0,
  underruns: 0,
  marksLost: 0,
  bargeIns: 0,
  providerErrors: 0,
  providerWarnings: 0,
};

const SESSION = { carrier: { name: 'plivo' }, provider: 'gemini' } as Session;

const TURN: Extract<CallEvent, { type: 'turn' }> = {
  type: 'turn',
  atMs: 9000,
  provider: 'openai',
  speechEndMs: 5000,
  heardBy: 'bridge',
  commitMs: 500,
  firstDeltaMs: 800,
  firstFrameMs: 860,
  firstMarkMs: 900,
  functions: 0,
  interrupted: false,
};

/** Sum and count of every turn histogram of OpenAI calls, by stage. */
function toldOf(...events: CallEvent[]) {
  const metrics = createMetrics();
  for (const event of events) countEvent(metrics, SESSION, event);
  const { turn, firstAudio } = metrics.latencies('plivo', 'openai');
  const told = Object.entries({ ...turn, firstAudio }).map(([name, { count, sum }]) => [name, [count, sum]]);
  return Object.fromEntries(told);
}

describe('figures of calls', () => {
  it('are put down to carrier and provider, also where nothing was lost', async () => {
    const metrics = createMetrics();
    const labels = { reason: 'caller-hung-up', carrier: 'twilio', provider: 'openai' };
    metrics.callStarted();
    metrics.callEnded(labels, { ...NOTHING, underruns: 2, droppedDownlinkMs: 40 });
    const text = await metrics.text();
    expect(text).toContain('patchcord_underruns_total{carrier="twilio",provider="openai"} 2');
    expect(text).toContain('patchcord_downlink_dropped_ms_total{carrier="twilio",provider="openai"} 40');
    expect(text).toContain('patchcord_uplink_lost_ms_total{carrier="twilio",provider="openai"} 0');
    expect(text).toContain('patchcord_calls_active 0');
    // Every count has its place.
    const told = text.match(/^patchcord_\w+_total\{carrier="twilio",provider="openai"\}/gm) ?? [];
    expect(told).toHaveLength(Object.keys(NOTHING).length);
  });

  it('come from the call itself when it is over', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.end('caller-hung-up');
    const text = await kit.metrics.text();
    expect(text).toMatch(/patchcord_call_seconds_total\{carrier="\w+",provider="manual"\} \d/);
    await kit.close();
  });

  it('of a turn are one figure per stage, each without those before it', () => {
    expect(toldOf(TURN)).toMatchObject({
      commit: [1, 500],
      firstDelta: [1, 300],
      firstFrame: [1, 60],
      firstMark: [1, 40],
      whole: [1, 900],
    });
  });

  it('of a turn leave out what nobody has told', () => {
    const unknown = { commitMs: undefined, firstMarkMs: undefined };
    expect(toldOf({ ...TURN, ...unknown })).toMatchObject({
      commit: [0, 0],
      firstDelta: [1, 800],
      firstMark: [0, 0],
      whole: [1, 860],
    });
    expect(toldOf({ ...TURN, heardBy: 'provider', commitMs: 0 })).toMatchObject({ commit: [0, 0] });
    const none = { firstDeltaMs: undefined, firstFrameMs: undefined, firstMarkMs: undefined };
    expect(toldOf({ ...TURN, ...none, interrupted: true })).toMatchObject({
      commit: [1, 500],
      firstDelta: [0, 0],
      whole: [0, 0],
    });
  });

  it('of the first audio are those of whoever holds the call', () => {
    const metrics = createMetrics();
    countEvent(metrics, SESSION, { type: 'firstAudio', atMs: 700 });
    countEvent(metrics, undefined, { type: 'firstAudio', atMs: 700 });
    expect(metrics.latencies('plivo', 'gemini').firstAudio.sum).toBe(700);
  });
});
