import { describe, expect, it } from 'vitest';
import { CallAccounts, type ReportTerms } from '../src/call-accounts.ts';
import type { CallEvent } from '../src/call-events.ts';
import { CallRecords } from '../src/call-records.ts';
import { Ledger, type LedgerRules } from '../src/cost/ledger.ts';
import { Prices } from '../src/cost/prices.ts';
import { EndHook, type EndHookConfig } from '../src/hooks/end-hook.ts';
import type { Delivery } from '../src/hooks/outbox.ts';
import { HookSecrets } from '../src/hooks/secrets.ts';
import { createLog } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import type { Session } from '../src/session.ts';
import { HOOK_SECRET } from './support/agents-folder.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const HOOK: EndHookConfig = {
  url: 'https://example.com/end',
  secret: HOOK_SECRET,
  transcript: true,
  args: true,
};
const PRICES = new Prices({
  currency: 'EUR',
  providers: {
    manual: { perMinute: 0.1 },
    second: { perMinute: 0.6 },
    'second/large': { perMinute: 6 },
    tokens: { perMillionTokens: { inputAudio: 10, outputAudio: 100 } },
  },
  carriers: {
    twilio: { inboundPerMinute: 1, outboundPerMinute: 1, streamPerMinute: 0, roundUpSeconds: 60 },
  },
});
const NUMBER = '+15550100200';

interface Call {
  readonly session: Session;
  readonly left: readonly { readonly at: number; readonly reason: unknown; readonly goodbye: unknown }[];
  recording: boolean;
  readonly id: string;
  end(): void;
}

/** Accounts on a clock that stands still, of calls that the test plays. */
async function office(rules: Partial<LedgerRules> = {}) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = createLog('info', { write: (line: string) => lines.push(line) });
  const metrics = createMetrics();
  const records = new CallRecords(clock);
  const ledger = await Ledger.open({
    clock,
    log,
    folder: undefined,
    rules: { currency: 'EUR', timeZone: 'UTC', perDay: undefined, perNumber: () => undefined, ...rules },
  });
  const sent: Delivery[] = [];
  const amended: string[] = [];
  const endHook = new EndHook({
    clock,
    log,
    secrets: new HookSecrets(),
    outbox: {
      add: async (delivery) => {
        sent.push(delivery);
        return true;
      },
      amend: async (_id, body) => {
        amended.push(body);
        return true;
      },
    },
  });
  const accounts = new CallAccounts({ clock, log, metrics, records, ledger, endHook });
  let held = 0;
  let calls = 0;
  const begin = (perCall?: number, told = true): Call => {
    calls += 1;
    const callId = `CA${calls}`;
    const id = `call_${calls}`;
    const parts = { callId, direction: 'inbound', from: '+15550100123', to: NUMBER } as const;
    records.add(
      {
        ...parts,
        id,
        carrier: 'twilio',
        carrierCallId: callId,
        agent: 'booking',
        status: 'in-progress',
        outcome: undefined,
        endReason: undefined,
        machine: undefined,
        answeredAt: clock.epoch(),
        endedAt: undefined,
      },
      { callId, control: 'document' },
    );
    const left: { at: number; reason: unknown; goodbye: unknown }[] = [];
    const call = { recording: false };
    const session = {
      callId,
      call: parts,
      carrier: { name: 'twilio' },
      agent: { name: 'booking', lastResort: { type: 'hang-up' } },
      get recording() {
        return call.recording;
      },
      leave: (reason: unknown, goodbye: unknown) => left.push({ at: clock.now(), reason, goodbye }),
    } as unknown as Session;
    accounts.begin(session, {
      number: NUMBER,
      prices: PRICES,
      budget: perCall === undefined ? undefined : { perCall, goodbye: 'That was all.' },
      endHook: told ? HOOK : undefined,
      variables: { guest: 'Ms Hook' },
      hold: () => {
        held += 1;
        return () => {
          held -= 1;
        };
      },
    });
    return Object.assign(call, { session, left, id, end: () => accounts.ended(session) });
  };
  const tell = (call: Call, event: Partial<CallEvent> & { readonly type: CallEvent['type'] }): void =>
    accounts.on(call.session, { atMs: 0, ...event } as CallEvent);
  /** The stream is up and a model is there. */
  const talking = (perCall?: number): Call => {
    const call = begin(perCall);
    tell(call, {
      type: 'providerReady',
      provider: 'manual',
      model: undefined,
      why: 'start',
      resumed: false,
      connectMs: 1,
      historyItems: 0,
      replayedMs: 0,
    });
    tell(call, { type: 'mediaStarted' });
    return call;
  };
  return {
    clock,
    accounts,
    records,
    ledger,
    metrics,
    lines,
    sent,
    amended,
    begin,
    talking,
    tell,
    held: () => held,
  };
}

function bodyOf({ body }: Delivery) {
  return JSON.parse(body) as { readonly data: Readonly<Record<string, unknown>> };
}

describe('CallAccounts', () => {
  it('takes leave 8 s before the minute begins that the call may not cost any more, once', async () => {
    const on = await office();
    const call = on.talking(2.5);
    on.clock.advance(111_000);
    expect(call.left).toEqual([]);
    on.clock.advance(2000);
    expect(call.left).toEqual([
      { at: expect.closeTo(112_000, -1), reason: 'budget-spent', goodbye: 'That was all.' },
    ]);
    on.clock.advance(600_000);
    expect(call.left).toHaveLength(1);
    expect(await on.metrics.text()).toContain('patchcord_budget_ends_total{budget="call"} 1');
    call.end();
  });

  it('leaves no timer behind when a call is over', async () => {
    const on = await office({ perDay: 100 });
    const before = on.clock.pending;
    const call = on.talking(2.5);
    expect(on.clock.pending).toBeGreaterThan(before);
    call.end();
    await on.accounts.settled();
    await on.ledger.close();
    expect(on.clock.pending).toBe(before);
    on.clock.advance(600_000);
    expect(call.left).toEqual([]);
  });

  it('takes leave of all calls when the day is spent by them together', async () => {
    const on = await office({ perDay: 4 });
    const calls = [on.talking(), on.talking()];
    on.clock.advance(59_000);
    expect(calls.map(({ left }) => left.length)).toEqual([0, 0]);
    // The second minute of both comes to 4 euros, and what the model costs.
    on.clock.advance(7000);
    expect(calls.map(({ left }) => left.length)).toEqual([1, 1]);
    expect(on.ledger.mayBegin(NUMBER)).toBe('day-spent');
    expect(await on.metrics.text()).toContain('patchcord_budget_ends_total{budget="day"} 2');
  });

  it('takes leave once of a call that spends its own budget and that of the day', async () => {
    const on = await office({ perDay: 2 });
    const call = on.talking(2.1);
    on.clock.advance(300_000);
    expect(call.left).toHaveLength(1);
    expect(await on.metrics.text()).not.toContain('patchcord_budget_ends_total{budget="day"}');
    call.end();
  });

  it('counts the minute of a call that was answered and whose stream never came', async () => {
    const on = await office();
    const call = on.begin();
    on.clock.advance(1500);
    call.end();
    await on.accounts.settled();
    const [delivery] = on.sent;
    if (delivery === undefined) throw new Error('nothing was reported');
    expect(bodyOf(delivery).data).toMatchObject({
      usage: { carrierSeconds: { twilio: { inbound: { seconds: 1.5, billedSeconds: 60 } } } },
      cost: { byCarrier: { twilio: 1 } },
    });
  });

  it('reports a call once, with its cost, and gives back what it used', async () => {
    const on = await office();
    const call = on.talking();
    expect(on.held()).toBe(1);
    on.clock.advance(61_000);
    on.tell(call, { type: 'ended', atMs: 61_000, reason: 'caller-hung-up', transcript: [] });
    call.end();
    call.end();
    await on.accounts.settled();
    expect(on.held()).toBe(0);
    expect(on.sent).toHaveLength(1);
    const [first] = on.sent;
    expect(first).toMatchObject({ id: call.id, url: HOOK.url, holdMs: 0 });
    expect(first && bodyOf(first).data).toMatchObject({
      id: call.id,
      variables: { guest: 'Ms Hook' },
      endReason: 'caller-hung-up',
      cost: { currency: 'EUR', byCarrier: { twilio: 2 } },
    });
    // Nothing is counted that comes later.
    on.tell(call, { type: 'mediaStarted' });
    expect(on.sent).toHaveLength(1);
  });

  const READY = {
    type: 'providerReady',
    resumed: false,
    connectMs: 1,
    historyItems: 0,
    replayedMs: 0,
  } as const;
  const LOST = { type: 'providerFailed', model: undefined, ms: 1, code: 'PROVIDER_CLOSED' } as const;
  const NO_TOKENS = {
    inputTextTokens: 0,
    inputAudioTokens: 0,
    cachedTextTokens: 0,
    cachedAudioTokens: 0,
    outputTextTokens: 0,
    outputAudioTokens: 0,
  };

  it('bills each provider of a call for its own time and tokens, and none for the time between them', async () => {
    const on = await office();
    const call = on.talking();
    const used = (provider: string, tokens: number): void =>
      on.tell(call, {
        type: 'usage',
        provider,
        model: undefined,
        helper: false,
        usage: { ...NO_TOKENS, inputAudioTokens: tokens, outputAudioTokens: tokens },
        seconds: undefined,
      });
    on.clock.advance(30_000);
    on.tell(call, { ...LOST, provider: 'manual', phase: 'in-call' });
    on.clock.advance(1000);
    on.tell(call, { ...LOST, provider: 'tokens', phase: 'connecting' });
    on.clock.advance(1000);
    on.tell(call, { ...READY, provider: 'second', model: 'large', why: 'failover' });
    on.clock.advance(4000);
    // A renewal that is tried in vain takes nothing from the session that goes on.
    on.tell(call, { ...LOST, provider: 'second', phase: 'connecting' });
    on.clock.advance(6000);
    // And one that is not: there is no time between.
    on.tell(call, { ...READY, provider: 'second', model: 'small', why: 'renewal' });
    // What the old ones still say of what they have done, and one that was overtaken.
    used('manual', 500);
    used('tokens', 1000);
    on.clock.advance(20_000);
    on.tell(call, { ...LOST, provider: 'second', phase: 'in-call' });
    on.tell(call, { ...READY, provider: 'tokens', model: undefined, why: 'failover' });
    used('tokens', 9000);
    on.clock.advance(5000);
    call.end();
    await on.accounts.settled();
    const [delivery] = on.sent;
    const { data } = delivery === undefined ? { data: {} } : bodyOf(delivery);
    expect(data).toMatchObject({
      providers: ['manual', 'second', 'tokens'],
      failovers: 2,
      usage: {
        providerSeconds: { manual: 30, second: 30, tokens: 5 },
        models: { tokens: { inputAudioTokens: 10_000, outputAudioTokens: 10_000 } },
      },
      cost: {
        byProvider: { manual: 0.05, second: 1.2, tokens: 1.1 },
      },
    });
  });

  it('keeps the budget of a call across its providers', async () => {
    const on = await office();
    const call = on.talking(2);
    on.clock.advance(1000);
    on.tell(call, { ...LOST, provider: 'manual', phase: 'in-call' });
    on.tell(call, { ...READY, provider: 'second', model: 'large', why: 'failover' });
    on.clock.advance(20_000);
    // The line has cost 1, the first provider next to nothing, and the second one 0.1 a second; 8 s are for the goodbye.
    expect(call.left.map(({ at }) => Math.round(at / 100))).toEqual([30]);
    call.end();
  });

  it('waits for the recording of a call that was recorded, whether its address comes before or after the end', async () => {
    const on = await office();
    const late = on.talking();
    late.recording = true;
    late.end();
    await on.accounts.settled();
    expect(on.sent[0]?.holdMs).toBe(60_000);
    on.accounts.recording('twilio', late.session.callId, 'https://example.com/1.wav', 7);
    expect(on.amended.map((body) => JSON.parse(body).data.recording)).toEqual([
      { url: 'https://example.com/1.wav', durationSeconds: 7 },
    ]);
    const early = on.talking();
    early.recording = true;
    on.tell(early, { type: 'recording', url: 'https://example.com/2.wav', durationS: 8 });
    early.end();
    await on.accounts.settled();
    expect(on.sent[1]?.holdMs).toBe(0);
    on.accounts.recording('twilio', 'CA-unknown', 'https://example.com/3.wav', 1);
    expect(on.amended).toHaveLength(1);
  });

  it('counts a call of which nobody is told, and nothing of one without terms', async () => {
    const on = await office();
    const silent = on.begin(undefined, false);
    silent.end();
    const unknown = { callId: 'CA9' } as unknown as Session;
    on.accounts.begin(unknown, undefined);
    on.accounts.on(unknown, { type: 'mediaStarted', atMs: 1 });
    on.accounts.ended(unknown);
    await on.accounts.settled();
    expect(on.sent).toEqual([]);
    expect(on.held()).toBe(0);
  });

  it('reports calls that were placed and not answered, and no others', async () => {
    const on = await office();
    const terms: ReportTerms = { endHook: HOOK, variables: { guest: 'Mr Order' } };
    const view = {
      carrier: 'twilio',
      carrierCallId: undefined,
      from: NUMBER,
      to: '+15550100777',
      agent: 'booking',
      status: 'ended',
      outcome: 'no-answer',
      endReason: undefined,
      machine: undefined,
      endedAt: on.clock.epoch(),
    } as const;
    const placed = on.records.add(
      { ...view, id: 'call_a', direction: 'outbound', answeredAt: undefined },
      undefined,
    );
    const talked = on.records.add({ ...view, id: 'call_b', direction: 'outbound', answeredAt: 1 }, undefined);
    const came = on.records.add(
      { ...view, id: 'call_c', direction: 'inbound', answeredAt: undefined },
      undefined,
    );
    for (const record of [placed, talked, came]) on.accounts.unanswered(record, terms);
    on.accounts.unanswered(placed, undefined);
    await on.accounts.settled();
    expect(on.sent.map(({ id }) => id)).toEqual(['call_a']);
    expect(on.sent[0] && bodyOf(on.sent[0]).data).toMatchObject({
      callId: null,
      outcome: 'no-answer',
      variables: { guest: 'Mr Order' },
      cost: null,
    });
  });
});
