import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { defineTool } from '../src/tools.ts';
import { COMMANDS, createKit, TRANSFER } from './support/call-kit.ts';
import { quiet, said, say, share, speak, texts, up } from './support/failover-kit.ts';
import { settled } from './support/manual-provider.ts';

describe('a call whose provider dies while the agent speaks', () => {
  it('plays on what there is, and goes on with the next one from the last word that was heard', async () => {
    const kit = await up();
    const { a, b, call, clock, all } = kit;
    speak(a, 'hello', 'Hello.', 400);
    clock.advance(500);
    a.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'When do you open?', final: true });
    speak(a, 'answer', 'We open at nine and close at', 2000, true, false);
    clock.advance(1000);
    a.die();
    await settled();
    expect(call.endReason).toBeUndefined();
    expect(b.request?.respond).toBe(false);
    expect(said(b.request?.history)).toEqual([
      'assistant: Hello.',
      'user: When do you open?',
      'assistant: We open at nine and close at',
    ]);
    clock.advance(300);
    await b.ready();
    expect(b.said).toEqual([]);
    expect(b.texts).toMatchObject([{ options: { role: 'system', respond: true } }]);
    expect(b.texts[0]?.text).toContain('Go on from exactly there');
    clock.advance(200);
    speak(b, 'rest', 'at six.', 800);
    clock.advance(3000);
    // 400 ms of greeting, two seconds from the first, 800 ms from the second; never a clear.
    expect(call.leg.heardBytes).toBe(3200 * 8);
    expect(call.leg.log).not.toContain('clear');
    expect(call.leg.holes).toBeLessThanOrEqual(1);
    expect(all('providerFailed')).toMatchObject([
      { provider: 'manual', phase: 'in-call', code: 'PROVIDER_CLOSED' },
    ]);
    expect(all('providerReady').at(-1)).toMatchObject({
      provider: 'second',
      why: 'failover',
      resumed: false,
      historyItems: 4,
    });
    expect(all('failover')).toMatchObject([{ from: 'manual', to: 'second', gapMs: 0, addedMs: 0 }]);
    await call.session.end('caller-hung-up');
  });

  it('has the greeting said by the next one when nothing of it was heard', async () => {
    const { a, b, call } = await up();
    expect(a.said).toEqual(['Hello.']);
    a.die();
    await settled();
    expect(said(b.request?.history)).toEqual([]);
    await b.ready();
    expect(b.said).toEqual(['Hello.']);
    expect(b.texts).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('tells what was heard of an answer that fell silent in the middle of a frame', async () => {
    const { a, b, call, pass } = await up({ failover: { ...FAILOVER, answerMs: 3000 } });
    speak(a, 'hello', 'Hello, good morning, good day to you.', 2500);
    await pass(3000, 20);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    a.emit({ type: 'speechStopped', itemId: 'u' });
    speak(a, 'cut', 'one two three four five', 1005, true, false);
    await pass(8000, 20);
    expect(b.dialled).toBe(1);
    expect(said(b.request?.history).at(-1)).toMatch(/^assistant: one two/);
    await call.session.end('caller-hung-up');
  });

  it('does not take for said what there was no audio for: words run ahead of theirs', async () => {
    const { a, b, call, clock } = await up();
    // Ten characters a second.
    speak(a, 'hello', 'Hello, good morning, good day to you.', 3700);
    clock.advance(4000);
    speak(a, 'cut', 'one two three four five six seven eight nine ten', 2000, true, false);
    clock.advance(100);
    a.die();
    await settled();
    expect(said(b.request?.history).at(-1)).toMatch(/^assistant: one two three four( five)?$/);
    await call.session.end('caller-hung-up');
  });

  it('has only the rest of a given text said', async () => {
    const { a, b, call, clock } = await up({
      greeting: 'Hello, this is the harbour inn. How may I help you?',
    });
    speak(a, 'g', 'Hello, this is the harbour', 1500, true);
    clock.advance(100);
    a.die();
    await settled();
    await b.ready();
    expect(b.said).toEqual(['harbour inn. How may I help you?']);
    await call.session.end('caller-hung-up');
  });

  it('asks for nothing when all of it has come', async () => {
    const { a, b, call, clock, all } = await up();
    speak(a, 'hello', 'Hello.', 4000);
    clock.advance(500);
    a.die();
    await settled();
    await b.ready();
    expect(b.said).toEqual([]);
    expect(b.texts).toEqual([]);
    expect(said(b.request?.history)).toEqual(['assistant: Hello.']);
    expect(all('failover')).toMatchObject([{ gapMs: 0, answerMs: 0 }]);
    await call.session.end('caller-hung-up');
  });

  it('tells the next one what was not heard when the caller cuts in meanwhile', async () => {
    const kit = await up();
    const { a, b, call, clock } = kit;
    speak(a, 'long', 'one two three four five six seven eight nine', 4000, true, false);
    clock.advance(1000);
    a.die();
    await settled();
    expect(said(b.request?.history)).toEqual(['assistant: one two three four five six seven eight nine']);
    say(kit, 0, 1200);
    expect(call.leg.log).toContain('clear');
    await b.ready();
    expect(b.texts).toHaveLength(1);
    expect(b.texts[0]?.options.respond).toBe(false);
    expect(b.texts[0]?.text).toMatch(/heard only: "one two( three)?( four)?"$/);
    // And it hears what the caller has said.
    quiet(kit, 100);
    expect(share(b, 0, 1200)).toBe(1);
    await call.session.end('caller-hung-up');
  });
});

describe('a call whose provider dies over what the caller says', () => {
  it('sends the next one what was said since the turn began, and asks for nothing else', async () => {
    const kit = await up();
    const { a, b, call, clock, all } = kit;
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(1000);
    quiet(kit, 3000);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    say(kit, 0, 1500);
    a.die();
    await settled();
    say(kit, 1500, 2500);
    quiet(kit, 1000);
    await b.ready();
    quiet(kit, 200);
    expect(share(b, 0, 2500)).toBe(1);
    expect(b.audio.length).toBeLessThan(5000 * 8);
    expect(b.texts).toEqual([]);
    expect(said(b.request?.history)).toEqual(['assistant: Hello.']);
    expect(all('providerReady').at(-1)?.replayedMs).toBeGreaterThan(1000);
    await call.session.end('caller-hung-up');
  });

  it('asks the next one to answer when the words are known', async () => {
    const kit = await up();
    const { a, b, call } = kit;
    speak(a, 'hello', 'Hello.', 200);
    quiet(kit, 1000);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    say(kit, 0, 1000);
    quiet(kit, 500);
    a.emit({ type: 'speechStopped', itemId: 'u' });
    a.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'What is the time?', final: true });
    a.die();
    await settled();
    await b.ready();
    quiet(kit, 200);
    expect(said(b.request?.history)).toEqual(['assistant: Hello.', 'user: What is the time?']);
    expect(share(b, 0, 1000)).toBe(0);
    expect(b.texts).toMatchObject([{ options: { respond: true } }]);
    await call.session.end('caller-hung-up');
  });

  it('sends what came after the words that are known', async () => {
    const kit = await up();
    const { a, b, call } = kit;
    speak(a, 'hello', 'Hello.', 200);
    quiet(kit, 1000);
    a.emit({ type: 'speechStarted', itemId: 'u1' });
    say(kit, 0, 1000);
    quiet(kit, 500);
    a.emit({ type: 'speechStopped', itemId: 'u1' });
    a.emit({ type: 'speechStarted', itemId: 'u2' });
    say(kit, 1000, 2500);
    quiet(kit, 500);
    a.emit({ type: 'speechStopped', itemId: 'u2' });
    // Words take their time: these are of the first turn.
    a.emit({ type: 'transcript', role: 'user', itemId: 'u1', text: 'What is the', final: true });
    a.die();
    await settled();
    await b.ready();
    quiet(kit, 200);
    expect(said(b.request?.history)).toEqual(['assistant: Hello.', 'user: What is the']);
    expect(share(b, 1000, 2500)).toBe(1);
    expect(share(b, 0, 900)).toBeLessThan(0.1);
    expect(b.texts).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('gives a provider that takes no speech of the past the words, as far as they are known', async () => {
    const kit = await up({}, { catchUp: false });
    const { a, b, call } = kit;
    speak(a, 'hello', 'Hello.', 200);
    quiet(kit, 1000);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    say(kit, 0, 1000);
    a.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'I want a', final: false });
    quiet(kit, 500);
    a.emit({ type: 'speechStopped', itemId: 'u' });
    a.die();
    await settled();
    await b.ready();
    quiet(kit, 200);
    expect(said(b.request?.history)).toEqual(['assistant: Hello.', 'user: I want a']);
    expect(share(b, 0, 1000)).toBe(0);
    expect(b.texts).toMatchObject([{ text: 'The caller waits for you to answer now.' }]);
    await call.session.end('caller-hung-up');
  });

  it('has such a provider ask once more when nothing of it is known', async () => {
    const kit = await up({}, { catchUp: false });
    const { a, b, call } = kit;
    speak(a, 'hello', 'Hello.', 200);
    quiet(kit, 1000);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    say(kit, 0, 1000);
    quiet(kit, 500);
    a.emit({ type: 'speechStopped', itemId: 'u' });
    a.die();
    await settled();
    await b.ready();
    expect(b.texts).toMatchObject([{ options: { respond: true } }]);
    expect(b.texts[0]?.text).toContain('say it once more');
    await call.session.end('caller-hung-up');
  });
});

describe('a call whose provider dies over a function', () => {
  /** A function that ends when the test says so. */
  function slow() {
    const runs: { args: unknown; done: (value: unknown) => void }[] = [];
    const tool = defineTool({
      name: 'look_up',
      description: 'Looks something up.',
      parameters: { type: 'object', properties: { id: { type: 'number' } } },
      run: (args) => new Promise((done) => runs.push({ args, done })),
    });
    return { tool, runs };
  }

  const CALL = {
    type: 'toolCall',
    responseId: 'r1',
    callId: 'c1',
    name: 'look_up',
    args: '{"id":7}',
  } as const;

  it('gives the result to the next one, once, and says meanwhile that it is under way', async () => {
    const { tool, runs } = slow();
    const { a, b, call, clock } = await up({ tools: [tool], greeting: undefined });
    a.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Look up seven.', final: true });
    a.emit({ type: 'responseStarted', responseId: 'r1', asked: false });
    a.emit(CALL);
    a.emit({ type: 'responseDone', responseId: 'r1', status: 'completed', reason: undefined });
    await settled();
    a.die();
    await settled();
    expect(texts(b.request?.history).at(-1)).toContain('look_up({"id":7})');
    await b.ready();
    expect(b.texts).toEqual([]);
    // The same once more, in other words, is not run once more.
    b.emit({ ...CALL, responseId: 'r1', callId: 'c9', args: '{ "id": 7 }' });
    await settled();
    expect(runs).toHaveLength(1);
    runs[0]?.done({ found: true });
    await settled();
    clock.advance(1);
    expect(a.results).toEqual([]);
    expect(b.results).toMatchObject([{ callId: 'c9', result: { output: '{"found":true}', respond: true } }]);
    await call.session.end('caller-hung-up');
  });

  it('tells a result under a name that the next one cannot take for its own', async () => {
    const { tool, runs } = slow();
    const { a, b, call } = await up({ tools: [tool], greeting: undefined });
    a.emit(CALL);
    await settled();
    a.die();
    await settled();
    runs[0]?.done('late');
    await settled();
    await b.ready();
    expect(b.results).toHaveLength(1);
    expect(b.results[0]?.callId).not.toBe('c1');
    expect(b.results[0]?.result).toMatchObject({
      output: 'late',
      respond: true,
      call: { name: 'look_up', args: '{"id":7}' },
    });
    expect(b.texts).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('asks for the answer that was not given to a result', async () => {
    const { tool, runs } = slow();
    const { a, b, call } = await up({ tools: [tool], greeting: undefined });
    a.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Look up seven.', final: true });
    speak(a, 'wait', 'One second.', 200, false, false);
    a.emit(CALL);
    await settled();
    runs[0]?.done('sunny');
    await settled();
    expect(a.results).toHaveLength(1);
    a.die();
    await settled();
    expect(said(b.request?.history)).toEqual([
      'user: Look up seven.',
      'assistant: One second.',
      'tool look_up sunny',
    ]);
    await b.ready();
    expect(b.results).toEqual([]);
    expect(b.texts).toMatchObject([{ options: { respond: true } }]);
    await call.session.end('caller-hung-up');
  });
});

describe('who takes over', () => {
  it('keeps what the sessions call alike apart', async () => {
    const { a, b, call, clock } = await up();
    speak(a, 'i', 'Hello.', 400);
    clock.advance(600);
    a.die();
    await settled();
    await b.ready();
    speak(b, 'i', 'Second.', 1000, true, false);
    clock.advance(300);
    b.emit({ type: 'speechStarted', itemId: 'u' });
    expect(b.interruptions).toHaveLength(1);
    expect(b.interruptions[0]).toMatchObject([{ itemId: 'i', receivedMs: 1000 }]);
    await call.session.end('caller-hung-up');
  });

  it('is somebody else when two die within a second, and the first one again when nobody else is left', async () => {
    const { a, b, c, call, clock } = await up();
    speak(a, 'hello', 'Hello.', 200);
    a.die();
    await settled();
    clock.advance(200);
    await b.ready();
    b.die();
    await settled();
    clock.advance(200);
    await c.ready();
    c.die();
    await settled();
    expect([a.dialled, b.dialled, c.dialled]).toEqual([2, 1, 1]);
    await a.ready();
    expect(call.endReason).toBeUndefined();
    await call.session.end('caller-hung-up');
  });

  it('is nobody who has refused the credentials, the settings or the credit', async () => {
    const { a, b, c, call } = await up();
    a.die(new BridgeError('PROVIDER_QUOTA', 'no credit'));
    await settled();
    await b.fail(new BridgeError('PROVIDER_AUTH', 'wrong key'));
    await c.ready();
    c.die(new BridgeError('PROVIDER_CONFIG', 'no such voice'));
    await settled();
    expect([a.dialled, b.dialled, c.dialled]).toEqual([1, 1, 1]);
    expect(call.endReason).toBe('provider-failed');
  });

  it('is the same one, when it is alone, until it dies twice without an answer in between', async () => {
    const kit = createKit();
    const call = await kit.talk();
    const { provider: a } = kit;
    a.die();
    await settled();
    await a.ready();
    speak(a, 'x', 'There.', 100);
    a.die();
    await settled();
    await a.ready();
    expect(call.endReason).toBeUndefined();
    a.die();
    await settled();
    expect(a.dialled).toBe(3);
    // What there is of its speech is heard first.
    expect(call.endReason).toBeUndefined();
    kit.clock.advance(500);
    expect(call.endReason).toBe('provider-failed');
  });

  it('is the same one first where it can go on with its session', async () => {
    const { a, b, call, all } = await up();
    speak(a, 'hello', 'Hello.', 200);
    a.emit({ type: 'resumable', handle: 'h-1' });
    a.emit({ type: 'resumable', handle: 'h-2' });
    a.die();
    await settled();
    expect(a.request).toMatchObject({ resume: 'h-2', respond: false });
    expect(b.dialled).toBe(0);
    await a.ready();
    expect(all('providerReady').at(-1)).toMatchObject({ provider: 'manual', resumed: true, historyItems: 0 });
    expect(a.said).toEqual(['Hello.']);
    await call.session.end('caller-hung-up');
  });

  it('is the next one when that is refused, and then the same one without its session', async () => {
    const { a, b, c, call } = await up();
    a.emit({ type: 'resumable', handle: 'h' });
    a.die();
    await settled();
    await a.fail(new BridgeError('PROVIDER_EXPIRED', 'handle not found'));
    expect(b.dialled).toBe(1);
    await b.fail(new BridgeError('PROVIDER_UNAVAILABLE', 'down'));
    await c.fail(new BridgeError('PROVIDER_UNAVAILABLE', 'down'));
    expect(a.dialled).toBe(3);
    expect(a.request?.resume).toBeUndefined();
    expect(call.endReason).toBeUndefined();
    await call.session.end('caller-hung-up');
  });

  it('is looked for when the provider keeps still, and not when it has nothing to say', async () => {
    const { a, b, call, clock, all, pass } = await up({ failover: { ...FAILOVER, answerMs: 5000 } });
    speak(a, 'hello', 'Hello.', 200);
    await pass(20_000);
    expect(b.dialled).toBe(0);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    clock.advance(500);
    a.emit({ type: 'speechStopped', itemId: 'u' });
    await pass(4900);
    expect(b.dialled).toBe(0);
    await pass(700);
    expect(b.dialled).toBe(1);
    expect(all('providerFailed')).toMatchObject([{ code: 'PROVIDER_UNAVAILABLE', phase: 'in-call' }]);
    await call.session.end('caller-hung-up');
  });
});

describe('a caller who waits for another provider', () => {
  it('hears a soft tone when it takes long, and is told nothing twice', async () => {
    const { a, b, call, clock, pass, all } = await up();
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(300);
    speak(a, 'cut', 'We open', 400, true, false);
    clock.advance(500);
    a.die();
    await settled();
    const before = call.leg.heardBytes;
    await pass(700, 100);
    expect(call.leg.heardBytes).toBe(before);
    await pass(600, 100);
    expect(call.leg.heardBytes).toBeGreaterThan(before);
    await b.ready();
    speak(b, 'x', 'at nine.', 300);
    clock.advance(1000);
    const [event] = all('failover');
    expect(event?.gapMs).toBeGreaterThanOrEqual(1200);
    expect(event?.connectMs).toBe(1300);
    expect(event?.addedMs).toBe(0);
    await call.session.end('caller-hung-up');
  });

  it('hears nothing of it when nobody owes them anything', async () => {
    const { a, b, call, clock, pass } = await up();
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(1000);
    const before = call.leg.heardBytes;
    a.die();
    await settled();
    await pass(4000);
    expect(call.leg.heardBytes).toBe(before);
    await b.ready();
    expect(b.texts).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('is left alone with somebody to whom they are put through', async () => {
    const { a, b, call, clock, pass } = await up({}, {}, { capabilities: COMMANDS, control: 'command' });
    speak(a, 'cut', 'I will put you', 400, true, false);
    await call.session.transfer(TRANSFER);
    clock.advance(1000);
    const before = call.leg.heardBytes;
    a.die();
    await settled();
    await pass(3000);
    await b.ready();
    expect(b.texts).toEqual([]);
    expect(call.leg.heardBytes).toBe(before);
    await call.session.end('caller-hung-up');
  });

  it('gets the last resort when nobody is left', async () => {
    const { a, b, c, call } = await up();
    a.die(new BridgeError('PROVIDER_AUTH', 'no'));
    await settled();
    await b.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    await c.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    expect(call.endReason).toBe('provider-failed');
    expect(call.ask()).toMatchObject({ type: 'say' });
  });

  it('is said goodbye to by the next one, and the call ends as it was to end', async () => {
    const { a, b, call, clock } = await up({ greeting: undefined });
    call.session.leave('budget-spent', 'We have to end here. Goodbye.');
    expect(a.said.at(-1)).toBe('We have to end here. Goodbye.');
    speak(a, 'bye', 'We have to', 600, true);
    clock.advance(100);
    a.die();
    await settled();
    clock.advance(1000);
    expect(call.endReason).toBeUndefined();
    await b.ready();
    expect(b.said).toEqual(['to end here. Goodbye.']);
    speak(b, 'rest', 'to end here. Goodbye.', 500);
    clock.advance(700);
    expect(call.endReason).toBe('budget-spent');
  });
});

describe('a session that is about to end', () => {
  it('is followed by another one at a quiet moment, of which nobody notices anything', async () => {
    const { a, b, call, clock, pass, all } = await up();
    speak(a, 'hello', 'Hello.', 400);
    clock.advance(1000);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    a.emit({ type: 'expiring', inMs: 60_000 });
    await pass(5000);
    expect(a.dialled).toBe(1);
    a.emit({ type: 'speechStopped', itemId: 'u' });
    speak(a, 'answer', 'Yes.', 400, false, false);
    await pass(6000);
    expect(a.dialled).toBe(2);
    expect(a.closedWith).toBeUndefined();
    await a.ready();
    expect(a.closedWith).toBe('another session goes on');
    expect(b.dialled).toBe(0);
    expect(said(a.request?.history)).toEqual(['assistant: Hello.', 'assistant: Yes.']);
    expect(a.texts).toEqual([]);
    expect(all('providerReady').at(-1)).toMatchObject({ why: 'renewal', provider: 'manual' });
    expect(all('providerFailed')).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('is exchanged in mid-sentence rather than lost, when there was no quiet moment', async () => {
    const { a, b, call, clock, pass } = await up();
    speak(a, 'hello', 'Hello.', 400);
    clock.advance(1000);
    speak(a, 'story', 'Once upon a time', 20_000, true, false);
    a.emit({ type: 'expiring', inMs: 10_000 });
    await pass(6500);
    expect([a.dialled, b.dialled]).toEqual([1, 0]);
    await pass(1000);
    expect(b.dialled + a.dialled).toBe(2);
    expect(call.endReason).toBeUndefined();
    await call.session.end('caller-hung-up');
  });

  it('is said goodbye in when nobody can be had', async () => {
    const { a, b, c, call, pass } = await up({ failover: { ...FAILOVER, answerMs: 0, hedgeMs: 0 } });
    speak(a, 'hello', 'Hello.', 400);
    await pass(1000);
    a.emit({ type: 'expiring', inMs: 60_000 });
    for (let i = 0; i < 120 && a.said.length < 2; i++) {
      await pass(500);
      for (const one of [a, b, c]) await one.fail(new BridgeError('PROVIDER_UNAVAILABLE', 'down'));
    }
    expect(a.said.at(-1)).toContain('longest time');
    expect(call.endReason).toBeUndefined();
    await call.session.end('caller-hung-up');
  });
});
