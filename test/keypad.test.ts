import { describe, expect, it } from 'vitest';
import type { AgentDigits } from '../src/agents.ts';
import { BridgeError } from '../src/errors.ts';
import { Keypad } from '../src/keypad.ts';
import { createLog } from '../src/log.ts';
import type { TextOptions } from '../src/provider.ts';
import { settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const CALL = { callId: 'CA1', from: '+14155550100', to: '+14155550101' };

function make(rule: Partial<AgentDigits> = {}) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const texts: { text: string; options: TextOptions }[] = [];
  let inputs = 0;
  const keypad = new Keypad({
    rule: { endKey: '#', timeoutMs: 1500, max: 16, ...rule },
    call: CALL,
    clock,
    log: createLog('trace', { write: (line: string) => lines.push(line) }),
    onInput: () => {
      inputs += 1;
    },
  });
  const provider = { sendText: (text: string, options: TextOptions) => void texts.push({ text, options }) };
  const type = (keys: string): void => {
    for (const key of keys) keypad.press(key);
  };
  return { clock, lines, texts, keypad, provider, type, inputs: () => inputs };
}

/** As `make`, with a provider that is ready. */
function connected(rule: Partial<AgentDigits> = {}) {
  const all = make(rule);
  all.keypad.connect(all.provider);
  return all;
}

const told = (digits: string, text: string) => ({
  text,
  options: { role: 'user', respond: true, digits },
});

describe('what the caller typed', () => {
  it('is told to the model, which then answers', () => {
    const { texts, type, inputs } = connected();
    type('4711#');
    expect(texts).toEqual([told('4711', 'The caller pressed the keys 4711.')]);
    expect(inputs()).toBe(1);
  });

  it('is called a key when it is one', () => {
    const { texts, type, clock } = connected();
    type('5');
    clock.advance(1501);
    expect(texts).toEqual([told('5', 'The caller pressed the key 5.')]);
  });

  it('waits for a provider that is not ready, in order', () => {
    const { texts, type, keypad, provider, inputs } = make();
    type('1#');
    type('2#');
    expect(inputs()).toBe(0);
    keypad.connect(provider);
    expect(texts.map(({ options }) => options.digits)).toEqual(['1', '2']);
    expect(inputs()).toBe(2);
  });

  it('is never in a log line, whatever happens to it', async () => {
    const rules: Partial<AgentDigits>[] = [
      {},
      { handle: () => 'The number is valid.' },
      {
        handle: (digits) => {
          throw new Error(`no such account: ${digits}`);
        },
      },
      { handle: (digits) => Promise.reject(new BridgeError('BAD_INPUT', `not ${digits}`)) },
      { handle: () => new Promise(() => undefined) },
    ];
    for (const rule of rules) {
      const { lines, type, clock } = connected(rule);
      type('8675309#');
      await settled();
      clock.advance(60_000);
      await settled();
      expect(lines.join('')).not.toContain('8675309');
    }
  });
});

describe('a handler of keys', () => {
  it('is asked in place of the model, about the call that it is', async () => {
    const asked: unknown[] = [];
    const { texts, type, inputs } = connected({
      handle: (digits, call) => {
        asked.push({ digits, ...call });
        return Promise.resolve('Account 12 has been found.');
      },
    });
    type('12#');
    await settled();
    expect(asked).toEqual([{ digits: '12', ...CALL }]);
    expect(texts).toEqual([{ text: 'Account 12 has been found.', options: { role: 'user', respond: true } }]);
    expect(inputs()).toBe(1);
  });

  it('may leave the model out of it', async () => {
    const { texts, type, inputs } = connected({ handle: () => undefined });
    type('12#');
    await settled();
    expect(texts).toEqual([]);
    expect(inputs()).toBe(1);
  });

  it('that answers before the provider is ready is not forgotten', async () => {
    const { texts, type, keypad, provider } = make({ handle: () => 'Right.' });
    type('12#');
    await settled();
    keypad.connect(provider);
    expect(texts.map(({ text }) => text)).toEqual(['Right.']);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
  ])('that %s is reported, and the model is given the keys', async (_name, handle) => {
    const { texts, type, lines } = connected({ handle });
    type('12#');
    await settled();
    expect(texts).toEqual([told('12', 'The caller pressed the keys 12.')]);
    expect(lines.filter((line) => line.includes('the handler of keys failed'))).toHaveLength(1);
    expect(lines.join('')).toContain('TOOL_FAILED');
  });

  it('that never answers is given up after ten seconds, and its late answer is not wanted', async () => {
    let answer: (text: string) => void = () => undefined;
    const { texts, type, clock, lines } = connected({
      handle: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    type('12#');
    await settled();
    clock.advance(9999);
    expect(texts).toEqual([]);
    clock.advance(2);
    expect(texts).toEqual([told('12', 'The caller pressed the keys 12.')]);
    expect(lines.join('')).toContain('TIMEOUT');
    answer('Too late.');
    await settled();
    expect(texts).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('that answers after the call is not heard, and leaves no timer', async () => {
    let answer: (text: string) => void = () => undefined;
    const { texts, type, clock, keypad, inputs } = connected({
      handle: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    type('12#');
    await settled();
    keypad.close();
    expect(clock.pending).toBe(0);
    answer('Found.');
    await settled();
    expect(texts).toEqual([]);
    expect(inputs()).toBe(0);
  });
});
