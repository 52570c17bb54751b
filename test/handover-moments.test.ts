import { describe, expect, it } from 'vitest';
import type { Clip } from '../src/agents.ts';
import { BridgeError } from '../src/errors.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { defineTool } from '../src/tools.ts';
import { pending, REOPENING } from './support/call-kit.ts';
import { type Failover, quiet, said, say, share, speak, up } from './support/failover-kit.ts';
import { type ManualProvider, settled } from './support/manual-provider.ts';

const DOWN = new BridgeError('PROVIDER_UNAVAILABLE', 'down');

/** Functions by name, each of which ends when the test says so. */
function functions(...names: string[]) {
  const results = new Map(names.map((name) => [name, pending<unknown>()]));
  const tools = names.map((name) =>
    defineTool({
      name,
      description: name,
      parameters: { type: 'object' },
      run: () => results.get(name)?.promise,
    }),
  );
  const done = async (name: string, value: unknown): Promise<void> => {
    results.get(name)?.resolve(value);
    await settled();
  };
  return { tools, done };
}

function callOf(name: string, callId = name, responseId = 'r1') {
  return { type: 'toolCall', responseId, callId, name, args: '{}' } as const;
}

/** The caller has asked for something, which is known in words, and waits. */
function asks({ a }: Failover, text: string): void {
  a.emit({ type: 'speechStarted', itemId: 'u' });
  a.emit({ type: 'speechStopped', itemId: 'u' });
  a.emit({ type: 'transcript', role: 'user', itemId: 'u', text, final: true });
}

async function dies(provider: ManualProvider): Promise<void> {
  provider.die();
  await settled();
}

describe('the gap that is told', () => {
  it('begins with the line when nothing has been heard yet, however long the process has been up', async () => {
    const kit = await up();
    const { a, b, clock, call, all } = kit;
    clock.advance(300);
    await dies(a);
    clock.advance(200);
    await b.ready();
    speak(b, 'hello', 'Hello.', 400);
    expect(all('failover')).toMatchObject([{ gapMs: 500, connectMs: 200, answerMs: 0, addedMs: 0 }]);
    await call.session.end('caller-hung-up');
  });

  it('does not end with a clip: whoever hears one waits all the same', async () => {
    const pcm = new Uint8Array(8000 * 2 * 3).fill(9);
    const gapFiller = { afterMs: 800, clips: new Map<string, Clip>([['', { pcm, rate: 8000 }]]) };
    const { a, b, clock, call, pass, all } = await up({ failover: { ...FAILOVER, answerMs: 0, gapFiller } });
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(500);
    speak(a, 'cut', 'We open', 400, true, false);
    clock.advance(400);
    await dies(a);
    const before = call.leg.heardBytes;
    await pass(1500, 100);
    expect(call.leg.heardBytes).toBeGreaterThan(before);
    await b.ready();
    clock.advance(300);
    speak(b, 'x', 'at nine.', 300);
    const [event] = all('failover');
    expect(event?.gapMs).toBeGreaterThanOrEqual(1700);
    expect(event?.answerMs).toBe(300);
    await call.session.end('caller-hung-up');
  });

  it('of two that were lost one after the other holds the time of both', async () => {
    const kit = await up();
    const { a, b, c, clock, call, all } = kit;
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(1000);
    asks(kit, 'When do you open?');
    await dies(a);
    clock.advance(100);
    await b.ready();
    clock.advance(70);
    await dies(b);
    clock.advance(30);
    await c.ready();
    clock.advance(50);
    speak(c, 'x', 'At nine.', 300);
    expect(all('failover')).toMatchObject([
      { from: 'second', to: 'third', gapMs: 250, connectMs: 30, answerMs: 50, addedMs: 0 },
    ]);
    await call.session.end('caller-hung-up');
  });
});

describe('a caller who cuts in on what a lost provider has said', () => {
  it('is heard after the next one was ready: it is told what was not heard', async () => {
    const { a, b, call, clock } = await up();
    speak(a, 'long', 'one two three four five six seven eight', 4000, false, false);
    clock.advance(500);
    await dies(a);
    await b.ready();
    expect(said(b.request?.history)).toEqual(['assistant: one two three four five six seven eight']);
    clock.advance(1500);
    b.emit({ type: 'speechStarted', itemId: 'u' });
    expect(b.texts).toHaveLength(1);
    expect(b.texts[0]?.options.respond).toBe(false);
    expect(b.texts[0]?.text).toMatch(/heard only: "one two three( four)?"$/);
    expect(b.interruptions).toEqual([[]]);
    await call.session.end('caller-hung-up');
  });

  it('has the next one told of both what it said and what the one before it said', async () => {
    const { a, b, call, clock } = await up();
    speak(a, 'long', 'one two three four five six seven eight', 4000, true, false);
    clock.advance(3000);
    await dies(a);
    await b.ready();
    speak(b, 'more', 'nine ten eleven twelve', 2000, true);
    clock.advance(500);
    b.emit({ type: 'speechStarted', itemId: 'u' });
    expect(b.interruptions).toMatchObject([[{ itemId: 'more', playedMs: 0, receivedMs: 2000 }]]);
    expect(b.texts.at(-1)?.text).toMatch(/heard only: "one two/);
    await call.session.end('caller-hung-up');
  });

  it('leaves nothing to be told once all of it was heard', async () => {
    const { a, b, call, clock } = await up();
    speak(a, 'long', 'one two three four', 1000, false, false);
    await dies(a);
    await b.ready();
    clock.advance(1500);
    b.emit({ type: 'speechStarted', itemId: 'u' });
    expect(b.texts).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('has whoever is ready corrected by what that one was told, not by what another was told later', async () => {
    const kit = await up({ failover: { ...FAILOVER, hedgeMs: 1500 } });
    const { a, b, c, call, clock, pass } = kit;
    speak(a, 'long', 'one two three four five six seven eight', 4000, false, false);
    clock.advance(500);
    await dies(a);
    say(kit, 0, 1200);
    expect(call.leg.log).toContain('clear');
    await pass(500);
    expect([b.dialled, c.dialled]).toEqual([1, 1]);
    expect(said(c.request?.history)[0]).toMatch(/^assistant: one( two)?( three)?( four)?$/);
    await b.ready();
    expect(b.texts[0]?.text).toContain('heard only');
    await call.session.end('caller-hung-up');
  });
});

describe('the end of a call whose provider dies', () => {
  it('waits for the rest of a final goodbye, also if the caller speaks meanwhile', async () => {
    const kit = await up({ greeting: undefined });
    const { a, b, call, clock } = kit;
    call.session.leave('budget-spent', 'We have to end here. Goodbye.');
    speak(a, 'bye', 'We have to', 600, true);
    clock.advance(100);
    await dies(a);
    say(kit, 0, 1000);
    await b.ready();
    expect(b.insisted).toHaveLength(1);
    quiet(kit, 2000);
    b.emit({ type: 'speechStarted', itemId: 'u' });
    b.emit({ type: 'speechStopped', itemId: 'u' });
    clock.advance(500);
    expect(call.endReason).toBeUndefined();
    speak(b, 'rest', 'to end here. Goodbye.', 500);
    clock.advance(1000);
    expect(call.endReason).toBe('budget-spent');
  });

  it('waits for the rest of a message on a machine', async () => {
    const message = 'This is the harbour inn. Your table is ready at nine.';
    const kit = await up({ greeting: undefined }, {}, { machine: { mode: 'leave-message', message } });
    const { a, b, call, clock } = kit;
    call.session.onCarrierEvent({
      type: 'machine',
      callId: 'CA1',
      ref: undefined,
      result: 'machine-beep',
      greetingOver: true,
    });
    expect(a.said).toEqual([message]);
    speak(a, 'm', 'This is the harbour', 1200, true);
    clock.advance(1100);
    await dies(a);
    clock.advance(1000);
    await b.ready();
    expect(b.said).toEqual(['harbour inn. Your table is ready at nine.']);
    clock.advance(500);
    expect(call.endReason).toBeUndefined();
    speak(b, 'rest', 'harbour inn. Your table is ready at nine.', 900);
    clock.advance(1500);
    expect(call.endReason).toBe('message-left');
  });

  it('is the end that was wanted when nobody is left after the goodbye was said', async () => {
    const kit = await up({ greeting: undefined });
    const { a, b, c, call, clock } = kit;
    call.session.leave('budget-spent', 'Goodbye.');
    speak(a, 'bye', 'Goodbye.', 3000);
    clock.advance(500);
    a.die(DOWN);
    await settled();
    for (const one of [b, c]) await one.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    await a.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    clock.advance(3000);
    expect(call.endReason).toBe('budget-spent');
  });

  it('comes when the goodbye was heard, also if an answer is owed besides', async () => {
    const kit = await up({ greeting: undefined });
    const { a, b, call, clock } = kit;
    asks(kit, 'And how late is it?');
    call.session.leave('budget-spent', 'Goodbye.');
    speak(a, 'bye', 'Goodbye.', 2000);
    clock.advance(500);
    await dies(a);
    await b.ready();
    clock.advance(1000);
    expect(call.endReason).toBeUndefined();
    clock.advance(700);
    expect(call.endReason).toBe('budget-spent');
  });

  it('comes when the goodbye was heard, whoever is still being dialled', async () => {
    const kit = await up({ greeting: undefined });
    const { a, b, call, clock } = kit;
    call.session.leave('budget-spent', 'Goodbye.');
    speak(a, 'bye', 'Goodbye.', 1000);
    clock.advance(500);
    await dies(a);
    expect(b.dialled).toBe(1);
    clock.advance(1000);
    expect(call.endReason).toBe('budget-spent');
  });
});

describe('functions of a provider that dies', () => {
  it('that were called together are answered once: nothing is asked for when that was done', async () => {
    const { tools, done } = functions('one', 'two');
    const kit = await up({ tools, greeting: undefined });
    const { a, b, call, clock } = kit;
    asks(kit, 'Do both.');
    a.emit({ type: 'responseStarted', responseId: 'r1', asked: false });
    a.emit(callOf('one'));
    a.emit(callOf('two'));
    a.emit({ type: 'responseDone', responseId: 'r1', status: 'completed', reason: undefined });
    await settled();
    await done('one', 1);
    await done('two', 2);
    expect(a.results).toHaveLength(2);
    speak(a, 'answer', 'Both are done.', 400);
    clock.advance(1000);
    await dies(a);
    await b.ready();
    expect(b.texts).toEqual([]);
    expect(b.said).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('are cancelled by the next one under the name that it gave them', async () => {
    const signals: AbortSignal[] = [];
    const tool = defineTool({
      name: 'look_up',
      description: 'Looks up.',
      parameters: { type: 'object' },
      run: (_args, { signal }) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
    });
    const { a, b, call } = await up({ tools: [tool], greeting: undefined }, { cancelsTools: true });
    a.emit(callOf('look_up', 'c1'));
    await settled();
    await dies(a);
    await b.ready();
    b.emit(callOf('look_up', 'c9'));
    await settled();
    expect(signals).toHaveLength(1);
    b.emit({ type: 'toolCallsCancelled', callIds: ['c9'] });
    await settled();
    expect(signals[0]?.aborted).toBe(true);
    expect(b.results.filter((one) => one.result.respond)).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('have a caller who waits hear something once their result waits for somebody to speak of it', async () => {
    const { tools, done } = functions('one');
    const kit = await up({ tools, greeting: undefined });
    const { a, b, call, clock, pass } = kit;
    asks(kit, 'Look it up.');
    a.emit({ type: 'responseStarted', responseId: 'r1', asked: false });
    a.emit(callOf('one'));
    a.emit({ type: 'responseDone', responseId: 'r1', status: 'completed', reason: undefined });
    await dies(a);
    clock.advance(300);
    await done('one', 1);
    await pass(1500, 100);
    expect(call.leg.heardBytes).toBeGreaterThan(0);
    await b.ready();
    expect(b.results).toMatchObject([{ result: { respond: true } }]);
    await call.session.end('caller-hung-up');
  });
});

describe('what is asked of one provider after the other', () => {
  it('is not asked once more when the answer that the second one was asked for was given', async () => {
    const kit = await up();
    const { a, b, c, call, clock } = kit;
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(1000);
    asks(kit, 'When do you open?');
    await dies(a);
    await b.ready();
    expect(b.texts).toMatchObject([{ options: { respond: true } }]);
    speak(b, 'answer', 'At nine.', 500);
    clock.advance(1000);
    await dies(b);
    await c.ready();
    expect(c.texts).toEqual([]);
    expect(said(c.request?.history)).toEqual([
      'assistant: Hello.',
      'user: When do you open?',
      'assistant: At nine.',
    ]);
    await call.session.end('caller-hung-up');
  });

  it('is one thing when the line broke in mid-sentence before', async () => {
    const kit = await up({}, {}, { capabilities: REOPENING });
    const { a, b, call, clock } = kit;
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(500);
    speak(a, 'long', 'one two three four five six seven eight', 4000, true, false);
    clock.advance(1000);
    call.cut();
    await dies(a);
    clock.advance(100);
    await b.ready();
    call.stream();
    await settled();
    expect(b.texts.filter((one) => one.options.respond)).toHaveLength(1);
    await call.session.end('caller-hung-up');
  });

  it('goes on where the answer was cut, also if the question has to be heard once more', async () => {
    const kit = await up();
    const { a, b, call, clock } = kit;
    speak(a, 'hello', 'Hello.', 200);
    quiet(kit, 3000);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    say(kit, 0, 1500);
    quiet(kit, 300);
    a.emit({ type: 'speechStopped', itemId: 'u' });
    speak(a, 'answer', 'We open at nine and close at', 2000, true, false);
    clock.advance(100);
    await dies(a);
    await b.ready();
    quiet(kit, 200);
    expect(share(b, 0, 1500)).toBeGreaterThan(0.9);
    expect(b.texts).toHaveLength(1);
    expect(b.texts[0]?.options.respond).toBe(false);
    expect(b.texts[0]?.text).toContain('repeat nothing');
    await call.session.end('caller-hung-up');
  });

  it('is nothing when a session is exchanged over what its provider took for no speech', async () => {
    const kit = await up();
    const { a, b, call, all, pass } = kit;
    speak(a, 'hello', 'Hello.', 200);
    quiet(kit, 1000);
    say(kit, 0, 700);
    quiet(kit, 9000);
    a.emit({ type: 'expiring', inMs: 60_000 });
    await pass(20, 20);
    expect(a.dialled).toBe(2);
    await a.ready();
    expect(b.dialled).toBe(0);
    expect(all('providerReady').at(-1)).toMatchObject({ why: 'renewal', replayedMs: 0 });
    await call.session.end('caller-hung-up');
  });
});

describe('who was lost twice', () => {
  it('is tried again after somebody else has held the call for a while', async () => {
    const { a, b, c, call, clock } = await up();
    for (const one of [a, b, c, a]) {
      await dies(one);
      clock.advance(100);
      const next = one === a ? b : one === b ? c : a;
      await next.ready();
    }
    // The first was lost twice; the second answers, and is lost much later.
    speak(b, 'x', 'There.', 100);
    clock.advance(600_000);
    await dies(b);
    await c.fail(DOWN);
    expect(a.dialled).toBe(3);
    await call.session.end('caller-hung-up');
  });
});
