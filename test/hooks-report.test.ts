import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CallEvent } from '../src/call-events.ts';
import { systemClock } from '../src/clock.ts';
import type { CallBill } from '../src/cost/call-bill.ts';
import { EndHook, endHookSchema } from '../src/hooks/end-hook.ts';
import { BACK_OFF_MS, Outbox } from '../src/hooks/outbox.ts';
import { postHook } from '../src/hooks/post-hook.ts';
import { type CallFacts, type CallReport, ReportWriter } from '../src/hooks/report.ts';
import { HookSecrets } from '../src/hooks/secrets.ts';
import { readStartAnswer } from '../src/hooks/start-answer.ts';
import { StartHook, startHookSchema } from '../src/hooks/start-hook.ts';
import { createLog } from '../src/log.ts';
import type { TranscriptEntry } from '../src/transcript.ts';
import { answering, HookClock, hanging, hookReceiver, SECRET, verified } from './support/hook-receiver.ts';

const READY = {
  type: 'providerReady',
  model: undefined,
  why: 'start',
  resumed: false,
  connectMs: 300,
  historyItems: 0,
  replayedMs: 0,
} as const;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs', 'webhooks.md'), 'utf8');

/** The blocks of the page in this language. */
function blocks(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, text = '']) => text);
}

const [STARTED, ANSWER, ENDED] = blocks('json').map((text): unknown => JSON.parse(text));

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
const FACTS: CallFacts = {
  id: 'call_0123456789abcdef01234567',
  callId: 'CA0123456789abcdef0123456789abcdef',
  carrier: 'twilio',
  direction: 'inbound',
  from: '+15550123',
  to: '+15550100',
  agent: 'booking',
  variables: { floor: 'ground' },
  startedAt: START,
  recordingFolder: '20260102T030405Z-4k2m9x0qz7ha',
};

function turn(
  role: 'user' | 'assistant',
  atMs: number,
  text: string,
  heard?: { text: string; interrupted: boolean },
): TranscriptEntry {
  const said = { heardText: heard?.text, interrupted: heard?.interrupted ?? false, final: true };
  return { role, itemId: `item_${atMs}`, atMs, text, ...said };
}

const TOOL = {
  type: 'tool',
  atMs: 7250.4,
  name: 'book_table',
  toolCallId: 'fc_1',
  idempotencyKey: `${FACTS.callId}:call_Ab12Cd34Ef56`,
  args: { seats: 2, pin: '[redacted]' },
  ms: 309.9,
  outcome: 'done',
  isError: false,
} as const satisfies CallEvent;

const EVENTS: readonly CallEvent[] = [
  { type: 'started', atMs: 0, callId: FACTS.id, carrier: 'twilio', agent: 'booking' },
  { ...READY, atMs: 400, provider: 'openai', model: 'gpt-realtime-2.1' },
  { type: 'mediaStarted', atMs: 900 },
  { type: 'firstAudio', atMs: 1400 },
  { type: 'transcript', atMs: 1500, role: 'assistant', itemId: 'item_1400', text: 'Hel', final: false },
  {
    type: 'bargeIn',
    atMs: 2900,
    by: 'provider',
    heard: [{ itemId: 'item_1400', playedMs: 900, receivedMs: 2400 }],
  },
  { type: 'digit', atMs: 5000, digit: '7' },
  TOOL,
  {
    type: 'providerFailed',
    atMs: 32_500.4,
    provider: 'openai',
    model: 'gpt-realtime-2.1',
    phase: 'in-call',
    code: 'PROVIDER_CLOSED',
    ms: 32_100.4,
  },
  { ...READY, atMs: 32_900, provider: 'openai', model: 'gpt-realtime-2.1', why: 'failover' },
  {
    type: 'failover',
    atMs: 33_200,
    from: 'openai',
    to: 'openai',
    why: 'failover',
    gapMs: 640.4,
    connectMs: 400,
    answerMs: 200,
    addedMs: 40,
  },
  { type: 'transfer', atMs: 41_000, status: 'failed', outcome: 'no-answer' },
  { type: 'recording', atMs: 60_000, url: 'https://api.twilio.com/recordings/RE0123', durationS: 63 },
  { type: 'recording', atMs: 60_500, url: undefined, durationS: undefined },
  {
    type: 'ended',
    atMs: 64_400,
    reason: 'caller-hung-up',
    transcript: [
      turn('assistant', 1400, 'Hello, Trattoria! How can I help you today?', {
        text: 'Hello, Trattoria!',
        interrupted: true,
      }),
      turn('user', 3100, 'A table for two tonight, please.'),
    ],
  },
];

const time = (seconds: number) => ({ seconds, billedSeconds: Math.ceil(seconds / 60) * 60 });
const BILL: CallBill = {
  usage: {
    'openai/gpt-realtime-2.1': {
      inputTextTokens: 1200,
      inputAudioTokens: 640,
      cachedTextTokens: 900,
      cachedAudioTokens: 0,
      outputTextTokens: 210,
      outputAudioTokens: 800,
      seconds: 0,
    },
  },
  providerSeconds: { openai: 63.5 },
  carrierSeconds: { twilio: { inbound: time(63.5), outbound: time(0), stream: time(63.5) } },
  cost: {
    currency: 'USD',
    total: 0.09926,
    byProvider: { openai: 0.07426 },
    byCarrier: { twilio: 0.025 },
  },
  unpriced: [],
};

function written(events: readonly CallEvent[] = EVENTS, facts: CallFacts = FACTS): ReportWriter {
  const writer = new ReportWriter(facts);
  for (const event of events) writer.on(event);
  return writer;
}

function report(): CallReport {
  return written().report(BILL, START + 65_000);
}

const over = (transcript: readonly TranscriptEntry[]): CallEvent => ({
  type: 'ended',
  atMs: 10_000,
  reason: 'agent-hung-up',
  transcript,
});

describe('the report of a call', () => {
  it('is what the page shows, to the last field', () => {
    expect(JSON.parse(JSON.stringify(report()))).toEqual(ENDED);
    expect(Object.keys(report().data)).toEqual(Object.keys((ENDED as CallReport).data));
  });

  it('holds no key that the caller pressed', () => {
    const digits: CallEvent[] = [...'0123456789'].map((digit) => ({ type: 'digit', atMs: 1, digit }));
    const [plain, keyed] = [[], digits].map((events) =>
      written([...events, over([])]).report(undefined, START),
    );
    expect(keyed).toEqual(plain);
  });

  it('of a call that nobody answered has no times but its own', () => {
    const writer = written([], { ...FACTS, callId: undefined, direction: 'outbound' });
    const end = { outcome: 'no-answer', endedAt: START + 40_000 } as const;
    expect(writer.report(undefined, START + 40_000, end).data).toMatchObject({
      callId: null,
      answeredAt: null,
      endedAt: '2026-01-02T03:04:45.000Z',
      durationSeconds: 0,
      outcome: 'no-answer',
      endReason: null,
      transcript: [],
      recording: null,
      usage: null,
      cost: null,
    });
  });

  it('takes the word of the carrier before its own', () => {
    const end = { answeredAt: START + 500, endedAt: START + 10_500, outcome: 'completed' } as const;
    const failed: CallEvent = { type: 'ended', atMs: 9000, reason: 'media-lost', transcript: [] };
    const writer = written([{ type: 'mediaStarted', atMs: 900 }, failed]);
    expect(writer.report(undefined, START).data).toMatchObject({ outcome: 'failed', durationSeconds: 8.1 });
    expect(writer.report(undefined, START, end).data).toMatchObject({
      outcome: 'completed',
      endReason: 'media-lost',
      durationSeconds: 10,
    });
  });

  it('names providers in the order in which they took over', () => {
    const names = ['openai', 'openai', 'gemini', 'openai'];
    const writer = written(names.map((provider, at) => ({ ...READY, atMs: at, provider })));
    expect(writer.report(undefined, START).data.providers).toEqual(['openai', 'gemini', 'openai']);
  });

  const FAILED = { type: 'providerFailed', model: undefined, phase: 'connecting', ms: 20 } as const;
  const HEARD = { type: 'failover', connectMs: 1, answerMs: 1, addedMs: 1 } as const;

  it('says who was tried in vain at the start, which is no change of provider', () => {
    const { data } = written([
      { ...FAILED, atMs: 20.4, provider: 'openai', code: 'PROVIDER_AUTH' },
      { ...READY, atMs: 300, provider: 'gemini' },
    ]).report(undefined, START);
    expect(data).toMatchObject({
      providers: ['gemini'],
      failovers: 0,
      providerChanges: [],
      providerFailures: [
        { atMs: 20, provider: 'openai', phase: 'connecting', code: 'PROVIDER_AUTH', ms: 20 },
      ],
    });
  });

  it('says who was left in mid-call, why, for whom, and what the caller heard of it', () => {
    const { data } = written([
      { ...READY, atMs: 300, provider: 'openai' },
      { ...FAILED, atMs: 5000, provider: 'openai', phase: 'in-call', code: 'PROVIDER_UNAVAILABLE' },
      { ...FAILED, atMs: 5100, provider: 'gemini', code: 'PROVIDER_QUOTA' },
      { ...READY, atMs: 5400, provider: 'xai', why: 'failover' },
      { ...HEARD, atMs: 5900, from: 'openai', to: 'xai', why: 'failover', gapMs: 812.6 },
      { ...READY, atMs: 90_000, provider: 'xai', why: 'renewal', resumed: true },
      { ...HEARD, atMs: 90_100, from: 'xai', to: 'xai', why: 'renewal', gapMs: 0 },
      { ...FAILED, atMs: 95_000, provider: 'xai', phase: 'in-call', code: 'PROVIDER_CLOSED' },
      { ...READY, atMs: 95_500, provider: 'openai', why: 'failover' },
      over([]),
    ]).report(undefined, START);
    expect(data.providers).toEqual(['openai', 'xai', 'openai']);
    expect(data.failovers).toBe(2);
    expect(data.providerChanges).toEqual([
      {
        atMs: 5400,
        from: 'openai',
        to: 'xai',
        why: 'failover',
        code: 'PROVIDER_UNAVAILABLE',
        resumed: false,
        gapMs: 813,
      },
      { atMs: 90_000, from: 'xai', to: 'xai', why: 'renewal', code: null, resumed: true, gapMs: 0 },
      // The caller hung up before the agent was heard again.
      {
        atMs: 95_500,
        from: 'xai',
        to: 'openai',
        why: 'failover',
        code: 'PROVIDER_CLOSED',
        resumed: false,
        gapMs: null,
      },
    ]);
    expect(data.providerFailures.map(({ provider, phase }) => [provider, phase])).toEqual([
      ['openai', 'in-call'],
      ['gemini', 'connecting'],
      ['xai', 'in-call'],
    ]);
  });

  it('does not give the gap of one change to another', () => {
    const lost = { ...FAILED, phase: 'in-call', code: 'PROVIDER_CLOSED' } as const;
    const { providerChanges } = written([
      { ...READY, atMs: 1, provider: 'a' },
      { ...lost, atMs: 2, provider: 'a' },
      { ...READY, atMs: 3, provider: 'b', why: 'failover' },
      { ...lost, atMs: 4, provider: 'b' },
      { ...READY, atMs: 5, provider: 'c', why: 'failover' },
      { ...HEARD, atMs: 6, from: 'b', to: 'c', why: 'failover', gapMs: 7 },
      { ...HEARD, atMs: 7, from: 'b', to: 'c', why: 'failover', gapMs: 9 },
    ]).report(undefined, START).data;
    expect(providerChanges.map(({ to, gapMs }) => [to, gapMs])).toEqual([
      ['b', null],
      ['c', 7],
    ]);
  });

  it('knows the gap of a change that is told of before it, because the agent owed nothing', () => {
    const lost = { ...FAILED, phase: 'in-call', code: 'PROVIDER_CLOSED', provider: 'a' } as const;
    const ready = { ...READY, provider: 'a', why: 'failover' } as const;
    const heard = { ...HEARD, from: 'a', to: 'a', why: 'failover' } as const;
    const { providerChanges } = written([
      { ...ready, atMs: 1, why: 'start' },
      { ...lost, atMs: 2 },
      { ...ready, atMs: 3 },
      // Lost again before the agent was heard: this gap is that of the next one.
      { ...lost, atMs: 4 },
      { ...heard, atMs: 5, gapMs: 0 },
      { ...ready, atMs: 5 },
      { ...heard, atMs: 6, why: 'renewal', gapMs: 0.2 },
      { ...ready, atMs: 6, why: 'renewal' },
      { ...lost, atMs: 7 },
      { ...ready, atMs: 8 },
      { ...heard, atMs: 9, gapMs: 300 },
    ]).report(undefined, START).data;
    expect(providerChanges.map(({ atMs, gapMs }) => [atMs, gapMs])).toEqual([
      [3, null],
      [5, 0],
      [6, 0],
      [8, 300],
    ]);
  });

  it('does not give the reason of one change to another, nor a gap to a change that is told when its own is not', () => {
    const lost = { ...FAILED, phase: 'in-call', code: 'PROVIDER_CLOSED' } as const;
    const failover = { ...READY, why: 'failover' } as const;
    const writer = written([
      { ...READY, atMs: 1, provider: 'a' },
      { ...lost, atMs: 2, provider: 'a' },
      { ...failover, atMs: 3, provider: 'b' },
      // Nobody has said why.
      ...Array.from({ length: 100 }, (_, n) => ({ ...failover, atMs: 4 + n, provider: `p${n}` })),
      { ...HEARD, atMs: 200, from: 'b', to: 'p99', why: 'failover', gapMs: 7 },
    ]);
    const { providerChanges, failovers } = writer.report(undefined, START).data;
    expect([failovers, providerChanges.length]).toEqual([101, 100]);
    expect(providerChanges.filter(({ code }) => code !== null)).toMatchObject([{ atMs: 3, to: 'b' }]);
    expect(providerChanges.filter(({ gapMs }) => gapMs !== null)).toEqual([]);
  });

  it('stays bounded, whatever a call does', () => {
    const writer = written();
    for (let n = 0; n < 20_000; n += 1) {
      writer.on({ ...TOOL, args: { n, text: 'x'.repeat(n % 2 === 0 ? 10 : 9000) } });
      writer.on({ type: 'transfer', atMs: n, status: 'started', outcome: undefined });
      writer.on({ ...READY, atMs: n, provider: `p${n}`, why: 'failover' });
      writer.on({ ...HEARD, atMs: n, from: 'p', to: `p${n}`, why: 'failover', gapMs: n });
      writer.on({ ...FAILED, atMs: n, provider: `p${n}`, phase: 'in-call', code: 'PROVIDER_CLOSED' });
    }
    writer.on(over(Array.from({ length: 20_000 }, (_, n) => turn('user', n, `turn ${n}`))));
    const { data } = writer.report(undefined, START);
    expect(data.toolCalls).toHaveLength(1000);
    expect(data.toolCallsOmitted).toBe(19_001);
    expect(data.toolCalls.slice(1, 3).map(({ args }) => args)).toEqual([
      { n: 0, text: 'x'.repeat(10) },
      null,
    ]);
    expect([data.providers, data.providerChanges, data.providerFailures].map(({ length }) => length)).toEqual(
      [100, 100, 100],
    );
    expect(data.failovers).toBe(20_001);
    expect(data.providerChanges.at(-1)?.gapMs).toBe(98);
    expect(data.transcript).toHaveLength(5000);
    expect(data.transcript?.at(-1)?.text).toBe('turn 19999');
    expect(data.turnsOmitted).toBe(15_000);
    expect(JSON.stringify(data).length).toBeLessThan(1_500_000);
  });

  it('has no more than a million characters of what was said', () => {
    const long = Array.from({ length: 300 }, (_, n) => turn('assistant', n, 'y'.repeat(5000)));
    const { data } = written([over(long)]).report(undefined, START);
    expect([data.transcript?.length, data.turnsOmitted]).toEqual([200, 100]);
  });

  it('leaves out arguments that are no JSON', () => {
    const round: Record<string, unknown> = {};
    round['self'] = round;
    const { toolCalls } = written([
      { ...TOOL, args: round },
      { ...TOOL, args: undefined },
      { ...TOOL, args: 1n },
    ]).report(undefined, START).data;
    expect(toolCalls.map(({ args }) => args)).toEqual([null, null, null]);
  });
});

async function endRig(settings: Record<string, unknown> = {}, answer = answering(204)) {
  const clock = new HookClock();
  const receiver = await hookReceiver(answer);
  const secrets = new HookSecrets();
  const log = createLog('silent');
  const folder = mkdtempSync(join(tmpdir(), 'reports-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  let delivered = (): void => undefined;
  const secretFor = (url: string, id: string): string | undefined => secrets.secretFor(url, id);
  let attempts = 0;
  const count = (): void => {
    attempts += 1;
    delivered();
  };
  const outbox = new Outbox({ clock, log, folder, random: () => 0.5, secretFor, count });
  const hook = new EndHook({ clock, log, outbox, secrets });
  onTestFinished(async () => {
    hook.close();
    const closing = outbox.close(0);
    clock.advance(0);
    await closing;
    expect(clock.pending).toBe(0);
  });
  const config = endHookSchema.parse({ url: receiver.url, secret: SECRET, ...settings });
  const arrived = new Promise<void>((resolve) => {
    delivered = resolve;
  });
  secrets.replace([config]);
  const attempted = (wanted: number) => expect.poll(() => attempts).toBe(wanted);
  return { clock, receiver, secrets, outbox, hook, config, arrived, attempted };
}

const RECORDING = { url: 'https://example.com/late', durationSeconds: 9 };

function unrecorded(): CallReport {
  const events = EVENTS.filter(({ type }) => type !== 'recording');
  return written(events).report(BILL, START + 65_000);
}

describe('the end webhook', () => {
  it('delivers the report of a call under its id', async () => {
    const { hook, config, receiver, arrived } = await endRig();
    await hook.send(config, report(), { awaitRecording: false });
    await arrived;
    const request = await receiver.nth(1);
    expect(verified(request)).toEqual(ENDED);
    expect(request.headers['webhook-id']).toBe(FACTS.id);
  });

  it('leaves out what it is told to', async () => {
    const { hook, config, receiver, arrived } = await endRig({ transcript: false, args: false });
    await hook.send(config, report(), { awaitRecording: false });
    await arrived;
    const { data } = verified(await receiver.nth(1)) as CallReport;
    expect(data.transcript).toBeNull();
    expect(data.toolCalls).toEqual([expect.objectContaining({ name: 'book_table', args: null })]);
    expect((await receiver.nth(1)).body).not.toMatch(/Trattoria|seats/);
  });

  it('waits for the recording of a call that was recorded', async () => {
    const { hook, config, receiver, clock, arrived } = await endRig({ transcript: false });
    await hook.send(config, unrecorded(), { awaitRecording: true });
    clock.advance(30_000);
    expect(receiver.received).toEqual([]);
    hook.recording('call_other', { url: 'https://example.com/other', durationSeconds: null });
    hook.recording(FACTS.id, RECORDING);
    await arrived;
    const { data } = verified(await receiver.nth(1)) as CallReport;
    expect(data).toMatchObject({ recording: RECORDING, transcript: null });
    hook.recording(FACTS.id, RECORDING);
    clock.advance(60_000);
    expect(receiver.received).toHaveLength(1);
  });

  it('is told of a recording at any time: while the report is still being stored', async () => {
    const { hook, config, receiver, arrived } = await endRig();
    const sending = hook.send(config, unrecorded(), { awaitRecording: true });
    hook.recording(FACTS.id, RECORDING);
    await sending;
    await arrived;
    expect((verified(await receiver.nth(1)) as CallReport).data.recording).toEqual(RECORDING);
  });

  it('goes without a recording that does not come within a minute', async () => {
    const { hook, config, receiver, clock, arrived } = await endRig();
    await hook.send(config, unrecorded(), { awaitRecording: true });
    clock.advance(59_999);
    expect(receiver.received).toEqual([]);
    clock.advance(1);
    await arrived;
    hook.recording(FACTS.id, RECORDING);
    expect((verified(await receiver.nth(1)) as CallReport).data.recording).toBeNull();
  });

  it('knows a recording that was told between the end of the call and its report', async () => {
    const { hook, config, receiver, arrived, clock } = await endRig();
    hook.recording(FACTS.id, RECORDING);
    await hook.send(config, unrecorded(), { awaitRecording: true });
    await arrived;
    expect(clock.now()).toBe(0);
    expect((verified(await receiver.nth(1)) as CallReport).data.recording).toEqual(RECORDING);
  });

  it('delivers a report whose id cannot be the name of a file under another, always the same', async () => {
    const { hook, config, receiver, arrived } = await endRig();
    const { data, ...rest } = unrecorded();
    const odd = { ...rest, data: { ...data, id: 'v3:a/../b.c' } };
    await hook.send(config, odd, { awaitRecording: true });
    hook.recording('v3:a/../b.c', RECORDING);
    await arrived;
    const request = await receiver.nth(1);
    expect((verified(request) as CallReport).data).toMatchObject({ id: 'v3:a/../b.c', recording: RECORDING });
    expect(request.headers['webhook-id']).toBe('call_14525408bc0036d7d563bbcec3c68298');
  });

  it('does not wait for a recording that has come before the end', async () => {
    const { hook, config, arrived, clock } = await endRig();
    await hook.send(config, report(), { awaitRecording: true });
    await arrived;
    expect(clock.now()).toBe(0);
  });

  it('does not wait when the bridge stops', async () => {
    const { hook, config, receiver, outbox } = await endRig();
    await hook.send(config, unrecorded(), { awaitRecording: true });
    hook.close();
    await outbox.close(5000);
    expect(receiver.received).toHaveLength(1);
  });

  it('is signed with the newest secret, also for a call that began before it was set', async () => {
    const { hook, config, receiver, secrets, arrived } = await endRig();
    const fresh = `whsec_${Buffer.alloc(24, 9).toString('base64')}`;
    secrets.replace([{ url: receiver.url, secret: fresh }]);
    await hook.send(config, report(), { awaitRecording: false });
    await arrived;
    verified(await receiver.nth(1), fresh);
  });

  it('is kept from an address that was taken out of the settings, until it is put back', async () => {
    const { hook, config, receiver, secrets, clock, attempted } = await endRig({}, answering(500));
    await hook.send(config, report(), { awaitRecording: false });
    await attempted(1);
    secrets.replace([]);
    clock.advance(5000);
    await attempted(2);
    expect(receiver.received).toHaveLength(1);
    secrets.replace([config]);
    clock.advance(30_000);
    await attempted(3);
    verified(await receiver.nth(2));
  });

  it('still goes out for a call that was up then, and takes no other with it', async () => {
    const { hook, config, receiver, secrets, clock, attempted } = await endRig({}, answering(500));
    await hook.send(config, report(), { awaitRecording: false });
    await attempted(1);
    secrets.replace([]);
    const later = report();
    await hook.send(
      config,
      { ...later, data: { ...later.data, id: 'call_later' } },
      { awaitRecording: false },
    );
    await attempted(2);
    clock.advance(5000);
    await attempted(4);
    const sent = receiver.received.map((request) => request.headers['webhook-id']);
    expect(sent).toEqual([FACTS.id, 'call_later', 'call_later']);
    verified(await receiver.nth(3));
  });
});

describe('docs/webhooks.md', () => {
  it('shows the start webhook as it is sent', async () => {
    const { data } = STARTED as { data: Record<string, string> };
    const receiver = await hookReceiver(answering(204));
    const hook = new StartHook(startHookSchema.parse({ url: receiver.url, secret: SECRET }), {
      clock: systemClock,
    });
    const { startedAt: _, callerName: __, ...rest } = data;
    const request = { ...rest, callerName: undefined, at: START } as unknown as Parameters<
      StartHook['ask']
    >[0];
    await hook.ask(request, new AbortController().signal);
    const sent = verified(await receiver.nth(1)) as object;
    expect(sent).toEqual({ ...(STARTED as object), timestamp: expect.stringMatching(/Z$/) });
    expect(Object.keys(sent)).toEqual(Object.keys(STARTED as object));
  });

  it('shows an answer that can be read', () => {
    const { reject, ...rest } = ANSWER as Record<string, unknown>;
    expect(readStartAnswer(JSON.stringify(ANSWER))).toEqual({ type: 'reject', reason: reject });
    expect(readStartAnswer(JSON.stringify(rest))).toEqual({
      type: 'answer',
      agent: 'sales',
      variables: { customer: 'C-1042', orders: '3', vip: 'true' },
      recording: 'bridge',
    });
  });

  it('has the waits of the code', () => {
    const rows = [...PAGE.matchAll(/^\| (\d)[^|]*\| (\d+) (s|min|h) \|$/gm)];
    const unit: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000 };
    expect(rows.map(([, , n, name]) => Number(n) * (unit[name ?? ''] ?? 0))).toEqual([...BACK_OFF_MS]);
  });

  it('shows how to check a signature: the example takes a good one and refuses a bad one', async () => {
    const home = mkdtempSync(join(tmpdir(), 'receiver-'));
    symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
    writeFileSync(join(home, 'receiver.mjs'), blocks('js')[0] ?? '');
    const child = spawn(process.execPath, [join(home, 'receiver.mjs')], {
      env: { PORT: '0', HOOK_SECRET: SECRET },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    onTestFinished(async () => {
      child.kill();
      await exit;
      rmSync(home, { recursive: true, force: true });
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const port = (await lines.next()).value;
    const post = (secret: string) =>
      postHook(
        {
          what: 'webhook',
          url: `http://127.0.0.1:${port}/`,
          secret,
          id: FACTS.id,
          body: JSON.stringify(ENDED),
          timeoutMs: 10_000,
          wantsAnswer: false,
        },
        systemClock,
        new AbortController().signal,
      );
    expect((await post(SECRET)).status).toBe(204);
    expect((await lines.next()).value).toBe(`call.ended ${FACTS.callId}`);
    expect((await post(`whsec_${Buffer.alloc(32, 1).toString('base64')}`)).status).toBe(401);
  });
});

describe('the client of webhooks', () => {
  const never = new AbortController().signal;
  const request = {
    what: 'webhook',
    secret: SECRET,
    id: 'a',
    body: '{}',
    timeoutMs: 1000,
    wantsAnswer: true,
  };

  it('refuses addresses and secrets that cannot be used, without showing them', async () => {
    const url = 'http://user:pa55@example.com/?key=s3cret';
    const error = await postHook({ ...request, url }, systemClock, never).catch((thrown: Error) => thrown);
    expect(String(error)).toMatch(/BAD_CONFIG: the address of the webhook cannot be used; wanted an https/);
    expect(String(error)).not.toMatch(/pa55|s3cret|user:/);
    await expect(
      postHook({ ...request, url: 'https://example.com/', secret: 'pa55' }, systemClock, never),
    ).rejects.toThrow(/^BAD_CONFIG: the secret of a webhook: found 4 characters that are none/);
  });

  it('gives up in time, or when it is told to, and leaves no timer behind', async () => {
    const clock = new HookClock();
    const receiver = await hookReceiver(hanging);
    const late = postHook({ ...request, url: receiver.url }, clock, never);
    await receiver.nth(1);
    clock.advance(1000);
    await expect(late).rejects.toThrow(`TIMEOUT: the webhook to ${receiver.host} took longer than 1000 ms`);
    const stop = new AbortController();
    const stopped = postHook({ ...request, url: receiver.url }, clock, stop.signal);
    await receiver.nth(2);
    stop.abort();
    await expect(stopped).rejects.toThrow(`CANCELLED: the webhook to ${receiver.host} was given up`);
    expect(clock.pending).toBe(0);
  });

  it('reads at most 64 KiB of an answer', async () => {
    const receiver = await hookReceiver(
      answering(200, 'x'.repeat(65_536)),
      answering(500, 'x'.repeat(65_537)),
    );
    const ask = () => postHook({ ...request, url: receiver.url }, systemClock, never);
    expect((await ask()).text).toHaveLength(65_536);
    expect(await ask()).toMatchObject({ status: 500, text: undefined });
  });
});
