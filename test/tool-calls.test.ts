import { describe, expect, it } from 'vitest';
import type { FillerPolicy } from '../src/agents.ts';
import type { ControlResult } from '../src/carrier.ts';
import {
  collectDigits,
  type Destination,
  endCall,
  leaveMessage,
  transferCall,
} from '../src/tools/built-in.ts';
import type { Tool } from '../src/tools.ts';
import {
  COMMANDS,
  createKit,
  type Kit,
  type KitCall,
  type KitOptions,
  pending,
  refused,
} from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';
import { slowTool as slow } from './support/slow-tool.ts';

/** Function calls in whole calls: from what the model wants to what caller and model hear. */

const FILLER: FillerPolicy = {
  afterMs: 2000,
  texts: ['One moment.', 'Nearly there.'],
  clip: undefined,
  everyMs: 8000,
  atMost: 3,
};
/** 400 ms of a sound that is no silence in mu-law. */
const CLIP = { pcm: new Uint8Array(6400).fill(0x20), rate: 8000 } as const;
const RECEPTION: Destination = {
  name: 'reception',
  description: undefined,
  to: '+14155550177',
  callerId: undefined,
  ringS: 20,
  announce: undefined,
  language: undefined,
};

async function talk(tools: readonly Tool[], options: KitOptions = {}) {
  const kit = createKit({
    ...options,
    agent: { tools, filler: FILLER, greeting: undefined, digits: DIGITS, ...options.agent },
  });
  const call = await kit.talk();
  return { kit, call, provider: kit.provider, pass: kit.pass };
}
const DIGITS = { endKey: '#', timeoutMs: 1500, max: 16 };

/** The model calls functions in one response, which may say something first. */
async function calls(
  kit: Kit,
  names: readonly string[],
  options: { ms?: number; args?: string; response?: string } = {},
) {
  const { ms = 0, args = '{}', response = 'r1' } = options;
  const { provider } = kit;
  provider.emit({ type: 'responseStarted', responseId: response, asked: false });
  if (ms > 0) {
    const bytes = new Uint8Array(ms * 8).fill(0x33);
    provider.emit({ type: 'audio', responseId: response, itemId: `${response}.speech`, bytes });
  }
  for (const name of names) {
    provider.emit({ type: 'toolCall', responseId: response, callId: `${response}.${name}`, name, args });
  }
  provider.emit({ type: 'responseDone', responseId: response, status: 'completed', reason: undefined });
  await settled();
}

/** Everything that provider and leg were told, in order. */
function order(kit: Kit, call: KitCall): string[] {
  const log: string[] = [];
  const { provider } = kit;
  const { interruptions, results } = provider;
  const clear = call.leg.clear.bind(call.leg);
  call.leg.clear = () => {
    log.push('clear');
    clear();
  };
  interruptions.push = (...items) => {
    log.push(`interrupt ${items[0]?.map(({ itemId, playedMs }) => `${itemId} ${playedMs}`).join()}`);
    return Array.prototype.push.apply(interruptions, items);
  };
  results.push = (...items) => {
    log.push(`result ${items[0]?.callId}`);
    return Array.prototype.push.apply(results, items);
  };
  return log;
}

const speaks = (kit: Kit): void => kit.provider.emit({ type: 'speechStarted', itemId: 'u' });
const stops = (kit: Kit): void => kit.provider.emit({ type: 'speechStopped', itemId: 'u' });
const tools = (kit: Kit) => kit.events.filter((event) => event.type === 'tool');

describe('the log', () => {
  it('does not name a function that there is not: the model may have put anything into its name', async () => {
    const { kit, provider } = await talk([]);
    await calls(kit, ['call_Ada_Miller_at_49151']);
    expect(provider.results).toHaveLength(1);
    expect(kit.lines.join('')).toContain('[unknown]');
    expect(kit.lines.join('')).not.toContain('Ada_Miller');
    await kit.close();
  });
});

describe('a filler', () => {
  it('is said when nobody has spoken for so long, counted from when the agent was heard to its end', async () => {
    const { tool } = slow('search');
    const { kit, provider, pass } = await talk([tool]);
    await calls(kit, ['search'], { ms: 3000 });
    await pass(4900, 100);
    expect(provider.said).toEqual([]);
    await pass(300, 100);
    expect(provider.said).toEqual(['One moment.']);
  });

  it('comes again so long after it was heard, in turn, and no more than so many times', async () => {
    const { tool } = slow('search');
    const { kit, provider, pass } = await talk([tool]);
    await calls(kit, ['search']);
    for (const [i, text] of ['One moment.', 'Nearly there.', 'One moment.'].entries()) {
      await pass(i === 0 ? 1900 : 7900, 100);
      expect(provider.said).toHaveLength(i);
      await pass(200, 100);
      expect(provider.said[i]).toBe(text);
      provider.speak(`f${i}`, `f${i}`, 2000);
      await pass(2000, 100);
    }
    await pass(60_000);
    expect(provider.said).toHaveLength(3);
  });

  it('stops when the result is there: the line is cleared, the model told what was heard of it, then the result', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['search']);
    await pass(2000, 100);
    provider.speak('f', 'filler', 2000);
    provider.emit({
      type: 'transcript',
      role: 'assistant',
      itemId: 'filler',
      text: 'One two three four.',
      final: true,
    });
    await pass(1000, 100);
    const log = order(kit, call);
    await finish();
    expect(log).toEqual(['clear', expect.stringMatching(/^interrupt filler 10\d\d$/), 'result r1.search']);
    expect(provider.results[0]?.result).toMatchObject({ output: 'found', respond: true });
    await call.session.end('operator-hung-up');
    const ended = kit.events.find((event) => event.type === 'ended');
    expect(ended?.type === 'ended' && ended.transcript).toMatchObject([
      { itemId: 'filler', heardText: 'One two', interrupted: true },
    ]);
  });

  it('that was heard to its end is in the transcript whole, and nothing is cut', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['search']);
    await pass(2000, 100);
    provider.speak('f', 'filler', 1000);
    provider.emit({
      type: 'transcript',
      role: 'assistant',
      itemId: 'filler',
      text: 'One moment.',
      final: true,
    });
    await pass(1500, 100);
    await finish();
    expect(provider.interruptions).toEqual([]);
    await call.session.end('operator-hung-up');
    const ended = kit.events.find((event) => event.type === 'ended');
    expect(ended?.type === 'ended' && ended.transcript).toMatchObject([
      { itemId: 'filler', heardText: 'One moment.', interrupted: false },
    ]);
  });

  it('that was asked for and has not begun is taken back before the result is told', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['search']);
    await pass(2000, 100);
    expect(provider.said).toHaveLength(1);
    const log = order(kit, call);
    await finish();
    expect(log).toEqual(['clear', 'interrupt ', 'result r1.search']);
  });

  it('is not said when the result comes in time', async () => {
    const { tool, finish } = slow('search');
    const { kit, provider, pass } = await talk([tool]);
    await calls(kit, ['search']);
    await pass(1900, 100);
    await finish();
    await pass(60_000);
    expect(provider.said).toEqual([]);
    expect(provider.interruptions).toEqual([]);
    expect(provider.results).toHaveLength(1);
  });

  it('goes on while something else is waited for, until the last result', async () => {
    const one = slow('one');
    const two = slow('two');
    const { kit, provider, pass } = await talk([one.tool, two.tool]);
    await calls(kit, ['one', 'two']);
    await pass(2000, 100);
    provider.speak('f', 'filler', 2000);
    await pass(500, 100);
    await one.finish();
    expect(provider.interruptions).toEqual([]);
    await two.finish();
    expect(provider.interruptions).toHaveLength(1);
    expect(provider.results.map(({ callId }) => callId)).toEqual(['r1.one', 'r1.two']);
  });

  it('is said while the last of the functions runs that were called together, whose results the model has not spoken of', async () => {
    const one = slow('one');
    const two = slow('two');
    const { kit, provider, pass } = await talk([one.tool, two.tool]);
    await calls(kit, ['one', 'two']);
    await pass(1000, 100);
    await one.finish();
    await pass(1500, 100);
    expect(provider.results).toHaveLength(1);
    expect(provider.said).toEqual(['One moment.']);
  });

  it('never cuts off an answer of the model', async () => {
    const one = slow('one');
    const two = slow('two');
    const { kit, provider, pass } = await talk([one.tool, two.tool]);
    await calls(kit, ['one'], { response: 'r1' });
    await calls(kit, ['two'], { response: 'r2' });
    await pass(2000, 100);
    provider.speak('f', 'filler', 2000);
    await one.finish();
    // The answer to the first is being made, and nothing of it has come yet.
    provider.emit({ type: 'responseStarted', responseId: 'answer', asked: true });
    await two.finish();
    expect(provider.interruptions).toEqual([]);
    // And when it plays behind the filler, it stays as well.
    provider.emit({ type: 'audio', responseId: 'answer', itemId: 'a', bytes: new Uint8Array(8000) });
    provider.emit({ type: 'responseDone', responseId: 'answer', status: 'completed', reason: undefined });
    await pass(5000, 100);
    expect(provider.interruptions).toEqual([]);
    expect(kit.events.filter((event) => event.type === 'bargeIn')).toEqual([]);
  });

  it('is not said while an answer is on its way, which is not taken for it', async () => {
    const one = slow('one');
    const two = slow('two');
    const { kit, provider, pass } = await talk([one.tool, two.tool]);
    await calls(kit, ['one'], { response: 'r1' });
    await calls(kit, ['two'], { response: 'r2' });
    await pass(1500, 100);
    await one.finish();
    await pass(5000, 100);
    expect(provider.said).toEqual([]);
    provider.speak('answer', 'a', 1000);
    await pass(2900, 100);
    expect(provider.said).toEqual([]);
    await pass(200, 100);
    expect(provider.said).toHaveLength(1);
    provider.speak('f', 'filler', 2000);
    await pass(500, 100);
    await two.finish();
    expect(provider.interruptions).toMatchObject([[{ itemId: 'filler' }]]);
  });

  it('does not wait for an answer that the caller has cut off', async () => {
    const one = slow('one');
    const two = slow('two');
    const { kit, provider, pass } = await talk([one.tool, two.tool]);
    await calls(kit, ['one'], { response: 'r1' });
    await calls(kit, ['two'], { response: 'r2' });
    await one.finish();
    speaks(kit);
    stops(kit);
    await pass(2100, 100);
    expect(provider.said).toEqual(['One moment.']);
  });

  it('stops when the caller speaks, and does not come again before it is quiet', async () => {
    const { tool } = slow('search');
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['search']);
    await pass(2000, 100);
    provider.speak('f', 'filler', 3000);
    await pass(500, 100);
    speaks(kit);
    expect(call.leg.log.at(-1)).toBe('clear');
    expect(provider.interruptions).toHaveLength(1);
    await pass(20_000);
    expect(provider.said).toHaveLength(1);
    stops(kit);
    await pass(7900, 100);
    expect(provider.said).toHaveLength(1);
    await pass(200, 100);
    expect(provider.said).toHaveLength(2);
  });

  it('does not begin while the caller speaks, also when the function began in the middle of it', async () => {
    const { tool } = slow('search');
    const { kit, provider, pass } = await talk([tool]);
    speaks(kit);
    await calls(kit, ['search']);
    await pass(30_000);
    expect(provider.said).toEqual([]);
    stops(kit);
    await pass(2000, 100);
    expect(provider.said).toHaveLength(1);
  });

  it('is each function’s own matter: one wants it sooner, one never, and the least patient counts', async () => {
    const never = slow('never', { fillerAfterMs: 0 });
    const soon = slow('soon', { fillerAfterMs: 700 });
    const plain = slow('plain');
    for (const [names, afterMs] of [
      [['never'], undefined],
      [['never', 'plain'], 2000],
      [['plain', 'soon', 'never'], 700],
    ] as const) {
      const { kit, provider, pass } = await talk([never.tool, soon.tool, plain.tool]);
      await calls(kit, names);
      await pass((afterMs ?? 60_000) - 100, 100);
      expect(provider.said).toEqual([]);
      await pass(100, 100);
      expect(provider.said).toHaveLength(afterMs === undefined ? 0 : 1);
    }
  });

  it('is not said to somebody who is being put through, but to one who is back', async () => {
    const { tool } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], { capabilities: COMMANDS, control: 'command' });
    await calls(kit, ['search']);
    await call.session.transfer(RECEPTION);
    // Whatever the model has to say meanwhile, and the quiet after it.
    provider.speak('r9', 'a9', 500);
    await pass(15_000);
    expect(provider.said).toEqual([]);
    call.news('failed', 'busy');
    await pass(2100, 100);
    expect(provider.said).toEqual(['One moment.']);
  });

  it('is not said to a machine', async () => {
    const { tool } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], {
      machine: { mode: 'leave-message', message: 'Call us.' },
    });
    await calls(kit, ['search']);
    call.session.onCarrierEvent({
      type: 'machine',
      callId: 'CA1',
      ref: undefined,
      result: 'machine',
      greetingOver: false,
    });
    provider.speak('r9', 'a9', 500);
    await pass(3900, 100);
    expect(provider.said).toEqual([]);
  });

  it('is not said when the call is about to end, and cutting it off leaves the goodbye alone', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], { agent: { maxCallMs: 2500 } });
    await calls(kit, ['search']);
    await pass(2000, 100);
    expect(provider.said).toEqual(['One moment.']);
    // Asked for and not begun when the time is over.
    await pass(600, 100);
    expect(provider.insisted).toHaveLength(1);
    provider.speak('goodbye', 'goodbye', 3000);
    await pass(500, 100);
    const before = provider.interruptions.length;
    await finish();
    expect(provider.interruptions).toHaveLength(before);
    await pass(2400, 100);
    expect(call.endReason).toBeUndefined();
    await pass(400, 100);
    expect(call.endReason).toBe('max-duration');
    expect(provider.said).toHaveLength(2);
  });

  it('does not cut a message on a machine either, for which another function ends', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], {
      machine: { mode: 'leave-message', message: 'Call us.' },
    });
    await calls(kit, ['search']);
    await pass(2000, 100);
    expect(provider.said).toEqual(['One moment.']);
    call.session.onCarrierEvent({
      type: 'machine',
      callId: 'CA1',
      ref: undefined,
      result: 'machine-beep',
      greetingOver: true,
    });
    provider.speak('message', 'message', 3000);
    await pass(500, 100);
    const before = provider.interruptions.length;
    await finish();
    expect(provider.results[0]?.result.respond).toBe(false);
    expect(provider.interruptions).toHaveLength(before);
    await pass(2800, 100);
    expect(call.endReason).toBe('message-left');
  });

  it('that waits for a stream which broke is not heard when the result is there first', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], {
      capabilities: { tokenUses: 3, saysStopped: false },
    });
    await calls(kit, ['search']);
    await pass(2000, 100);
    call.cut();
    provider.speak('f', 'filler', 2000);
    await finish();
    provider.speak('answer', 'a', 500);
    call.stream();
    await pass(3000, 100);
    expect(call.leg.heardBytes).toBe(4000);
  });
});

describe('a clip', () => {
  const policy = { agent: { filler: { ...FILLER, clip: CLIP } } };

  it('plays on a quiet line, again after its end, and the model knows nothing of it', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], policy);
    await calls(kit, ['search']);
    await pass(2000, 100);
    await pass(500, 100);
    expect(call.leg.heardBytes).toBe(3200);
    await pass(7900, 100);
    expect(call.leg.heardBytes).toBe(3200);
    await pass(500, 100);
    expect(call.leg.heardBytes).toBe(6400);
    await finish();
    expect(provider.said).toEqual([]);
    expect(provider.interruptions).toEqual([]);
  });

  it('stops with the result, and the model is told of nothing that was cut', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], policy);
    await calls(kit, ['search']);
    await pass(2200, 100);
    const log = order(kit, call);
    await finish();
    expect(log).toEqual(['clear', 'result r1.search']);
    expect(call.leg.heardBytes).toBeLessThan(2400);
    expect(provider.interruptions).toHaveLength(0);
  });

  it('stops when the caller cuts in, who has cut off nothing of the model’s', async () => {
    const { tool } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], policy);
    await calls(kit, ['search']);
    await pass(2200, 100);
    speaks(kit);
    expect(call.leg.log.at(-1)).toBe('clear');
    expect(provider.interruptions).toEqual([[]]);
    await pass(30_000);
    expect(call.leg.heardBytes).toBeLessThan(2400);
  });

  it('makes way for what the model says', async () => {
    const { tool } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], policy);
    await calls(kit, ['search']);
    await pass(2100, 100);
    provider.emit({ type: 'responseStarted', responseId: 'a', asked: false });
    provider.emit({ type: 'audio', responseId: 'a', itemId: 'a', bytes: new Uint8Array(4000).fill(0x55) });
    provider.emit({ type: 'responseDone', responseId: 'a', status: 'completed', reason: undefined });
    expect(call.leg.log).toContain('clear');
    await pass(500, 100);
    expect(call.leg.played.at(-1)?.[0]).toBe(0x55);
    expect(provider.interruptions).toEqual([]);
    await pass(500, 100);
    // Nothing of it came after the speech, and all of the speech was heard.
    expect(call.leg.heardBytes).toBeGreaterThanOrEqual(4000 + 800);
    expect(call.leg.heardBytes).toBeLessThan(4000 + 1700);
  });

  it('is heard by nobody while there is no line, and does no harm', async () => {
    const { tool, finish } = slow('search');
    const { kit, call, provider, pass } = await talk([tool], {
      ...policy,
      capabilities: { tokenUses: 3, saysStopped: false },
    });
    await calls(kit, ['search']);
    call.cut();
    await pass(5000, 100);
    await finish();
    expect(provider.results).toHaveLength(1);
    expect(call.leg.heardBytes).toBe(0);
  });
});

describe('the result of a function', () => {
  it('is told once, also when the provider tells of its call twice', async () => {
    const { tool, finish } = slow('search');
    const { kit, provider } = await talk([tool]);
    const twice = { type: 'toolCall', responseId: 'r', callId: 'c', name: 'search', args: '{}' } as const;
    provider.emit(twice);
    provider.emit(twice);
    provider.emit({ ...twice, responseId: 'r2' });
    await finish();
    provider.emit(twice);
    await settled();
    expect(provider.results.map(({ callId }) => callId)).toEqual(['c']);
    expect(tools(kit)).toHaveLength(1);
  });

  it('is told again when a later response makes the same call under the same id', async () => {
    const { tool, finish } = slow('search');
    const { provider } = await talk([tool]);
    const call = { type: 'toolCall', responseId: 'r', callId: '0', name: 'search', args: '{}' } as const;
    provider.emit(call);
    await finish();
    provider.emit({ ...call, responseId: 'r2' });
    await settled();
    expect(provider.results.map(({ callId }) => callId)).toEqual(['0', '0']);
  });

  it('is told as it comes, in whatever order the functions end', async () => {
    const one = slow('one');
    const two = slow('two');
    const { kit, provider } = await talk([one.tool, two.tool]);
    await calls(kit, ['one', 'two']);
    await two.finish(2);
    expect(provider.results.map(({ callId }) => callId)).toEqual(['r1.two']);
    await one.finish(1);
    expect(provider.results.map(({ callId }) => callId)).toEqual(['r1.two', 'r1.one']);
  });

  it('is no longer waited for when the caller cuts in, if the function says so; others go on', async () => {
    const search = slow('search', { cancelOnInterrupt: true });
    const book = slow('book');
    const { kit, provider } = await talk([search.tool, book.tool]);
    await calls(kit, ['search', 'book']);
    speaks(kit);
    await settled();
    expect(search.calls[0]?.signal.aborted).toBe(true);
    expect(book.calls[0]?.signal.aborted).toBe(false);
    expect(provider.results).toMatchObject([
      { callId: 'r1.search', result: { isError: true, respond: false } },
    ]);
    stops(kit);
    await book.finish('booked');
    expect(provider.results[1]).toMatchObject({
      callId: 'r1.book',
      result: { output: 'booked', respond: true },
    });
    await search.finish('too late');
    expect(provider.results).toHaveLength(2);
    expect(tools(kit)).toMatchObject([{ outcome: 'cancelled' }, { outcome: 'done' }]);
  });

  it('of a call that the provider withdraws asks for no answer', async () => {
    const { tool, calls: contexts } = slow('search');
    const { kit, provider } = await talk([tool]);
    await calls(kit, ['search']);
    provider.emit({ type: 'toolCallsCancelled', callIds: ['r1.search', 'nobody’s'] });
    await settled();
    expect(contexts[0]?.signal.aborted).toBe(true);
    expect(provider.results).toMatchObject([{ callId: 'r1.search', result: { respond: false } }]);
  });

  it('is told to nobody after the call, whose end the handler is told of, and nothing is left on the clock', async () => {
    const { tool, finish, calls: contexts } = slow('search');
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['search']);
    await pass(2500, 100);
    provider.speak('f', 'filler', 4000, false);
    await pass(500, 100);
    call.stop();
    await settled();
    expect(contexts[0]?.signal.aborted).toBe(true);
    await finish();
    await kit.close();
    expect(provider.results).toEqual([]);
    expect(kit.clock.pending).toBe(0);
    expect(kit.pacer.size).toBe(0);
  });
});

describe('keys that a function waits for, in a call', () => {
  const tool = collectDigits({ max: 4, endKey: '#', firstMs: 5000, nextMs: 3000 });
  const type = (call: KitCall, keys: string): void => {
    for (const digit of keys) call.session.onLegEvent({ type: 'dtmf', digit });
  };
  const outputs = (kit: Kit): unknown[] =>
    kit.provider.results.map(({ result }) => JSON.parse(result.output));

  it('cut the question off, are told to the model by the function alone, and are in no log line', async () => {
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['collect_digits'], { ms: 4000 });
    await pass(1000, 100);
    type(call, '8');
    expect(call.leg.log.at(-1)).toBe('clear');
    await pass(500, 100);
    type(call, '675');
    await settled();
    expect(outputs(kit)).toEqual([{ status: 'complete', digits: '8675' }]);
    await pass(10_000);
    expect(provider.texts).toEqual([]);
    type(call, '9#');
    expect(provider.texts.map(({ options }) => options.digits)).toEqual(['9']);
    expect(kit.lines.join('')).not.toContain('8675');
    expect(JSON.stringify(tools(kit))).not.toContain('8675');
  });

  it('are waited for from when the question was heard to its end, and by no filler meanwhile', async () => {
    const { kit, provider, pass } = await talk([tool]);
    await calls(kit, ['collect_digits'], { ms: 4000 });
    await pass(8900, 100);
    expect(provider.results).toEqual([]);
    await pass(200, 100);
    expect(outputs(kit)).toEqual([{ status: 'the caller stopped', digits: '' }]);
    expect(provider.said).toEqual([]);
  });

  it('have all of their time again after the caller has said something', async () => {
    const { kit, provider, pass } = await talk([tool]);
    await calls(kit, ['collect_digits'], { ms: 1000 });
    await pass(5500, 100);
    speaks(kit);
    await pass(9000, 100);
    stops(kit);
    provider.speak('yes', 'yes', 1000);
    await pass(5900, 100);
    expect(provider.results).toEqual([]);
    await pass(200, 100);
    expect(outputs(kit)).toEqual([{ status: 'the caller stopped', digits: '' }]);
  });

  it('are not waited for any more when the caller is put through', async () => {
    const { kit, call, provider } = await talk([tool], { capabilities: COMMANDS, control: 'command' });
    await calls(kit, ['collect_digits']);
    type(call, '12');
    await call.session.transfer(RECEPTION);
    await settled();
    expect(outputs(kit)).toEqual([{ status: 'not collected' }]);
    expect(provider.results[0]?.result.respond).toBe(false);
  });

  it('are told to nobody when the caller hangs up in the middle', async () => {
    const { kit, call, provider } = await talk([tool]);
    await calls(kit, ['collect_digits']);
    type(call, '12');
    call.stop();
    await kit.close();
    expect(provider.results).toEqual([]);
    expect(kit.clock.pending).toBe(0);
    expect(kit.lines.join('')).not.toContain('"12"');
  });
});

describe('a message for a machine that the agent has recognised', () => {
  /** The silence of the line goes on, 20 ms at a time. */
  const hush = async (kit: Kit, call: KitCall, ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 100) {
      for (let i = 0; i < 5; i++) call.hear();
      await kit.pass(100, 100);
    }
  };

  it.each([
    ['the configured words', leaveMessage('Please call us back.'), '{}'],
    ['the words of the model', leaveMessage(undefined), '{"message":"Please call us back."}'],
  ])('is said once, after the greeting, in %s, and ends the call', async (_name, tool, args) => {
    const { kit, call, provider } = await talk([tool]);
    await calls(kit, ['leave_message'], { args, ms: 1000 });
    // Nothing more of what the agent was saying is heard by the machine.
    expect(call.leg.log.at(-1)).toBe('clear');
    expect(provider.results).toMatchObject([{ result: { isError: false, respond: false } }]);
    const heard = provider.audio.length;
    for (let i = 0; i < 10; i++) call.hear(0x11);
    expect(new Set(provider.audio.slice(heard))).toEqual(new Set([0xff]));
    expect(provider.said).toEqual([]);
    await hush(kit, call, 1500);
    expect(provider.insisted).toEqual(['Please call us back.']);
    provider.speak('m', 'message', 2000);
    await hush(kit, call, 1900);
    expect(call.endReason).toBeUndefined();
    await hush(kit, call, 400);
    expect(call.endReason).toBe('message-left');
    expect(provider.said).toHaveLength(1);
  });

  it('is left also by a model that hangs up in the same breath, in either order', async () => {
    for (const names of [
      ['leave_message', 'end_call'],
      ['end_call', 'leave_message'],
    ]) {
      const { kit, call, provider } = await talk([leaveMessage('Please call us back.'), endCall]);
      await calls(kit, names, { ms: 1000 });
      await hush(kit, call, 1500);
      expect(call.endReason).toBeUndefined();
      expect(provider.insisted).toEqual(['Please call us back.']);
      provider.speak('m', 'message', 2000);
      await hush(kit, call, 2300);
      expect(call.endReason).toBe('message-left');
    }
  });

  it('does not take the place of the one that the operator wants to be left', async () => {
    const { kit, call, provider, pass } = await talk([leaveMessage(undefined)], {
      machine: { mode: 'leave-message', message: 'The operator’s.' },
    });
    call.session.onCarrierEvent({
      type: 'machine',
      callId: 'CA1',
      ref: undefined,
      result: 'machine',
      greetingOver: false,
    });
    await calls(kit, ['leave_message'], { args: '{"message":"The model’s."}' });
    await pass(1600, 100);
    expect(provider.insisted).toEqual([]);
    call.session.onCarrierEvent({
      type: 'machine',
      callId: 'CA1',
      ref: undefined,
      result: 'machine-beep',
      greetingOver: true,
    });
    expect(provider.insisted).toEqual(['The operator’s.']);
  });
});

describe('a caller whom the model puts through', () => {
  const tool = transferCall([RECEPTION]);
  const args = '{"destination":"reception"}';
  const ordered = (call: KitCall): number => call.orders.filter(({ what }) => what === 'direct').length;

  it('has heard that first, and the model is not asked to say anything after it', async () => {
    const { kit, call, provider, pass } = await talk([tool, endCall]);
    await calls(kit, ['transfer_call'], { ms: 2000, args });
    await pass(1900, 100);
    expect(ordered(call)).toBe(0);
    await pass(200, 100);
    expect(ordered(call)).toBe(1);
    expect(provider.results).toMatchObject([{ result: { isError: false, respond: false } }]);
    await pass(5000);
    expect(provider.said).toEqual([]);
  });

  it('may still call it off while the agent says so', async () => {
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['transfer_call'], { ms: 2000, args });
    await pass(1000, 100);
    speaks(kit);
    await pass(500, 100);
    stops(kit);
    await pass(5000, 100);
    expect(ordered(call)).toBe(0);
    expect(provider.results).toMatchObject([{ result: { isError: true, respond: false } }]);
  });

  it('is put through also when they say thanks while the carrier takes the order', async () => {
    const taken = pending<ControlResult>();
    const { kit, call, provider, pass } = await talk([tool], { parts: { direct: () => taken.promise } });
    await calls(kit, ['transfer_call'], { ms: 500, args });
    await pass(700, 100);
    speaks(kit);
    await pass(300, 100);
    stops(kit);
    taken.resolve({ status: 'ok' });
    await settled();
    expect(provider.results).toMatchObject([{ result: { isError: false, respond: false } }]);
    expect(tools(kit)).toMatchObject([{ outcome: 'done' }]);
    expect(call.endReason).toBeUndefined();
  });

  it('is not hung up on by a model that says goodbye as well', async () => {
    const { kit, call, pass } = await talk([tool, endCall]);
    await calls(kit, ['transfer_call'], { ms: 1000, args });
    kit.provider.emit({ type: 'toolCall', responseId: 'r2', callId: 'bye', name: 'end_call', args: '{}' });
    await pass(30_000);
    expect(ordered(call)).toBe(1);
    expect(call.endReason).not.toBe('agent-hung-up');
  });

  it('stays with an agent that is told why the carrier did not do it', async () => {
    const { kit, call, provider, pass } = await talk([tool], { parts: { direct: async () => refused() } });
    await calls(kit, ['transfer_call'], { args });
    await pass(1000, 100);
    expect(provider.results).toMatchObject([{ result: { isError: true, respond: true } }]);
    expect(provider.results[0]?.result.output).toContain('the carrier said no');
    expect(call.endReason).toBeUndefined();
  });

  it('comes back when nobody answers, and the agent is told', async () => {
    const { kit, call, provider, pass } = await talk([tool], { capabilities: COMMANDS, control: 'command' });
    await calls(kit, ['transfer_call'], { args });
    await pass(2000);
    expect(provider.results).toMatchObject([{ result: { respond: false } }]);
    call.news('failed', 'no-answer');
    await pass(500);
    expect(provider.texts).toMatchObject([
      { text: expect.stringContaining('nobody answered'), options: { respond: true } },
    ]);
    expect(call.endReason).toBeUndefined();
  });

  it('is put through once, however often the model wants it', async () => {
    const held = pending<void>();
    const { kit, call, provider, pass } = await talk([tool]);
    await calls(kit, ['transfer_call'], { args });
    await calls(kit, ['transfer_call'], { args, response: 'r2' });
    held.resolve();
    await pass(1000, 100);
    expect(ordered(call)).toBe(1);
    expect(provider.results).toMatchObject([{ result: { isError: false } }, { result: { isError: true } }]);
  });
});
