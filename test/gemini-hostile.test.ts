import { afterEach, describe, expect, it } from 'vitest';
import type { ProviderEvent } from '../src/provider.ts';
import { addressOf } from '../src/providers/gemini/address.ts';
import { durationMs } from '../src/providers/gemini/wire.ts';
import {
  complete,
  content,
  dial,
  generated,
  heard,
  interrupted,
  type Line,
  LOOKUP,
  type Message,
  nextClosed,
  open,
  result,
  speech,
  spoken,
  startServer,
  toolCall,
} from './support/gemini-peer.ts';
import { cleanUp, failure } from './support/peers.ts';

/** What the session has to stand: settings, listeners and services that do as they please. */

afterEach(cleanUp);

const types = (line: Line): string[] => line.events.map(({ type }) => type);
const warnings = (line: Line): string[] => line.of('warning').map(({ code }) => code);
const words = (line: Line, role: 'user' | 'assistant') =>
  line
    .of('transcript')
    .filter((event) => event.role === role)
    .map(({ text, final }) => [text, final]);

function circle(): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  settings['generationConfig'] = settings;
  return settings;
}

describe('settings that cannot be sent', () => {
  const CIRCLE = circle();

  it.each([
    ['a BigInt', { overrides: { labels: { size: 1n } } }, {}],
    ['a circle', { overrides: { labels: CIRCLE } }, {}],
    ['circles on top of each other', { overrides: circle() }, { session: circle() }],
    ['a function with a circle', { tools: [{ ...LOOKUP, parameters: CIRCLE }] }, {}],
    ['a model without a name', { model: '' }, {}],
  ])('are refused before anybody is called: %s', async (_name, over, options) => {
    const server = await startServer();
    const attempt = dial(server.url, over, options);
    const error = await failure(attempt);
    expect(error.code).toBe('PROVIDER_CONFIG');
    if (!('model' in over)) expect(error.cause).toBeInstanceOf(Error);
    expect(server.upgrades).toBe(0);
    expect(attempt.clock.pending).toBe(0);
  });
});

describe('a listener that throws', () => {
  const oops = new Error('oops');
  const throwAt = (line: Pick<Line, 'onEvent'>, type: ProviderEvent['type']): void => {
    line.onEvent = (event) => {
      if (event.type === type) throw oops;
    };
  };

  it.each<[string, ProviderEvent['type'], (line: Line) => void]>([
    ['in a message', 'audio', (line) => line.peer.say(heard('Hi'), speech(100), spoken('Hello.'))],
    ['at speech of the caller', 'transcript', (line) => line.peer.say(heard('Hi'), speech(100))],
    [
      'at an activity',
      'speechStopped',
      (line) => {
        const activity = (kind: string): Message => ({ voiceActivity: { voiceActivityType: kind } });
        return line.peer.say(activity('ACTIVITY_START'), activity('ACTIVITY_START'));
      },
    ],
    ['at a function call', 'toolCall', (line) => line.peer.say(toolCall('c1'))],
    ['at a warning', 'warning', (line) => line.peer.say({ novelty: 1 })],
    ['in a timer', 'expiring', (line) => line.clock.advance(10_000)],
  ])('ends its session and nothing else: %s', async (_name, type, act) => {
    const line = await open({ tools: [LOOKUP] }, { expiryMarginMs: 590_000 });
    throwAt(line, type);
    act(line);
    await line.peer.closed;
    await line.session.close('over');
    expect(line.of('error')).toMatchObject([{ fatal: true, error: { code: 'INTERNAL', cause: oops } }]);
    expect(line.of('closed')).toMatchObject([{ expected: false, error: { code: 'INTERNAL' } }]);
    expect(types(line).at(-1)).toBe('closed');
    expect(line.clock.pending).toBe(0);
  });

  it('when it is told of the end changes nothing of that', async () => {
    const line = await open();
    throwAt(line, 'closed');
    await line.session.close('over');
    expect(types(line)).toEqual(['closed']);
  });

  it('before the session stands makes connecting fail, in a way that the contract knows', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    throwAt(attempt, 'warning');
    const peer = await server.peer();
    await peer.next('setup');
    peer.say({ novelty: 1 });
    expect(await failure(attempt)).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(attempt.events.map(({ type }) => type)).toEqual(['warning']);
    await peer.closed;
    await expect.poll(() => attempt.clock.pending).toBe(0);
  });
});

describe('the end', () => {
  it('is told when the listener of the fatal error closes the session', async () => {
    const line = await open();
    const closing = new Promise<void>((resolve) => {
      line.onEvent = (event) => {
        if (event.type === 'error') void line.session.close('failed').then(resolve);
      };
    });
    line.peer.socket.terminate();
    await closing;
    expect(types(line)).toEqual(['error', 'closed']);
    expect(line.of('closed')).toEqual([{ type: 'closed', expected: true, error: undefined }]);
    expect(line.clock.pending).toBe(0);
  });

  it('comes after the last words of the caller, whoever ends the session', async () => {
    const ours = await open();
    await ours.peer.tell(heard('Good'), heard('bye.'));
    await ours.session.close('over');
    expect(words(ours, 'user').at(-1)).toEqual(['Goodbye.', true]);
    expect(types(ours).at(-1)).toBe('closed');
    const theirs = await open();
    await theirs.peer.tell(heard('Goodbye.'));
    const closed = nextClosed(theirs);
    theirs.peer.socket.close(1011);
    await closed;
    expect(types(theirs)).toEqual(['transcript', 'transcript', 'error', 'closed']);
  });

  it('is one, also when the session is closed from within the last words', async () => {
    const line = await open();
    await line.peer.tell(heard('Bye.'));
    line.onEvent = (event) => {
      if (event.type === 'transcript') void line.session.close('from within');
    };
    await line.session.close('over');
    expect(types(line)).toEqual(['transcript', 'transcript', 'closed']);
    expect(line.clock.pending).toBe(0);
  });
});

describe('what the service says of its trouble', () => {
  const QUOTE = 'cannot go on after "my card is 4111 1111 1111 1111" at +43 660 1234567 in "input_text"';
  const CLEAN = 'cannot go on after "…" at [number] in "input_text"';

  it('when it closes holds neither words of people nor numbers', async () => {
    const line = await open();
    const closed = nextClosed(line);
    line.peer.socket.close(1011, QUOTE);
    const { error } = await closed;
    expect(error?.message).toContain(CLEAN);
  });

  it('does not repeat a handle by which the session could be gone on with', async () => {
    const shown = 'CiQ3handle-that-was-shown';
    const newer = 'CiQ3handle-that-is-newer';
    const line = await open({ resume: shown });
    await line.peer.tell({ sessionResumptionUpdate: { newHandle: newer, resumable: true } });
    await line.peer.tell({ error: { message: `${'x'.repeat(480)} ${newer}` } });
    expect(line.of('error')[0]?.error.message).not.toContain('CiQ3');
    const closed = nextClosed(line);
    line.peer.socket.close(1008, `no session "${shown}", nor ${newer}`);
    const { error } = await closed;
    expect(error?.message).toContain('no session "[handle]", nor [handle]');
  });

  it('in a message is short, and a quotation may have no end', async () => {
    const line = await open();
    await line.peer.tell({ error: { message: `${QUOTE} and "I live ${'in Graz '.repeat(1_000)}` } });
    const [event] = line.of('error');
    expect(event?.error.message).toContain(CLEAN);
    expect(event?.error.message).not.toContain('Graz');
    await line.peer.tell({ error: { message: 'x'.repeat(2_000_000) } });
    expect(line.of('error')[1]?.error.message.length).toBeLessThan(600);
  });

  it('as the reason of an end is a word, or none of its own', async () => {
    const line = await open();
    const reasons = ['RESPONSE_REJECTED', 'He said: call me', 'X'.repeat(65)];
    for (const turnCompleteReason of reasons) {
      await line.peer.tell(speech(100), content({ turnComplete: true, turnCompleteReason }));
      await line.peer.tell(content({ turnComplete: true, turnCompleteReason }));
    }
    const expected = ['response_rejected', 'other', 'other'];
    expect(line.of('responseDone').map(({ reason }) => reason)).toEqual(expected);
    expect(line.of('warning').map(({ message }) => message.split(': ')[1]?.toLowerCase())).toEqual(expected);
  });

  it('has no ids in it that are none', async () => {
    const line = await open({ tools: [LOOKUP] });
    await line.peer.tell(toolCall('x'.repeat(257)));
    expect(warnings(line)).toEqual(['bad_frame']);
    expect(line.of('toolCall')).toEqual([]);
    const id = 'call me at home';
    await line.peer.tell(toolCall(id));
    line.session.sendToolResult(id, result('1'));
    line.session.sendToolResult(id, result('2'));
    expect(line.of('warning').slice(1)).toEqual([
      { type: 'warning', code: 'tool_answered_twice', message: 'call ? has a result already' },
    ]);
  });

  it('in place of a session does not repeat a token of the address', async () => {
    const token = "auth_tokens/aB3+/=~!*'(),;:@";
    const { url } = await addressOf({ accessToken: token }).dial();
    const spellings = [url.search.slice('?access_token='.length), token, encodeURIComponent(token)];
    for (const spelling of spellings) {
      const body = `<p>Nothing is at /ws?access_token=${spelling} or ${spelling}.</p>`;
      const server = await startServer({ refuse: { status: 404, body } });
      const error = await failure(dial(server.url, {}, { apiKey: undefined, accessToken: token }));
      expect(error.message).toContain('[key]');
      expect(error.message).not.toContain('aB3');
    }
  });

  it('has no tokens of others in it either', async () => {
    const body = 'auth_tokens%2Fother-token, auth_tokens/other-token, AIzaOther-1234567 and ya29.other';
    const server = await startServer({ refuse: { status: 404, body } });
    expect((await failure(dial(server.url))).message).not.toMatch(/other/i);
  });
});

describe('a credential library that fails', () => {
  it('is named, and not quoted', async () => {
    class RefreshError extends Error {
      override readonly name = 'RefreshError';
    }
    const accessToken = (): Promise<string> => Promise.reject(new RefreshError('secret-of-mine is wrong'));
    const error = await failure(dial('ws://127.0.0.1:1', {}, { apiKey: undefined, accessToken }));
    expect(error.code).toBe('PROVIDER_AUTH');
    expect(error.message).toContain('RefreshError');
    expect(error.message).not.toContain('secret');
    expect(error.cause).toBeUndefined();
  });
});

describe('a service that floods', () => {
  it.each([`${'9'.repeat(400)}s`, '9999999999s'])('cannot announce an end beyond all timers: %s', (text) => {
    expect(durationMs(text)).toBe(2 ** 31 - 1);
  });

  it('with words of the caller is heard up to a limit', async () => {
    const line = await open();
    const chunk = 'word '.repeat(2_000);
    await line.peer.tell(...Array.from({ length: 20 }, () => heard(chunk)), speech(100));
    line.clock.advance(1_000);
    const [last] = words(line, 'user').slice(-1);
    expect(last?.[1]).toBe(true);
    expect(String(last?.[0])).toHaveLength(65_536);
    expect(words(line, 'user').length).toBeLessThan(10);
    expect(warnings(line)).toEqual(['words_dropped']);
    await line.peer.tell(heard('And now?'));
    expect(words(line, 'user').at(-1)).toEqual(['And now?', false]);
  });

  it('with words of an answer is heard up to a limit, and that is told once', async () => {
    const line = await open();
    const chunk = 'word '.repeat(2_000);
    for (let i = 0; i < 2; i += 1) {
      await line.peer.tell(
        speech(100),
        ...Array.from({ length: 20 }, () => spoken(chunk)),
        generated,
        complete,
      );
    }
    const finals = words(line, 'assistant').filter(([, final]) => final);
    expect(finals.map(([text]) => String(text).length)).toEqual([65_536, 65_536]);
    expect(warnings(line)).toEqual(['words_dropped']);
  });

  it('with words that belong to no answer gives the next one its own', async () => {
    const line = await open();
    const chunk = 'word '.repeat(2_000);
    await line.peer.tell(...Array.from({ length: 20 }, () => spoken(chunk)));
    line.clock.advance(1_999);
    await line.peer.tell(speech(100));
    expect(words(line, 'assistant').map(([text]) => String(text).length)).toEqual([65_536]);
    await line.peer.tell(generated, complete, spoken('Stray.'));
    line.clock.advance(2_000);
    await line.peer.tell(spoken('Own.'), speech(100));
    expect(words(line, 'assistant').at(-1)).toEqual(['Own.', false]);
  });

  it('with function calls has as many as can be known, and the answered ones make room', async () => {
    const line = await open({ tools: [LOOKUP] });
    const ids = (from: number, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `c${from + i}`);
    await line.peer.tell(toolCall(...ids(0, 1_005)));
    expect(line.of('toolCall')).toHaveLength(1_000);
    expect(warnings(line)).toEqual(['calls_dropped']);
    line.session.sendToolResult('c7', result('1'));
    await line.peer.tell(toolCall(...ids(1_000, 3)));
    expect(
      line
        .of('toolCall')
        .map(({ callId }) => callId)
        .slice(1_000),
    ).toEqual(['c1000']);
    expect(warnings(line)).toEqual(['calls_dropped']);
  });
});

describe('what the caller said', () => {
  it('is told as a whole before the answer to it is, once a second has passed without more of it', async () => {
    const line = await open();
    await line.peer.tell(heard('What '), speech(3_000), spoken('It is '), heard('time?'));
    line.clock.advance(999);
    expect(words(line, 'user').some(([, final]) => final)).toBe(false);
    line.clock.advance(1);
    expect(words(line, 'user').at(-1)).toEqual(['What time?', true]);
    await line.peer.tell(spoken('noon.'), generated, complete);
    line.clock.advance(10_000);
    const finals = line.of('transcript').filter(({ final }) => final);
    expect(finals.map(({ role, text }) => [role, text])).toEqual([
      ['user', 'What time?'],
      ['assistant', 'It is noon.'],
    ]);
  });

  it('is told before a short answer is over', async () => {
    const line = await open();
    await line.peer.tell(heard('Sure?'), speech(600), spoken('Yes.'), generated);
    line.clock.advance(600);
    await line.peer.tell(complete);
    const finals = line.of('transcript').filter(({ final }) => final);
    expect(finals.map(({ role }) => role)).toEqual(['user', 'assistant']);
  });

  it('into an answer is a turn of its own, each told as a whole once', async () => {
    const line = await open();
    await line.peer.tell(heard('Tell me.'), speech(5_000));
    line.clock.advance(2_000);
    await line.peer.tell(heard('Stop '), heard('it.'), interrupted, complete);
    await line.peer.tell(speech(100), generated, complete);
    line.clock.advance(10_000);
    const user = line.of('transcript').filter(({ role, final }) => role === 'user' && final);
    expect(user.map(({ text }) => text)).toEqual(['Tell me.', 'Stop it.']);
    expect(new Set(user.map(({ itemId }) => itemId)).size).toBe(2);
  });
});
