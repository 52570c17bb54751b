import { describe, expect, it } from 'vitest';
import type { CallEvent } from '../src/call-events.ts';
import { BridgeError } from '../src/errors.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { collectDigits } from '../src/tools/built-in.ts';
import { REOPENING } from './support/call-kit.ts';
import { quiet, said, say, share, speak, up } from './support/failover-kit.ts';
import { type ManualProvider, settled } from './support/manual-provider.ts';
import { slowTool } from './support/slow-tool.ts';

async function dies(provider: ManualProvider): Promise<void> {
  provider.die();
  await settled();
}

/** The caller has said something, of which no words are known yet. */
function question(kit: Awaited<ReturnType<typeof up>>, provider: ManualProvider, id = 'u'): void {
  provider.emit({ type: 'speechStarted', itemId: id });
  say(kit, 0, 1500);
  quiet(kit, 300);
  provider.emit({ type: 'speechStopped', itemId: id });
}

function words(provider: ManualProvider, text: string, final = true, id = 'u'): void {
  provider.emit({ type: 'transcript', role: 'user', itemId: id, text, final });
}

/** A call in which the greeting was heard. */
async function greeted(...terms: Parameters<typeof up>) {
  const kit = await up(...terms);
  speak(kit.a, 'hello', 'Hello.', 200);
  quiet(kit, 3000);
  return kit;
}

const PATIENT = { ...FAILOVER, answerMs: 0, hedgeMs: 0, connectMs: 60_000 };

describe('what the caller has said, and the next provider', () => {
  it('is not said to it once more when it was answered, whether its words are known or not', async () => {
    const kit = await greeted();
    const { a, b, call, all } = kit;
    question(kit, a);
    speak(a, 'answer', 'At nine.', 200, false, false);
    await dies(a);
    await b.ready();
    expect(all('providerReady').at(-1)?.replayedMs).toBe(0);
    expect(b.texts).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('is said to it once more when only some of its words are known', async () => {
    const kit = await greeted();
    const { a, b, call } = kit;
    question(kit, a);
    words(a, 'I want', false);
    a.emit({ type: 'transcript', role: 'assistant', itemId: 'hello', text: 'Hello.', final: true });
    await dies(a);
    await b.ready();
    quiet(kit, 300);
    expect(share(b, 0, 1500)).toBe(1);
    await call.session.end('caller-hung-up');
  });

  it('is said to the third one when the second one dies over it as well', async () => {
    const kit = await greeted();
    const { a, b, c, call, all } = kit;
    question(kit, a);
    await dies(a);
    await b.ready();
    quiet(kit, 300);
    expect(share(b, 0, 1500)).toBe(1);
    await dies(b);
    quiet(kit, 200);
    await c.ready();
    quiet(kit, 300);
    expect(share(c, 0, 1500)).toBe(1);
    speak(c, 'answer', 'At nine.', 300, false, false);
    expect(all('failover')).toMatchObject([{ from: 'second', to: 'third', answerMs: 300 }]);
    await call.session.end('caller-hung-up');
  });

  it('stays owed when the agent says something else that it was asked for', async () => {
    const kit = await greeted({ silence: { afterMs: 0, prompts: [], goodbye: '' } });
    const { a, b, call } = kit;
    question(kit, a);
    words(a, 'When do you open?');
    speak(a, 'other', 'You have pressed five.', 200);
    await dies(a);
    await b.ready();
    expect(b.texts).toMatchObject([{ text: 'The caller waits for you to answer now.' }]);
    await call.session.end('caller-hung-up');
  });

  it('is owed no more once a function was asked because of it', async () => {
    const { tool, finish } = slowTool('search');
    const kit = await greeted({ tools: [tool] });
    const { a, b, call } = kit;
    question(kit, a);
    words(a, 'Look it up.');
    a.emit({ type: 'toolCall', responseId: 'r1', callId: 'c1', name: 'search', args: '{}' });
    await settled();
    await finish('found');
    speak(a, 'answer', 'It is there.', 200);
    await dies(a);
    await b.ready();
    expect(b.texts).toEqual([]);
    await call.session.end('caller-hung-up');
  });

  it('is owed no more by one that acts before the bridge itself has heard the end of it', async () => {
    const { tool, finish } = slowTool('search');
    const kit = await greeted({ tools: [tool] }, {}, { provider: { bargeIn: 'interrupted' } });
    const { a, b, call, all } = kit;
    say(kit, 0, 1500);
    quiet(kit, 100);
    words(a, 'Look it up.');
    a.emit({ type: 'toolCall', responseId: 'r1', callId: 'c1', name: 'search', args: '{}' });
    quiet(kit, 1500);
    await finish('found');
    speak(a, 'answer', 'It is there.', 200);
    await dies(a);
    await b.ready();
    expect(b.texts).toEqual([]);
    expect(all('providerReady').at(-1)?.replayedMs).toBe(0);
    await call.session.end('caller-hung-up');
  });

  it('is owed by one that was cut off before the bridge itself has heard the end of it', async () => {
    const kit = await greeted({}, {}, { provider: { bargeIn: 'interrupted' } });
    const { a, b, call } = kit;
    say(kit, 0, 1500);
    speak(a, 'hasty', 'Well,', 100, true, false);
    a.emit({ type: 'interrupted', responseId: 'r-hasty' });
    say(kit, 1500, 2500);
    quiet(kit, 1500);
    words(a, 'When do you open?');
    await dies(a);
    await b.ready();
    expect(b.texts).toMatchObject([{ text: 'The caller waits for you to answer now.' }]);
    await call.session.end('caller-hung-up');
  });

  it('is owed also while a function runs that they did not ask about', async () => {
    const { tool } = slowTool('search');
    const kit = await greeted({ tools: [tool] });
    const { a, b, call } = kit;
    a.emit({ type: 'toolCall', responseId: 'r1', callId: 'c1', name: 'search', args: '{}' });
    await settled();
    question(kit, a);
    words(a, 'And what does it cost?');
    await dies(a);
    await b.ready();
    expect(b.texts).toMatchObject([{ text: 'The caller waits for you to answer now.' }]);
    await call.session.end('caller-hung-up');
  });

  it('is owed by one that had just begun to answer, also if nobody has told when they stopped', async () => {
    const kit = await greeted();
    const { a, b, call } = kit;
    words(a, 'When do you open?');
    a.emit({ type: 'responseStarted', responseId: 'r1', asked: false });
    await dies(a);
    await b.ready();
    expect(b.texts).toMatchObject([{ text: 'The caller waits for you to answer now.' }]);
    await call.session.end('caller-hung-up');
  });

  it('is known to be incomplete to one that takes speech only as it is spoken', async () => {
    const kit = await greeted({}, { catchUp: false });
    const { a, b, call } = kit;
    a.emit({ type: 'speechStarted', itemId: 'u' });
    say(kit, 0, 1200);
    await dies(a);
    say(kit, 1200, 1500);
    await b.ready();
    expect(b.texts).toMatchObject([{ options: { respond: false } }]);
    expect(b.texts[0]?.text).toContain('the beginning of what they say did not reach you');
    await call.session.end('caller-hung-up');
  });

  it('ends the wait for the agent: what is told of the gap is what it was until then', async () => {
    const kit = await greeted();
    const { a, b, call, clock, all } = kit;
    a.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Go on.', final: true });
    speak(a, 'cut', 'We open', 400, true, false);
    clock.advance(500);
    await dies(a);
    clock.advance(300);
    await b.ready();
    clock.advance(200);
    b.emit({ type: 'speechStarted', itemId: 'u2' });
    expect(all('failover')).toMatchObject([{ connectMs: 300, answerMs: 0, addedMs: 0 }]);
    // From the end of what was heard, half a second before.
    expect(all('failover')[0]?.gapMs).toBeGreaterThanOrEqual(450);
    expect(all('failover')[0]?.gapMs).toBeLessThanOrEqual(600);
    await call.session.end('caller-hung-up');
  });
});

describe('what the agent was asked for', () => {
  it('is gone on with, when it was an answer to a result that was cut in the middle', async () => {
    const { tool, finish } = slowTool('search');
    const { a, b, call, clock } = await up({ tools: [tool], greeting: undefined });
    a.emit({ type: 'toolCall', responseId: 'r1', callId: 'c1', name: 'search', args: '{}' });
    await settled();
    await finish('found');
    speak(a, 'answer', 'It is on the', 1000, true);
    clock.advance(300);
    await dies(a);
    await b.ready();
    expect(b.texts).toHaveLength(1);
    expect(b.texts[0]?.text).toContain('Go on from exactly there');
    await call.session.end('caller-hung-up');
  });

  it('is asked of the third one in the same words when the second one dies before it begins', async () => {
    const { a, b, c, call, clock } = await up();
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(500);
    speak(a, 'cut', 'one two three four five six', 3000, true, false);
    clock.advance(200);
    await dies(a);
    await b.ready();
    expect(b.texts).toHaveLength(1);
    await dies(b);
    await c.ready();
    expect(c.texts).toEqual(b.texts);
    await call.session.end('caller-hung-up');
  });

  it('is done when all of its audio came, though nobody said that the answer was complete', async () => {
    const kit = await greeted();
    const { a, b, call } = kit;
    words(a, 'When do you open?');
    speak(a, 'answer', 'We open at nine every day of the week.', 500, true, false);
    a.emit({ type: 'audioDone', responseId: 'r-answer', itemId: 'answer' });
    await dies(a);
    await b.ready();
    expect(b.texts).toEqual([]);
    expect(said(b.request?.history).at(-1)).toBe('assistant: We open at nine every day of the week.');
    await call.session.end('caller-hung-up');
  });

  it('stays asked for when something else was said to its end', async () => {
    const { a, b, call, clock } = await up();
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(500);
    call.session.leave('shutdown', 'Goodbye then.');
    a.emit({ type: 'responseStarted', responseId: 'r2', asked: false });
    a.emit({ type: 'transcript', role: 'assistant', itemId: 'x', text: 'Yes.', final: true });
    a.emit({ type: 'audio', responseId: 'r2', itemId: 'x', bytes: new Uint8Array(800) });
    a.emit({ type: 'audioDone', responseId: 'r2', itemId: 'x' });
    await dies(a);
    await b.ready();
    expect(b.said).toEqual(['Goodbye then.']);
    await call.session.end('caller-hung-up');
  });

  it('is not asked once more when it was a question into the silence, which has begun anew', async () => {
    const silence = { afterMs: 5000, prompts: ['Are you there?'], goodbye: 'Goodbye.' };
    const { a, b, call, clock } = await up({ silence });
    speak(a, 'hello', 'Hello.', 200);
    clock.advance(5600);
    expect(a.said.at(-1)).toBe('Are you there?');
    await dies(a);
    await b.ready();
    expect(b.said).toEqual([]);
    clock.advance(4900);
    expect(b.said).toEqual([]);
    clock.advance(200);
    expect(b.said).toEqual(['Goodbye.']);
    await call.session.end('caller-hung-up');
  });
});

describe('a provider that takes over and keeps still', () => {
  it('is given up for the question that it was sent once more', async () => {
    const kit = await greeted({ failover: { ...FAILOVER, answerMs: 4000 } });
    const { a, b, c, call, pass } = kit;
    question(kit, a);
    await dies(a);
    await b.ready();
    await pass(3900, 100);
    expect(c.dialled).toBe(0);
    await pass(300, 100);
    expect(c.dialled).toBe(1);
    await call.session.end('caller-hung-up');
  });

  it('is left alone when nothing was asked of it', async () => {
    const kit = await greeted({ failover: { ...FAILOVER, answerMs: 4000 } });
    const { a, b, c, call, pass } = kit;
    await dies(a);
    await b.ready();
    await pass(20_000, 100);
    expect(c.dialled).toBe(0);
    await call.session.end('caller-hung-up');
  });

  it('is given up for what only the bridge has heard, after half as long again', async () => {
    const kit = await up(
      { failover: { ...FAILOVER, answerMs: 4000 } },
      {},
      { provider: { bargeIn: 'interrupted' } },
    );
    const { a, b, call, pass } = kit;
    speak(a, 'hello', 'Hello.', 200);
    quiet(kit, 3000);
    say(kit, 0, 2500);
    quiet(kit, 1000);
    await pass(4500, 100);
    expect(b.dialled).toBe(0);
    await pass(2000, 100);
    expect(b.dialled).toBe(1);
    await call.session.end('caller-hung-up');
  });
});

describe('the tone of a gap', () => {
  it('comes when the caller has spoken to nobody, and not any more once the agent has', async () => {
    const kit = await greeted({ failover: PATIENT });
    const { a, b, call, pass } = kit;
    await dies(a);
    const before = call.leg.heardBytes;
    await pass(1500, 100);
    expect(call.leg.heardBytes).toBe(before);
    say(kit, 0, 2000);
    quiet(kit, 700);
    await pass(1200, 100);
    expect(call.leg.heardBytes).toBeGreaterThan(before);
    await b.ready();
    await pass(1000, 100);
    speak(b, 'x', 'At nine.', 200, false, false);
    await pass(300, 100);
    const after = call.leg.heardBytes;
    await pass(20_000, 100);
    expect(call.leg.heardBytes).toBe(after);
    await call.session.end('caller-hung-up');
  });
});

describe('the tone of a gap, where there is none', () => {
  it('is not heard while a provider that is there thinks about its answer', async () => {
    const kit = await greeted({ failover: PATIENT });
    const { a, call, pass } = kit;
    const before = call.leg.heardBytes;
    question(kit, a);
    await pass(5000, 100);
    expect(call.leg.heardBytes).toBe(before);
    await call.session.end('caller-hung-up');
  });

  it('begins when nobody has been heard for its time, not sooner', async () => {
    const kit = await greeted({ failover: PATIENT });
    const { a, call, pass } = kit;
    question(kit, a);
    await dies(a);
    const before = call.leg.heardBytes;
    await pass(700, 100);
    expect(call.leg.heardBytes).toBe(before);
    await pass(400, 100);
    expect(call.leg.heardBytes).toBeGreaterThan(before);
    await call.session.end('caller-hung-up');
  });

  it('goes on until the next one speaks, whatever it says before that', async () => {
    const kit = await greeted({ failover: PATIENT });
    const { a, b, call, pass } = kit;
    question(kit, a);
    await dies(a);
    await b.ready();
    words(b, 'When do you open?', true, 'u2');
    b.emit({ type: 'responseStarted', responseId: 'r', asked: false });
    const before = call.leg.heardBytes;
    await pass(1500, 100);
    expect(call.leg.heardBytes).toBeGreaterThan(before);
    await call.session.end('caller-hung-up');
  });
});

describe('a session that is exchanged because it is about to end', () => {
  it('is exchanged once', async () => {
    const kit = await greeted();
    const { a, call, pass } = kit;
    quiet(kit, 9000);
    a.emit({ type: 'expiring', inMs: 60_000 });
    await pass(400, 100);
    await a.ready();
    expect(a.dialled).toBe(2);
    await pass(120_000);
    expect(a.dialled).toBe(2);
    await call.session.end('caller-hung-up');
  });

  it('is not exchanged while a function runs or a goodbye is on its way', async () => {
    const { tool, finish } = slowTool('search');
    const kit = await greeted({ tools: [tool] });
    const { a, call, pass } = kit;
    quiet(kit, 9000);
    a.emit({ type: 'toolCall', responseId: 'r1', callId: 'c1', name: 'search', args: '{}' });
    a.emit({ type: 'expiring', inMs: 60_000 });
    await pass(3000, 100);
    expect(a.dialled).toBe(1);
    await finish('found');
    speak(a, 'answer', 'It is there.', 200);
    call.session.leave('shutdown', 'Goodbye.');
    await pass(3000, 100);
    expect(a.dialled).toBe(1);
    await call.session.end('caller-hung-up');
  });

  it('is not exchanged while the caller waits for an answer', async () => {
    const kit = await greeted();
    const { a, call, pass } = kit;
    quiet(kit, 9000);
    question(kit, a);
    a.emit({ type: 'expiring', inMs: 60_000 });
    await pass(2000, 100);
    expect(a.dialled).toBe(1);
    speak(a, 'answer', 'At nine.', 200, false, false);
    await pass(1000, 100);
    expect(a.dialled).toBe(2);
    await call.session.end('caller-hung-up');
  });

  it('is exchanged later when the caller speaks just as the next one is ready', async () => {
    const kit = await greeted();
    const { a, call, pass, all } = kit;
    quiet(kit, 9000);
    a.emit({ type: 'speechStarted', itemId: 'u' });
    a.emit({ type: 'speechStopped', itemId: 'u' });
    speak(a, 'x', 'Yes.', 100, false, false);
    await pass(500, 100);
    a.emit({ type: 'expiring', inMs: 60_000 });
    await pass(400, 100);
    expect(a.dialled).toBe(2);
    // The caller presses a key, which the model is asked about.
    call.session.onLegEvent({ type: 'dtmf', digit: '5' });
    await pass(1500, 100);
    await a.ready();
    expect(all('providerReady')).toHaveLength(1);
    expect(a.open).toBe(1);
    await call.session.end('caller-hung-up');
  });
});

describe('what the sessions of a call have used', () => {
  it('is billed to the one that used it, also after it was lost', async () => {
    const { a, b, call, all } = await up();
    const usage = {
      inputTextTokens: 1,
      inputAudioTokens: 0,
      cachedTextTokens: 0,
      cachedAudioTokens: 0,
      outputTextTokens: 0,
      outputAudioTokens: 0,
    };
    a.emit({ type: 'usage', usage });
    await dies(a);
    await b.ready();
    a.emit({ type: 'usage', usage: { ...usage, inputTextTokens: 2 } });
    b.emit({ type: 'usage', usage: { ...usage, inputTextTokens: 3 } });
    const billed = all('usage').map((one) => `${one.provider} ${one.usage.inputTextTokens}`);
    expect(billed).toEqual(['manual 1', 'manual 2', 'second 3']);
    await call.session.end('caller-hung-up');
  });

  it('is told with the errors of all of them', async () => {
    const { a, b, call } = await up();
    a.emit({ type: 'error', error: new BridgeError('PROVIDER_UNAVAILABLE', 'broken'), fatal: true });
    await settled();
    await b.ready();
    b.emit({ type: 'error', error: new BridgeError('PROVIDER_UNAVAILABLE', 'odd'), fatal: false });
    expect(call.session.counts.providerErrors).toBe(2);
    await call.session.end('caller-hung-up');
  });
});

describe('what goes on while nobody is there to speak', () => {
  it('are the keys that a function waits for: the next one is told them', async () => {
    const tool = collectDigits({ max: 4, endKey: '#', firstMs: 5000, nextMs: 3000 });
    const kit = await greeted({ tools: [tool] });
    const { a, b, call, clock } = kit;
    a.emit({ type: 'toolCall', responseId: 'r1', callId: 'c1', name: tool.definition.name, args: '{}' });
    await settled();
    call.session.onLegEvent({ type: 'dtmf', digit: '1' });
    await dies(a);
    call.session.onLegEvent({ type: 'dtmf', digit: '2' });
    await b.ready();
    expect(b.texts).toEqual([]);
    clock.advance(2000);
    call.session.onLegEvent({ type: 'dtmf', digit: '3' });
    call.session.onLegEvent({ type: 'dtmf', digit: '#' });
    await settled();
    expect(b.results).toHaveLength(1);
    expect(b.results[0]?.result.output).toContain('123');
    await call.session.end('caller-hung-up');
  });

  it('are the keys that nobody waits for: the next one is told them, and answers', async () => {
    const kit = await greeted();
    const { a, b, call, clock } = kit;
    await dies(a);
    call.session.onLegEvent({ type: 'dtmf', digit: '7' });
    clock.advance(4500);
    await b.ready();
    expect(b.texts).toMatchObject([{ options: { respond: true, digits: '7' } }]);
    await call.session.end('caller-hung-up');
  });

  it('is the clip of a function that takes its time: it ends when the next one speaks', async () => {
    const { tool } = slowTool('search');
    const clip = { pcm: new Uint8Array(8000 * 2 * 4).fill(9), rate: 8000 as const };
    const filler = { afterMs: 500, texts: [], clip, everyMs: 8000, atMost: 1 };
    const kit = await greeted({ tools: [tool], filler });
    const { a, b, call, clock } = kit;
    a.emit({ type: 'toolCall', responseId: 'r1', callId: 'c1', name: 'search', args: '{}' });
    await settled();
    clock.advance(1000);
    const before = call.leg.heardBytes;
    await dies(a);
    clock.advance(1000);
    expect(call.leg.heardBytes - before).toBe(8000);
    await b.ready();
    speak(b, 'x', 'It takes a moment.', 300, false, false);
    clock.advance(1000);
    expect(call.leg.heardBytes - before).toBe(8000 + 2400);
    await call.session.end('caller-hung-up');
  });

  it('is a function: whoever asks for it again, in whatever form, waits for the one that runs', async () => {
    const { tool, finish, calls } = slowTool('search');
    const { a, b, c, call } = await up({ tools: [tool], greeting: undefined });
    const search = { type: 'toolCall', responseId: 'r1', name: 'search' } as const;
    a.emit({ ...search, callId: 'c1', args: '{"a":1,"b":2}' });
    await settled();
    await dies(a);
    await b.ready();
    b.emit({ ...search, callId: 'c1', args: '{ "b": 2, "a": 1 }' });
    await settled();
    await dies(b);
    await c.ready();
    // Adopted twice; what cannot be read, or is another thing, is its own.
    c.emit({ ...search, callId: 'c3', args: '{"a":' });
    c.emit({ ...search, callId: 'c2', args: '{"a":1}' });
    c.emit({ ...search, callId: 'c1', args: '{"b":2,"a":1}' });
    await settled();
    expect(calls).toHaveLength(2);
    await finish();
    await finish();
    expect(c.results.map((one) => one.callId).sort()).toEqual(['c1', 'c2', 'c3']);
    expect(b.results).toEqual([]);
    await call.session.end('caller-hung-up');
  });
});

describe('a line that is away when the provider dies', () => {
  it('is not there yet: what the first one said is heard in its format, and the rest in that of the next', async () => {
    const { admit, provider: a, clock, ...kit } = await up();
    const before = admit('CA2');
    await a.ready();
    speak(a, 'g', 'Hel', 500, true);
    await dies(a);
    kit.b.format = { encoding: 'pcm16', rate: 24_000 };
    await kit.b.ready();
    kit.b.emit({ type: 'responseStarted', responseId: 'r', asked: true });
    kit.b.emit({ type: 'audio', responseId: 'r', itemId: 'x', bytes: new Uint8Array(24_000) });
    kit.b.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    before.stream();
    clock.advance(3000);
    // Half a second of each, filled up to whole frames.
    expect(before.leg.heardBytes).toBeGreaterThanOrEqual(8000);
    expect(before.leg.heardBytes).toBeLessThanOrEqual(8000 + 320);
    await before.session.end('caller-hung-up');
  });

  it('comes back before the next one is there: the caller is heard from its first word', async () => {
    const kit = await greeted({}, {}, { capabilities: REOPENING });
    const { a, b, call } = kit;
    call.cut();
    await dies(a);
    call.stream();
    quiet(kit, 500);
    say(kit, 0, 1500);
    quiet(kit, 800);
    await b.ready();
    quiet(kit, 300);
    expect(share(b, 0, 1500)).toBe(1);
    expect(said(b.request?.history)).toEqual(['assistant: Hello.']);
    await call.session.end('caller-hung-up');
  });
});

describe('a provider that is ready', () => {
  it('and speaks in real time has a little of its speech kept back at first, also in the place of another', async () => {
    const kit = await greeted({}, { speech: 'continuous' });
    const { a, b, call, clock } = kit;
    await dies(a);
    await b.ready();
    const played = call.leg.played.length;
    b.emit({ type: 'responseStarted', responseId: 'r', asked: false });
    b.emit({ type: 'audio', responseId: 'r', itemId: 'i', bytes: new Uint8Array(80 * 8).fill(0x55) });
    clock.advance(80);
    expect(call.leg.played.length).toBe(played);
    clock.advance(60);
    expect(call.leg.played.length).toBeGreaterThan(played);
    await call.session.end('caller-hung-up');
  });

  it('says nothing to a machine that is to be hung up on', async () => {
    const kit = await greeted({}, {}, { machine: { mode: 'hang-up' } });
    const { a, b, call } = kit;
    await dies(a);
    const machine = { type: 'machine', callId: 'CA1', ref: undefined, result: 'machine' } as const;
    call.session.onCarrierEvent({ ...machine, greetingOver: false });
    expect(call.endReason).toBeUndefined();
    await b.ready();
    expect(call.endReason).toBe('machine-answered');
    expect([b.said, b.texts, b.open]).toEqual([[], [], 0]);
  });

  it('and never says the greeting that it was asked for leaves nobody waiting for ever', async () => {
    const silence = { afterMs: 5000, prompts: ['Are you there?'], goodbye: 'Goodbye.' };
    const { a, call, clock } = await up({ silence });
    expect(a.said).toEqual(['Hello.']);
    clock.advance(5100);
    expect(a.said).toEqual(['Hello.', 'Are you there?']);
    await call.session.end('caller-hung-up');
  });
});

describe('an operator who ends the service in the gap', () => {
  it('has the next provider say goodbye, or ends the call without one', async () => {
    const kit = await greeted();
    const { a, b, call, clock } = kit;
    await dies(a);
    call.session.leave('shutdown', 'We have to stop. Goodbye.');
    clock.advance(500);
    expect(call.endReason).toBeUndefined();
    await b.ready();
    expect(b.said).toEqual(['We have to stop. Goodbye.']);
    speak(b, 'bye', 'We have to stop. Goodbye.', 500);
    clock.advance(1000);
    expect(call.endReason).toBe('shutdown');
  });

  it('and the longest time of a call that is over in it, are said once', async () => {
    const kit = await greeted({ maxCallMs: 10_000, maxCallGoodbye: 'Time is up.' });
    const { a, b, call, clock } = kit;
    await dies(a);
    clock.advance(12_000);
    await b.ready();
    expect(b.said).toEqual(['Time is up.']);
    speak(b, 'bye', 'Time is up.', 500);
    clock.advance(1000);
    expect(call.endReason).toBe('max-duration');
    const ends = kit.events.filter((event: CallEvent) => event.type === 'ended');
    expect(ends).toHaveLength(1);
  });
});
