import { describe, expect, it } from 'vitest';
import { voiceAgent } from '../src/agents.ts';
import { MULAW_8K } from '../src/audio/format.ts';
import type { Answer, IncomingCall, WebhookRequest } from '../src/carrier.ts';
import { createLog } from '../src/log.ts';
import { EarlyWebhooks, Exchange } from '../src/recording/early-webhooks.ts';
import type { CallFile, Line } from '../src/recording/format.ts';
import { MemorySink } from '../src/recording/memory-sink.ts';
import { Recorder, type RecorderOptions } from '../src/recording/recorder.ts';
import type { CallTerms } from '../src/session-manager.ts';
import type { EarTape, Tape } from '../src/tape.ts';
import { fakeCarrier } from './support/fake-carrier.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { FakeNetwork, KNOWN_SECRET, nextTurn } from './support/taped-call.ts';
import { CALLER } from './support/twilio.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const ANSWER: Answer = { status: 200, contentType: 'text/xml', body: '<Response/>' };
const REST = 'https://api.carrier.test/2010-04-01/Accounts/AC1/Calls';

const AGENT = voiceAgent(
  {
    instructions: 'Be kind.',
    greeting: undefined,
    voice: undefined,
    language: undefined,
    audio: 'wideband',
    maxCallMs: 60_000,
    silenceMs: 0,
  },
  [],
);
const WIRED = Object.assign(new ManualProvider(undefined, {}, 'wired'), {
  usesNetwork: true as const,
  model: 'voice',
});
const TERMS: CallTerms = {
  agent: AGENT,
  machine: { mode: 'report' },
  providers: [
    {
      provider: WIRED,
      wanted: {
        name: 'wired',
        model: 'other',
        voice: undefined,
        overrides: { api_key: 'secret-one', temperature: 1 },
      },
    },
    { provider: new ManualProvider(), wanted: undefined },
  ],
};

/** A recorder into memory, on a clock that the test moves. */
class Office {
  readonly clock = new VirtualClock();
  readonly sinks: MemorySink[] = [];
  readonly log: string[] = [];
  readonly carrier = fakeCarrier();
  readonly recorder: Recorder;

  constructor(options: Partial<RecorderOptions> = {}) {
    this.recorder = new Recorder({
      clock: this.clock,
      network: new FakeNetwork(),
      log: createLog('trace', { write: (line: string) => this.log.push(line) }),
      decide: () => ({}),
      open: (file) => {
        const sink = new MemorySink(file);
        this.sinks.push(sink);
        return sink;
      },
      origin: { how: 'recorded', by: 'patchcord 1.2.3' },
      settings: { AUDIO_PATH: 'wideband' },
      leadMs: 1000,
      secrets: [KNOWN_SECRET],
      ...options,
    });
  }

  /** A webhook of this call comes in. */
  webhook(callId = CALLER.callId, over: Partial<WebhookRequest> = {}) {
    const request: WebhookRequest = {
      method: 'POST',
      target: '/voice/twilio',
      headers: {
        'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
        'x-twilio-signature': 'c2lnbmF0dXJl',
        cookie: KNOWN_SECRET,
      },
      body: Buffer.from(`CallSid=${callId}&From=%2B14155550100`),
      ...over,
    };
    const exchange = this.recorder.webhook('twilio', 'voice', request);
    exchange?.concerns(callId);
    return exchange;
  }

  begin(call: Partial<IncomingCall> = {}, terms: Partial<CallTerms> = {}): Tape | undefined {
    return this.recorder.begin(this.carrier, { ...CALLER, ...call }, { ...TERMS, ...terms });
  }

  lines(index = 0): readonly Line[] {
    return this.sinks[index]?.stored().lines ?? [];
  }

  /** Everything that was written, as text. */
  written(): string {
    return JSON.stringify(this.sinks.map((sink) => sink.stored()));
  }
}

/** An ear that tells which of its functions were called. */
function listening(tell: (what: keyof EarTape) => void): EarTape {
  return {
    stream: () => tell('stream'),
    said: () => tell('said'),
    sent: () => tell('sent'),
    heard: () => tell('heard'),
    assumed: () => tell('assumed'),
    cleared: () => tell('cleared'),
  };
}

const short = ({ t, on, dir, ...rest }: Line): unknown => {
  const msg = 'msg' in rest ? (rest.msg as { readonly id?: number }) : undefined;
  return [t, on, dir, msg?.id];
};

describe('a recording', () => {
  it('begins with the webhook that brought the call, and its answer', () => {
    const office = new Office();
    office.clock.advance(5000);
    const exchange = office.webhook();
    const tape = office.begin();
    exchange?.answered(ANSWER);
    tape?.observe({
      type: 'started',
      atMs: 0,
      callId: CALLER.callId,
      carrier: 'twilio',
      agent: 'voice-agent',
    });
    expect(office.lines()).toEqual([
      {
        t: 0,
        on: 'webhook',
        dir: 'in',
        msg: {
          id: 1,
          route: 'voice',
          method: 'POST',
          target: '/voice/twilio',
          signed: 'valid',
          contentType: 'application/x-www-form-urlencoded; charset=UTF-8',
          form: { CallSid: CALLER.callId, From: '+14155550100' },
        },
      },
      { t: 0, on: 'webhook', dir: 'out', msg: { id: 1, ...ANSWER } },
      expect.objectContaining({ t: 0, on: 'call', dir: 'out' }),
    ]);
    expect(office.sinks[0]?.stored().call.epochMs).toBe(office.clock.epoch());
  });

  it('holds the webhooks that came before the call was let in, in their order and at their times', async () => {
    const office = new Office();
    const rings = office.webhook();
    office.clock.advance(10);
    const other = office.webhook('CA-another');
    const initiated = office.webhook();
    await nextTurn();
    office.clock.advance(5);
    rings?.answered(ANSWER);
    office.clock.advance(2000);
    const voice = office.webhook();
    const epoch = office.clock.epoch();
    const tape = office.begin();
    voice?.answered(ANSWER);
    other?.answered(ANSWER);
    office.clock.advance(0.5);
    initiated?.answered(ANSWER);
    expect(office.lines().map(short)).toEqual([
      [0, 'webhook', 'in', 1],
      [10, 'webhook', 'in', 2],
      [15, 'webhook', 'out', 1],
      [2015, 'webhook', 'in', 3],
      [2015, 'webhook', 'out', 3],
      [2015, 'webhook', 'out', 2],
    ]);
    expect(office.sinks[0]?.stored().call.epochMs).toBe(epoch - 2015);
    expect(tape?.clock.epoch()).toBe(epoch);
  });

  it('holds what was answered at once, however slow the machine was, as a replay answers it: at the same time', async () => {
    const office = new Office();
    const rings = office.webhook();
    office.clock.advance(7);
    rings?.answered(ANSWER);
    await nextTurn();
    office.clock.advance(1000);
    office.webhook();
    office.begin();
    expect(office.lines().map(short)).toEqual([
      [0, 'webhook', 'in', 1],
      [0, 'webhook', 'out', 1],
      [1007, 'webhook', 'in', 2],
    ]);
  });

  it('of a call that had to wait to be let in has its webhook at 0, and what it does at the time when it does it', async () => {
    const office = new Office();
    const exchange = office.webhook();
    await nextTurn();
    office.clock.advance(320);
    const tape = office.begin();
    tape?.clock.after(1000, () => undefined);
    exchange?.answered(ANSWER);
    expect(office.lines().map(short)).toEqual([
      [0, 'webhook', 'in', 1],
      [320, 'webhook', 'out', 1],
    ]);
    await nextTurn();
    office.clock.advance(999);
    expect(office.lines()).toHaveLength(2);
    office.clock.advance(1);
    expect(office.lines()[2]).toEqual({ t: 1320, on: 'clock', dir: 'in', msg: { due: 1320 } });
  });

  it('of a call without a webhook begins when it is let in', async () => {
    const office = new Office();
    office.clock.advance(100);
    const tape = office.begin();
    await nextTurn();
    office.clock.advance(7);
    expect(tape?.clock.now()).toBe(7);
  });

  it('says in call.json what a replay has to know, and no secret', () => {
    const office = new Office();
    office.begin();
    office.begin({ callId: 'CA-two', direction: 'outbound', control: 'command' });
    const [first, second] = office.sinks.map((sink) => sink.stored().call);
    expect(first).toMatchObject({
      format: 1,
      proves: '',
      origin: { how: 'recorded', by: 'patchcord 1.2.3' },
      carrier: 'twilio',
      control: 'document',
      direction: 'inbound',
      settings: { AUDIO_PATH: 'wideband' },
      leadMs: 1000,
    } satisfies Partial<CallFile>);
    expect(first?.agent.instructions).toBe('Be kind.');
    expect(first?.agent.machine).toEqual({ mode: 'report' });
    expect(first?.providers).toEqual([
      expect.objectContaining({ name: 'wired', level: 'wire', model: 'other' }),
      expect.objectContaining({ name: 'manual', level: 'session', wanted: undefined }),
    ]);
    expect(first?.providers[0]?.capabilities).toBeUndefined();
    expect(first?.providers[1]?.capabilities?.bargeIn).toBe('speech-started');
    expect(first?.providers[0]?.wanted?.overrides).toEqual({ api_key: '[secret]', temperature: 1 });
    expect(second).toMatchObject({ direction: 'outbound', control: 'command' });
    expect(first?.seed).toMatch(/^[\da-f]{64}$/);
    expect(second?.seed).not.toBe(first?.seed);
  });

  it('is not made of calls that nobody wants recorded, or for which there is no room', () => {
    const asked: string[] = [];
    const office = new Office({
      decide: ({ callId }) => {
        asked.push(callId);
        return callId === 'CA-yes' ? {} : undefined;
      },
      open: () => undefined,
    });
    office.webhook('CA-no-no-no-no')?.answered(ANSWER);
    expect(office.begin({ callId: 'CA-no-no-no-no' })).toBeUndefined();
    expect(office.begin({ callId: 'CA-yes' })).toBeUndefined();
    office.webhook('CA-yes')?.answered(ANSWER);
    expect(asked).toEqual(['CA-no-no-no-no', 'CA-yes']);
    expect(office.recorder.size).toBe(0);
    expect(office.log).toEqual([]);
  });

  it.each(['decide', 'open', 'seed'] as const)(
    'that cannot begin because %s throws leaves the call alone',
    (part) => {
      const office = new Office({
        [part]: () => {
          throw new Error('out of order');
        },
      });
      expect(office.begin()).toBeUndefined();
      expect(office.log.join('')).toContain('a call cannot be recorded as it is');
      expect(office.recorder.size).toBe(0);
    },
  );

  it('takes what comes late for ten seconds, and is then finished with the time of its newest line', async () => {
    const office = new Office();
    const tape = office.begin();
    await nextTurn();
    office.clock.advance(3000);
    tape?.ended();
    tape?.ended();
    const late = office.webhook();
    late?.answered(ANSWER);
    await nextTurn();
    office.clock.advance(9000);
    office.webhook()?.answered(ANSWER);
    const never = office.webhook();
    await nextTurn();
    expect(office.recorder.size).toBe(1);
    office.clock.advance(1000);
    await nextTurn();
    expect(office.recorder.size).toBe(0);
    never?.answered(ANSWER);
    office.webhook()?.answered(ANSWER);
    tape?.observe({ type: 'mediaStarted', atMs: 1 });
    expect(office.lines().map(({ t }) => t)).toEqual([3000, 3000, 12_000, 12_000, 12_000]);
    expect(office.sinks[0]?.stored().call.end).toEqual({ t: 12_000, complete: true });
    expect(office.clock.pending).toBe(0);
  });

  it('is finished at once when the service closes, and no other begins', async () => {
    const office = new Office();
    office.begin();
    office.begin({ callId: 'CA-two' })?.ended();
    await office.recorder.close();
    expect(office.sinks.map((sink) => sink.stored().call.end?.complete)).toEqual([true, true]);
    expect(office.webhook()).toBeUndefined();
    expect(office.begin({ callId: 'CA-three' })).toBeUndefined();
    expect(office.clock.pending).toBe(0);
    await office.recorder.close();
  });

  it('does not hold up a service that closes for more than five seconds', async () => {
    const office = new Office({
      open: (file) =>
        Object.assign(new MemorySink(file), { finish: () => new Promise<void>(() => undefined) }),
    });
    office.begin();
    let closed = false;
    const closing = office.recorder.close().then(() => {
      closed = true;
    });
    await nextTurn();
    office.clock.advance(4999);
    await nextTurn();
    expect(closed).toBe(false);
    office.clock.advance(1);
    await closing;
    expect(office.clock.pending).toBe(0);
  });

  it('is accompanied by what is made beside it', async () => {
    const told: unknown[] = [];
    const ear = listening((what) => told.push(what));
    const office = new Office({
      beside: (sink, { carrier }) => ({
        ear,
        event: ({ type }, now) => told.push([carrier, type, now]),
        finish: () => sink.transcript('the end'),
      }),
    });
    const tape = office.begin();
    tape?.ear?.sent(new Uint8Array(2), 0);
    tape?.ear?.heard(2, 20);
    await nextTurn();
    office.clock.advance(20);
    tape?.observe({ type: 'mediaStarted', atMs: 20 });
    await office.recorder.close();
    expect(told).toEqual(['sent', 'heard', ['twilio', 'mediaStarted', 20]]);
    expect(office.sinks[0]?.transcriptText).toBe('the end');
  });

  it('suffers no harm from what is made beside it', async () => {
    const broken = (): never => {
      throw new Error('out of order');
    };
    const office = new Office({ beside: () => ({ event: broken, finish: broken }) });
    const tape = office.begin();
    tape?.observe({ type: 'mediaStarted', atMs: 0 });
    await office.recorder.close();
    expect(office.lines()).toHaveLength(1);
    expect(office.sinks[0]?.stored().call.end?.complete).toBe(true);
    expect(office.log).toHaveLength(2);
  });

  it('is made also when nothing can be made beside it', () => {
    const office = new Office({
      beside: () => {
        throw new Error('out of order');
      },
    });
    expect(office.begin()?.ear).toBeUndefined();
    expect(office.log).toHaveLength(1);
  });

  it('tells nothing more to an ear that fails', () => {
    const told: string[] = [];
    const ear = listening((what) => {
      told.push(what);
      if (what === 'said') throw new Error('deaf');
    });
    const office = new Office({ beside: () => ({ ear }) });
    const tape = office.begin();
    tape?.ear?.stream(MULAW_8K, MULAW_8K, 0);
    for (let i = 0; i < 3; i += 1) tape?.ear?.said(new Uint8Array(1), i, undefined);
    tape?.ear?.assumed(1, 4);
    tape?.ear?.cleared(1, 4);
    expect(told).toEqual(['stream', 'said']);
    expect(office.log).toHaveLength(1);
  });

  it('whose place was made but not its tape leaves nothing open', () => {
    const ends: unknown[] = [];
    const office = new Office({
      open: () =>
        Object.assign(new MemorySink(), {
          describe: () => {
            throw new Error('out of order');
          },
          finish: async (end: unknown) => void ends.push(end),
        }),
    });
    expect(office.begin()).toBeUndefined();
    expect(ends).toEqual([{ t: 0, complete: false }]);
    expect(office.recorder.size).toBe(0);
  });

  it('tells of timers unless it was told not to', async () => {
    for (const timers of [true, false]) {
      const office = new Office({ decide: () => ({ timers }) });
      const tape = office.begin();
      tape?.clock.after(20, () => undefined);
      office.clock.advance(20);
      expect(office.lines()).toEqual(timers ? [{ t: 20, on: 'clock', dir: 'in', msg: { due: 20 } }] : []);
    }
  });
});

describe('a webhook in a recording', () => {
  const bodies = [
    [
      'a form',
      'application/x-www-form-urlencoded',
      'a=1&b=2&a=%2B3&c=',
      { form: { a: ['1', '+3'], b: '2', c: '' } },
    ],
    ['JSON', 'application/json; charset=utf-8', '{"data":{"id":"x"}}', { json: { data: { id: 'x' } } }],
    ['JSON of a kind', 'application/cloudevents+json', '[1]', { json: [1] }],
    ['JSON that is none', 'application/json', '{"data":', { text: '{"data":' }],
    ['text', 'text/plain', 'hello ✓', { text: 'hello ✓' }],
    ['nothing', 'application/json', '', {}],
  ] as const;

  it.each(bodies)('has %s as it came', (_what, contentType, body, found) => {
    const office = new Office();
    office.webhook(CALLER.callId, { headers: { 'content-type': contentType }, body: Buffer.from(body) });
    office.begin();
    const [line] = office.lines();
    expect(line).toMatchObject({ msg: { contentType, ...found } });
    const { form, json, text } = (line as { msg: Record<string, unknown> }).msg;
    expect([form, json, text].filter((one) => one !== undefined)).toHaveLength(Object.keys(found).length);
  });

  it('has no header, no signature and no token of its carrier', () => {
    const office = new Office();
    office.webhook(CALLER.callId, {
      body: Buffer.from(`CallSid=${CALLER.callId}&CallToken=to-be-hidden&Digits=${KNOWN_SECRET}`),
    });
    office.begin();
    for (const secret of ['c2lnbmF0dXJl', KNOWN_SECRET, 'to-be-hidden'])
      expect(office.written()).not.toContain(secret);
    expect(office.written()).toContain('"Digits":"[secret]"');
  });

  it('waits for its call within bounds', () => {
    const clock = new VirtualClock();
    const early = new EarlyWebhooks();
    const add = (key: string, bytes = 10): void => {
      const request: WebhookRequest = {
        method: 'POST',
        target: '/',
        headers: {},
        body: new Uint8Array(bytes),
      };
      early.add(key, new Exchange({ route: 'voice', request, signed: 'valid' }, clock, () => undefined));
    };
    const left = (key: string): number => early.take(key).length;
    for (let i = 0; i < 30; i += 1) add('chatty');
    expect(left('chatty')).toBe(16);
    expect(left('chatty')).toBe(0);
    for (let i = 0; i < 1500; i += 1) add(`many ${i}`);
    expect(['many 0', 'many 499', 'many 500', 'many 1499'].map(left)).toEqual([0, 0, 1, 1]);
    for (let i = 0; i < 100; i += 1) add(`large ${i}`, 65_536);
    expect(['many 600', 'large 0', 'large 99'].map(left)).toEqual([0, 0, 1]);
    add('old');
    clock.advance(600_001);
    add('new');
    expect(['large 98', 'old', 'new'].map(left)).toEqual([0, 0, 1]);
  });
});

describe('a request to the carrier', () => {
  type Ask = { readonly url: string; readonly init: RequestInit | undefined };

  /** What the carrier answers, and what it was asked. */
  function carrierThat(answer: () => Response | Promise<Response>) {
    const asked: Ask[] = [];
    const ask: typeof fetch = async (input, init) => {
      asked.push({ url: String(input), init });
      return answer();
    };
    return { asked, ask };
  }

  const headers = { authorization: `Basic ${Buffer.from(`AC1:${KNOWN_SECRET}`).toString('base64')}` };

  it('about a call that is recorded is written down with its answer, before whoever asked has that', async () => {
    const office = new Office();
    office.begin();
    const { ask, asked } = carrierThat(() => new Response('{"sid":"CAx"}', { status: 201 }));
    const tapped = office.recorder.tapFetch(ask);
    await nextTurn();
    office.clock.advance(40);
    const init = { method: 'POST', headers, body: 'Status=completed' };
    const response = await tapped(`${REST}/${CALLER.callId}.json`, init);
    expect(office.lines()).toHaveLength(1);
    expect(await response.text()).toBe('{"sid":"CAx"}');
    expect(response.status).toBe(201);
    expect(office.lines()).toEqual([
      {
        t: 40,
        on: 'rest',
        dir: 'out',
        msg: { id: 1, method: 'POST', url: `${REST}/${CALLER.callId}.json`, body: 'Status=completed' },
      },
      { t: 40, on: 'rest', dir: 'in', msg: { id: 1, status: 201, body: '{"sid":"CAx"}' } },
    ]);
    expect(asked).toEqual([{ url: `${REST}/${CALLER.callId}.json`, init }]);
    expect(office.written()).not.toContain('Basic');
  });

  it('about another call, or about none, is not', async () => {
    const office = new Office();
    office.begin();
    const { ask, asked } = carrierThat(() => new Response('{}'));
    const tapped = office.recorder.tapFetch(ask);
    await (await tapped(`${REST}/CA00000000000000000000000000000002.json`)).text();
    await (await tapped(new URL(`${REST}.json`), { method: 'POST', body: 'To=x' })).text();
    await tapped(new Request(`${REST}/${CALLER.callId}.json`));
    await tapped(`${REST}/${CALLER.callId}.json`, { method: 'POST', body: new Uint8Array(3) });
    expect(office.lines()).toEqual([]);
    expect(asked).toHaveLength(4);
  });

  it('is known by whatever names the call: spelled for an address, in its body, or by another leg', async () => {
    const office = new Office();
    const callId = 'v3:abc/def+ghi==';
    office.webhook(callId, {
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(
        JSON.stringify({
          data: { payload: { call_control_id: 'v3:other-leg-of-it', call_session_id: 'session-1' } },
        }),
      ),
    });
    office.begin({ callId, requestId: 'request-uuid-1' });
    const { ask } = carrierThat(() => new Response('{"data":{"call_control_id":"v3:third-leg-of-it"}}'));
    const tapped = office.recorder.tapFetch(ask);
    const urls = [
      `https://t.test/v2/calls/${encodeURIComponent(callId)}/actions/hangup`,
      'https://t.test/v2/calls/v3:other-leg-of-it/actions/bridge',
      'https://t.test/v1/Request/request-uuid-1/',
      'https://t.test/v2/calls/v3:third-leg-of-it/actions/hangup',
    ];
    for (const url of urls) await (await tapped(url)).text();
    await (
      await tapped('https://t.test/v2/calls', { method: 'POST', body: JSON.stringify({ link_to: callId }) })
    ).text();
    const asked = office
      .lines()
      .flatMap((line) => (line.on === 'rest' && 'url' in line.msg ? [line.msg.url] : []));
    expect(asked).toEqual([...urls, 'https://t.test/v2/calls']);
  });

  it('that fails is written down with the name of the trouble', async () => {
    const office = new Office();
    office.begin();
    const url = `${REST}/${CALLER.callId}.json`;
    const refused = Object.assign(new Error(`connect to ${KNOWN_SECRET}`), { code: 'ECONNREFUSED' });
    const { ask } = carrierThat(() => Promise.reject(new TypeError('fetch failed', { cause: refused })));
    await expect(office.recorder.tapFetch(ask)(url)).rejects.toThrow('fetch failed');
    const cut = new Response(new ReadableStream({ start: (stream) => stream.error(new Error('cut off')) }));
    const response = await office.recorder.tapFetch(async () => cut)(url);
    await expect(response.text()).rejects.toThrow('cut off');
    const given = new AbortController();
    given.abort();
    const abort = (): Promise<Response> => Promise.reject(given.signal.reason);
    await expect(office.recorder.tapFetch(abort)(url)).rejects.toThrow('aborted');
    const errors = office
      .lines()
      .flatMap((line) => (line.on === 'rest' && 'error' in line.msg ? [line.msg.error] : []));
    expect(errors).toEqual(['ECONNREFUSED', 'cut off', 'This operation was aborted']);
    expect(office.written()).not.toContain(KNOWN_SECRET);
  });

  it('holds no token, wherever it stands', async () => {
    const office = new Office();
    office.begin();
    const { ask, asked } = carrierThat(
      () => new Response(`{"password":"pass-one","echo":"${KNOWN_SECRET}"}`),
    );
    const tapped = office.recorder.tapFetch(ask);
    const url = `https://user:pass-two@t.test/calls/${CALLER.callId}`;
    const json = JSON.stringify({
      stream_auth_token: 'token-one',
      stream_url: 'wss://b.test/media',
      number: 7,
    });
    const form = `AuthToken=token-two&Url=${encodeURIComponent(`https://b.test/?k=${KNOWN_SECRET}`)}`;
    for (const body of [json, form]) await (await tapped(url, { method: 'POST', headers, body })).text();
    const written = office.written();
    for (const secret of ['pass-one', 'pass-two', 'token-one', 'token-two', KNOWN_SECRET]) {
      expect(written).not.toContain(secret);
    }
    expect(written).toContain('wss://b.test/media');
    expect(asked.map(({ init }) => init?.body)).toEqual([json, form]);
  });

  it('is just made while nothing is recorded', async () => {
    const office = new Office();
    const response = new Response('{}');
    const tapped = office.recorder.tapFetch(async () => response);
    expect(await tapped(`${REST}/x`)).toBe(response);
    expect(Object.getOwnPropertyNames(response)).not.toContain('text');
  });
});
