import { describe, expect, it } from 'vitest';
import { type Agent, lineCheckAgent } from '../src/agents.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import type { CallEvent, EndReason } from '../src/call-events.ts';
import type { AnswerPlan, Carrier } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { Breakers } from '../src/fallback/breakers.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { createLog } from '../src/log.ts';
import { Pacer } from '../src/pacer.ts';
import { Session } from '../src/session.ts';
import { endCall } from '../src/tools/built-in.ts';
import { defineTool } from '../src/tools.ts';
import { fakeCarrier } from './support/fake-carrier.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

const CALL = {
  callId: 'CA1',
  from: '+14155550100',
  to: '+14155550101',
  direction: 'inbound',
  callerName: undefined,
  ref: undefined,
  control: 'document',
} as const;

const URLS = {
  afterUrl: 'https://bridge.test/after/twilio/token',
  announceUrl: 'https://bridge.test/announce/twilio/token',
  statusUrl: 'https://bridge.test/status/twilio',
} as const;

/** A plan for one more stream. */
function plan(plainCodec: boolean): AnswerPlan {
  return {
    ...URLS,
    mediaUrl: 'wss://bridge.test/media/twilio/again',
    streamStatusUrl: 'https://bridge.test/stream-status/twilio',
    params: {},
    fallback: { type: 'hang-up' },
    plainCodec,
  };
}

/** The carrier asks what comes after the stream. */
const STREAM_OVER = { type: 'after-stream', callId: 'CA1', ended: false, transfer: undefined } as const;

const AGENT: Agent = {
  ...lineCheckAgent({
    instructions: undefined,
    greeting: 'Hello.',
    voice: undefined,
    language: undefined,
    audio: 'passthrough',
    maxCallMs: 600_000,
    silenceMs: 10_000,
  }),
  // These providers say nothing unless the test has them do so.
  failover: { ...FAILOVER, answerMs: 0 },
};

function start(change: Partial<Agent> = {}, carrier: Carrier = fakeCarrier(), maxSessionMs?: number) {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const provider = new ManualProvider(maxSessionMs);
  const leg = new VirtualLeg(clock);
  const events: CallEvent[] = [];
  const endings: EndReason[] = [];
  const session = new Session({
    call: CALL,
    carrier,
    agent: { ...AGENT, ...change },
    providers: soleCandidate(provider),
    breakers: new Breakers({ clock, onChange: () => undefined }),
    clock,
    pacer,
    log: createLog('silent'),
    leadMs: 1000,
    createTranscoder,
    observe: (_callId, event) => events.push(event),
    machine: { mode: 'report' },
    urls: URLS,
    plan,
    onEnding: (_session, reason) => endings.push(reason),
  });
  leg.onMark = (name) => session.onLegEvent({ type: 'mark', name });
  session.start();
  return { clock, pacer, provider, leg, session, events, endings };
}

/** A call that is up: provider ready, stream open, greeting asked for. */
async function talk(change: Partial<Agent> = {}) {
  const call = start(change);
  await call.provider.ready();
  call.session.attach(call.leg);
  return call;
}

function frame(value: number): Uint8Array {
  return new Uint8Array(160).fill(value);
}

describe('the beginning of a call', () => {
  it('dials the provider before the carrier has opened its stream', () => {
    const { provider } = start();
    expect(provider.request?.instructions).toContain('Line check');
  });

  it('delivers what the caller says before the provider is ready, whole and in order', async () => {
    const { session, provider, leg, clock } = start();
    session.attach(leg);
    for (let i = 0; i < 40; i++) session.onLegEvent({ type: 'audio', bytes: frame(i), atMs: i * 20 });
    expect(provider.audio).toEqual([]);
    await provider.ready();
    session.onLegEvent({ type: 'audio', bytes: frame(40), atMs: 800 });
    clock.advance(100);
    expect(provider.audio.length).toBe(41 * 160);
    expect(provider.audio.filter((_, i) => i % 160 === 0)).toEqual(Array.from({ length: 41 }, (_, i) => i));
  });

  it('keeps at most ten seconds for a provider that is not ready, and counts what was lost', async () => {
    const { session, provider, leg, clock } = start();
    session.attach(leg);
    for (let i = 0; i < 600; i++) session.onLegEvent({ type: 'audio', bytes: frame(i % 250), atMs: i * 20 });
    await provider.ready();
    // In pieces, so that a socket can take them.
    expect(provider.audio.length).toBe(4000);
    clock.advance(500);
    expect(provider.audio.length).toBe(80_000);
    expect(provider.audio[0]).toBe(100);
    expect(session.counts.lostBeforeReadyMs).toBe(2000);
  });

  it('has the greeting prepared while the carrier opens its stream', async () => {
    const { session, provider, leg } = start();
    await provider.ready();
    expect(provider.said).toEqual(['Hello.']);
    provider.speak('r', 'a', 400);
    session.attach(leg);
    expect(leg.played.reduce((sum, part) => sum + part.length, 0)).toBe(3200);
  });

  it('waits for the caller when the agent has no greeting', async () => {
    const { provider } = await talk({ greeting: undefined });
    expect(provider.said).toEqual([]);
  });

  it('ends, and leaves nothing open, when the provider refuses', async () => {
    const { provider, session, endings, clock, leg } = start();
    session.attach(leg);
    await provider.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    expect(endings).toEqual(['provider-failed']);
    expect(leg.closed).toBe('provider-failed');
    expect(session.next(STREAM_OVER)).toEqual(AGENT.lastResort);
    await session.end('failed');
    expect(clock.pending).toBe(0);
  });

  it('closes a provider that becomes ready after the call has ended', async () => {
    const { provider, session } = start();
    const over = session.end('caller-hung-up');
    await provider.ready();
    await over;
    expect(provider.said).toEqual([]);
  });
});

describe('an interruption', () => {
  it('empties the queue, clears the carrier and then tells the provider what was heard, in this order', async () => {
    const { clock, provider, leg } = await talk();
    const order: string[] = [];
    leg.log.push = (line: string) => order.push(line);
    provider.interruptions.push = () => order.push('provider told');
    provider.speak('r', 'a', 3000, false);
    clock.advance(500);
    order.length = 0;
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    clock.advance(200);
    expect(order).toEqual(['clear', 'provider told']);
  });

  it('says within a frame what was heard', async () => {
    const { clock, provider } = await talk();
    provider.speak('r', 'a', 3000);
    clock.advance(730);
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    const [heard] = provider.interruptions.at(-1) ?? [];
    expect(heard?.itemId).toBe('a');
    expect(Math.abs((heard?.playedMs ?? 0) - 730)).toBeLessThanOrEqual(20);
    expect(heard?.receivedMs).toBe(3000);
  });

  it('refuses what still comes of the response, and plays the next one', async () => {
    const { clock, provider, leg } = await talk();
    provider.speak('r', 'a', 3000, false);
    clock.advance(200);
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    const before = leg.played.length;
    provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(8000) });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'cancelled', reason: 'turn_detected' });
    clock.advance(100);
    expect(leg.played.length).toBe(before);
    provider.speak('r2', 'b', 100);
    expect(leg.played.length).toBeGreaterThan(before);
  });

  it('refuses speech of a response that is done, and lets it block nothing', async () => {
    const { clock, provider, leg, pacer } = await talk();
    provider.speak('r', 'a', 200);
    clock.advance(500);
    const before = leg.played.length;
    provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(1600) });
    clock.advance(500);
    expect(leg.played.length).toBe(before);
    expect(pacer.size).toBe(0);
    clock.advance(10_000);
    expect(provider.said).toHaveLength(2);
  });

  it('right at the end of an item counts it as heard', async () => {
    const { clock, provider, session, events } = await talk();
    provider.speak('r', 'a', 1000);
    provider.emit({ type: 'transcript', role: 'assistant', itemId: 'a', text: 'All of it.', final: true });
    clock.advance(995);
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    expect(provider.interruptions.at(-1)).toEqual([]);
    await session.end('caller-hung-up');
    const ended = events.find((event) => event.type === 'ended');
    expect(ended?.type === 'ended' && ended.transcript[0]).toMatchObject({
      heardText: 'All of it.',
      interrupted: false,
    });
  });

  it('by a key before the provider is ready is not lost', async () => {
    const { session, provider, leg } = start();
    session.attach(leg);
    session.onLegEvent({ type: 'dtmf', digit: '7' });
    await provider.ready();
    expect(provider.texts).toEqual([
      { text: 'The caller pressed the key 7.', options: { role: 'user', respond: true, digits: '7' } },
    ]);
  });

  it('by hanging up is written down as well: what was heard until then', async () => {
    const { clock, provider, events, session } = await talk();
    provider.speak('r', 'a', 4000);
    const text = 'one two three four';
    provider.emit({ type: 'transcript', role: 'assistant', itemId: 'a', text, final: true });
    clock.advance(2200);
    await session.end('caller-hung-up');
    const ended = events.find((event) => event.type === 'ended');
    expect(ended?.type === 'ended' && ended.transcript[0]).toMatchObject({
      heardText: 'one two',
      interrupted: true,
    });
  });

  it('by hanging up before the stream was there leaves a greeting that nobody has heard', async () => {
    const { provider, events, session } = start();
    await provider.ready();
    provider.speak('r', 'a', 1000);
    provider.emit({ type: 'transcript', role: 'assistant', itemId: 'a', text: 'Good day.', final: true });
    await session.end('caller-hung-up');
    const ended = events.find((event) => event.type === 'ended');
    expect(ended?.type === 'ended' && ended.transcript[0]).toMatchObject({
      text: 'Good day.',
      heardText: '',
    });
  });

  it('writes down only what was heard', async () => {
    const { clock, provider, events, session } = await talk();
    provider.speak('r', 'a', 4000);
    provider.emit({
      type: 'transcript',
      role: 'assistant',
      itemId: 'a',
      text: 'one two three four',
      final: true,
    });
    clock.advance(2200);
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    await session.end('caller-hung-up');
    const ended = events.find((event) => event.type === 'ended');
    expect(ended?.type === 'ended' && ended.transcript[0]).toMatchObject({
      text: 'one two three four',
      heardText: 'one two',
      interrupted: true,
    });
  });
});

describe('the caller’s stream', () => {
  it('fills holes by the carrier’s timestamps', async () => {
    const { session, provider } = await talk();
    session.onLegEvent({ type: 'audio', bytes: frame(1), atMs: 0 });
    session.onLegEvent({ type: 'audio', bytes: frame(2), atMs: 100 });
    expect(provider.audio.length).toBe(6 * 160);
    expect(provider.audio.slice(160, 161)).toEqual([0xff]);
    expect(session.counts.filledMs).toBe(80);
  });

  it('does not fill more than ten seconds of a call that was on hold', async () => {
    const { session, provider, clock } = await talk();
    session.onLegEvent({ type: 'audio', bytes: frame(1), atMs: 0 });
    session.onLegEvent({ type: 'audio', bytes: frame(2), atMs: 60_000 });
    session.onLegEvent({ type: 'audio', bytes: frame(3), atMs: 60_020 });
    clock.advance(500);
    expect(provider.audio.length).toBe(160 * 3 + 80_000);
  });

  it('loses no time to holes that are no whole frames', async () => {
    const { session, provider, clock } = await talk();
    for (let i = 0; i < 100; i++) session.onLegEvent({ type: 'audio', bytes: frame(1), atMs: i * 50 });
    clock.advance(1000);
    expect(provider.audio.length / 8).toBeGreaterThan(99 * 50 - 20);
    expect(provider.audio.length / 8).toBeLessThanOrEqual(99 * 50 + 20);
  });

  it('gives closing silence when the carrier stops sending in the middle of speech', async () => {
    const { clock, session, provider } = await talk();
    session.onLegEvent({ type: 'audio', bytes: frame(1), atMs: 0 });
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    clock.advance(700);
    expect(provider.audio.length).toBe(160);
    clock.advance(100);
    clock.advance(50);
    expect(provider.audio.length).toBe(160 + 8000);
    clock.advance(5000);
    expect(provider.audio.length).toBe(160 + 8000);
  });
});

describe('function calls', () => {
  const add = defineTool({
    name: 'add',
    description: 'adds',
    run: (args) => ({ sum: Number(args['a']) + Number(args['b']) }),
  });

  it('runs a function and tells the model its result', async () => {
    const { provider } = await talk({ tools: [add] });
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'add', args: '{"a":1,"b":2}' });
    await settled();
    expect(provider.results).toEqual([
      {
        callId: 'c',
        result: {
          output: '{"sum":3}',
          isError: false,
          respond: true,
          call: { name: 'add', args: '{"a":1,"b":2}' },
        },
      },
    ]);
  });

  it('gives up what runs when the call ends', async () => {
    let signal: AbortSignal | undefined;
    const slow = defineTool({
      name: 'slow',
      description: 'never ends',
      run: (_args, call) => {
        signal = call.signal;
        return new Promise(() => undefined);
      },
    });
    const { provider, session } = await talk({ tools: [slow] });
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'slow', args: '{}' });
    await session.end('caller-hung-up');
    expect(signal?.aborted).toBe(true);
    expect(provider.results).toEqual([]);
  });

  it('hangs up only after the goodbye was heard', async () => {
    const { clock, provider, endings, leg } = await talk({ tools: [endCall] });
    provider.speak('r', 'a', 2000);
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    await settled();
    expect(provider.results[0]?.result.respond).toBe(true);
    provider.speak('r2', 'b', 1000);
    clock.advance(2900);
    expect(endings).toEqual([]);
    clock.advance(200);
    expect(endings).toEqual(['agent-hung-up']);
    expect(leg.closed).toBe('agent-hung-up');
  });

  it('does not ask for a second goodbye when the response that hangs up has said it', async () => {
    const { clock, provider, endings } = await talk({ tools: [endCall] });
    provider.speak('r', 'a', 1000, false);
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    await settled();
    expect(provider.results[0]?.result.respond).toBe(false);
    clock.advance(900);
    expect(endings).toEqual([]);
    clock.advance(200);
    expect(endings).toEqual(['agent-hung-up']);
  });

  it('lets a goodbye that is being heard go on to its end, beyond the limit', async () => {
    const { clock, provider, endings } = await talk({ tools: [endCall] });
    provider.speak('r', 'a', 30_000, false);
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    await settled();
    clock.advance(29_500);
    expect(endings).toEqual([]);
    clock.advance(700);
    expect(endings).toEqual(['agent-hung-up']);
  });

  it('says the goodbye of a limit also when a function ends meanwhile', async () => {
    let finish: (value: string) => void = () => undefined;
    const slow = defineTool({
      name: 'slow',
      description: 'takes its time',
      timeoutMs: 60_000,
      run: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    const { clock, provider, endings } = await talk({ tools: [slow], maxCallMs: 5000 });
    provider.speak('r', 'a', 500, false);
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'slow', args: '{}' });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    clock.advance(5001);
    expect(provider.said.at(-1)).toBe(AGENT.maxCallGoodbye);
    finish('found');
    await settled();
    expect(provider.results[0]?.result.respond).toBe(true);
    expect(endings).toEqual([]);
    provider.speak('r2', 'b', 1000);
    clock.advance(1100);
    expect(endings).toEqual(['max-duration']);
  });

  it('does not take the answer to the caller for the goodbye', async () => {
    const { clock, provider, endings } = await talk({ maxCallMs: 5000 });
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    clock.advance(5001);
    provider.emit({ type: 'speechStopped', itemId: 'u' });
    provider.emit({ type: 'responseStarted', responseId: 'r', asked: false });
    provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(4000) });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    clock.advance(1000);
    expect(endings).toEqual([]);
    provider.speak('r2', 'b', 1000);
    clock.advance(1100);
    expect(endings).toEqual(['max-duration']);
  });

  it('that asks for the end after the end leaves no timer', async () => {
    let hangUp: () => void = () => undefined;
    const late = defineTool({
      name: 'late',
      description: 'hangs up late',
      run: (_args, call) => {
        hangUp = () => call.hangUpAfterGoodbye();
        return new Promise(() => undefined);
      },
    });
    const { provider, session, clock } = await talk({ tools: [late] });
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'late', args: '{}' });
    await session.end('caller-hung-up');
    hangUp();
    expect(clock.pending).toBe(0);
  });

  it('hangs up after a limit when the goodbye never comes', async () => {
    const { clock, provider, endings } = await talk({ tools: [endCall] });
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    await settled();
    clock.advance(19_000);
    expect(endings).toEqual([]);
    clock.advance(1001);
    expect(endings).toEqual(['agent-hung-up']);
  });

  it('goes on when the caller speaks up during the goodbye', async () => {
    const { clock, provider, endings } = await talk({ tools: [endCall] });
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    await settled();
    provider.speak('r2', 'b', 2000);
    clock.advance(500);
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    clock.advance(25_000);
    expect(endings).toEqual([]);
  });
});

describe('limits', () => {
  it('asks a silent caller, and hangs up after a goodbye that was heard', async () => {
    const { clock, provider, endings } = await talk();
    provider.speak('r', 'a', 1000);
    clock.advance(1000 + 9900);
    expect(provider.said).toHaveLength(1);
    clock.advance(200);
    expect(provider.said[1]).toBe(AGENT.silence.prompts[0]);
    provider.speak('r1', 'b', 1000);
    clock.advance(11_100);
    expect(provider.said[2]).toBe(AGENT.silence.goodbye);
    provider.speak('r2', 'c', 2000);
    clock.advance(1900);
    expect(endings).toEqual([]);
    clock.advance(200);
    expect(endings).toEqual(['caller-silent']);
  });

  it('goes on asking, and hangs up in the end, when the provider answers nothing', async () => {
    const { clock, provider, endings } = await talk();
    clock.advance(10_100);
    expect(provider.said.at(-1)).toBe(AGENT.silence.prompts[0]);
    clock.advance(10_100);
    expect(provider.said.at(-1)).toBe(AGENT.silence.goodbye);
    clock.advance(20_100);
    expect(endings).toEqual(['caller-silent']);
  });

  it('does not count the time in which agent or caller speaks', async () => {
    const { clock, provider } = await talk();
    provider.speak('r', 'a', 20_000);
    clock.advance(19_000);
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    clock.advance(30_000);
    expect(provider.said).toEqual(['Hello.']);
  });

  it('takes leave in words when the longest time is over, and cannot be talked out of it', async () => {
    const { clock, provider, endings, session } = await talk({ maxCallMs: 5000 });
    provider.speak('r', 'a', 60_000, false);
    clock.advance(5001);
    expect(provider.insisted).toEqual([AGENT.maxCallGoodbye]);
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'cancelled', reason: undefined });
    provider.speak('r2', 'b', 1000);
    clock.advance(300);
    provider.emit({ type: 'speechStarted', itemId: 'u' });
    provider.emit({ type: 'speechStopped', itemId: 'u' });
    expect(endings).toEqual(['max-duration']);
    expect(session.mustHangUp).toBe(true);
  });
});

describe('the end of a call', () => {
  const races: {
    name: string;
    run: (call: Awaited<ReturnType<typeof talk>>) => void;
    reason: EndReason;
    closedWith?: string;
  }[] = [
    {
      name: 'stop',
      run: ({ session }) => session.onLegEvent({ type: 'stopped' }),
      reason: 'caller-hung-up',
    },
    { name: 'socket', run: ({ session, leg }) => session.onLegClosed(leg, false), reason: 'media-lost' },
    {
      name: 'provider',
      run: ({ provider, clock }) => {
        provider.die(new BridgeError('PROVIDER_AUTH', 'no'));
        // What it was saying is heard first.
        clock.advance(5001);
      },
      reason: 'provider-failed',
      closedWith: 'the session is no good any more',
    },
    { name: 'operator', run: ({ session }) => void session.end('shutdown'), reason: 'shutdown' },
  ];

  it.each(races)('$name first: the others change nothing', async (first) => {
    const call = await talk();
    call.provider.speak('r', 'a', 5000, false);
    call.clock.advance(100);
    first.run(call);
    for (const other of races) other.run(call);
    const promise = call.session.end('failed');
    expect(call.session.end('failed')).toBe(promise);
    await promise;
    expect(call.endings).toEqual([first.reason]);
    expect(call.provider.closedWith).toBe(first.closedWith ?? first.reason);
    expect(call.leg.closed).toBe(first.reason);
    expect(call.events.filter((event) => event.type === 'ended')).toHaveLength(1);
    call.clock.advance(10_000);
    expect(call.clock.pending).toBe(0);
    expect(call.pacer.size).toBe(0);
  });

  it('ends cleanly when closing the leg reports the close at once', async () => {
    const call = await talk();
    call.leg.close = () => call.session.onLegClosed(call.leg, true);
    await call.session.end('agent-hung-up');
    expect(call.endings).toEqual(['agent-hung-up']);
  });

  it('does not come with the longest session of the provider: another one takes its place', async () => {
    const again = start(
      { maxCallMs: 7_200_000, silence: { ...AGENT.silence, afterMs: 0 } },
      fakeCarrier(),
      3_600_000,
    );
    await again.provider.ready();
    again.session.attach(again.leg);
    again.provider.emit({ type: 'responseStarted', responseId: 'r', asked: true });
    again.provider.speak('r', 'a', 1000);
    again.clock.advance(3_300_000);
    again.provider.emit({ type: 'expiring', inMs: 300_000 });
    const { request } = again.provider;
    again.clock.advance(200);
    expect(again.provider.request).not.toBe(request);
    await again.provider.ready();
    await settled();
    expect(again.events.filter((event) => event.type === 'providerReady').at(-1)).toMatchObject({
      why: 'renewal',
      historyItems: 1,
    });
    expect(again.provider.said).toEqual(['Hello.']);
    expect(again.endings).toEqual([]);
    await again.session.end('caller-hung-up');
  });

  it('does not come from a second socket of a carrier that opens its stream again', async () => {
    const carrier = fakeCarrier();
    const patient = { ...carrier, capabilities: { ...carrier.capabilities, tokenUses: 3 } };
    const { session, leg, clock } = start({}, patient);
    session.onLegClosed(new VirtualLeg(clock), false);
    expect(session.endReason).toBeUndefined();
    session.attach(leg);
    session.onLegClosed(new VirtualLeg(clock), false);
    clock.advance(9000);
    expect(session.endReason).toBeUndefined();
    session.onLegClosed(leg, false);
    expect(session.endReason).toBeUndefined();
    clock.advance(8001);
    expect(session.endReason).toBe('media-lost');
  });

  it('survives an observer that throws', async () => {
    const clock = new VirtualClock();
    const provider = new ManualProvider();
    const session = new Session({
      call: CALL,
      carrier: fakeCarrier(),
      agent: AGENT,
      providers: soleCandidate(provider),
      breakers: new Breakers({ clock, onChange: () => undefined }),
      clock,
      pacer: new Pacer(clock),
      log: createLog('silent'),
      leadMs: 1000,
      createTranscoder,
      observe: () => {
        throw new BridgeError('INTERNAL', 'a watcher failed');
      },
      machine: { mode: 'report' },
      urls: URLS,
      plan,
      onEnding: () => undefined,
    });
    session.start();
    await provider.ready();
    expect(provider.said).toEqual(['Hello.']);
    await session.end('caller-hung-up');
  });
});
