import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { JsonText } from '../src/tools/json-text.ts';
import { redactArguments, secretNames } from '../src/tools/redaction.ts';
import { defineTool, type Tool } from '../src/tools.ts';
import { asked, startRunner } from './support/tool-runs.ts';

function returning(value: unknown, maxResultChars = 16_000): Tool {
  return defineTool({ name: 'give', description: '', maxResultChars, run: () => value });
}

const give = async (value: unknown, maxResultChars?: number): Promise<string> => {
  const run = await asked(startRunner([returning(value, maxResultChars)]), 'give');
  expect(run).toMatchObject({ outcome: 'done', result: { isError: false }, error: undefined });
  return run.result.output;
};

describe('a result', () => {
  it.each([
    ['text as it is', 'Table 4, "terrace"', 'Table 4, "terrace"'],
    ['an empty text', '', ''],
    ['nothing', undefined, '{"ok":true}'],
    ['null, which means that there is none', null, 'null'],
    ['false', false, 'false'],
    ['a number', 4.5, '4.5'],
    ['a number that is none', Number.NaN, 'null'],
    ['a BigInt', 12345678901234567890n, '"12345678901234567890"'],
    ['a BigInt inside', { id: 1n }, '{"id":"1"}'],
    ['a Map', new Map([['a', { b: 1 }]]), '{"a":{"b":1}}'],
    [
      'a Map of other keys',
      new Map<unknown, string>([
        [1, 'x'],
        ['a', 'y'],
      ]),
      '[[1,"x"],["a","y"]]',
    ],
    ['a Set', new Set([1, 'a']), '[1,"a"]'],
    [
      'a Date',
      { at: new Date(0), never: new Date(Number.NaN) },
      '{"at":"1970-01-01T00:00:00.000Z","never":null}',
    ],
    ['a URL', new URL('https://example.com/a'), '"https://example.com/a"'],
    ['a pattern', [/a+/g], '["/a+/g"]'],
    [
      'what JSON leaves out',
      { a: undefined, b: () => 1, c: Symbol('c'), d: [undefined, () => 1] },
      '{"d":[null,null]}',
    ],
    ['an error inside', { why: new Error('full') }, '{"why":"full"}'],
    ['a promise inside', { rows: Promise.resolve([]) }, '{"rows":"[a promise that nobody awaited]"}'],
    ['bytes inside', { image: new Uint8Array(3) }, '{"image":"[3 bytes]"}'],
    ['boxed values', [Object(1), Object('a'), Object(true)], '[1,"a",true]'],
    ['an array with holes', Array(3), '[null,null,null]'],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
  ])('may be %s', async (_what, value, told) => {
    expect(await give(value)).toBe(told);
  });

  it('may go round in circles, but what is there twice is told twice', async () => {
    const table: Record<string, unknown> = { seats: 4 };
    expect(await give([table, table])).toBe('[{"seats":4},{"seats":4}]');
    table['self'] = { of: table };
    expect(await give(table)).toBe('{"seats":4,"self":{"of":"[circular]"}}');
  });

  it('spoils no more than the place that cannot be read', async () => {
    const odd = {
      a: 1,
      get b(): never {
        throw new Error('no');
      },
      c: {
        toJSON: () => {
          throw new Error('no');
        },
      },
      d: new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('no');
          },
        },
      ),
      e: 2,
    };
    expect(JSON.parse(await give(odd))).toEqual({
      a: 1,
      b: '[unreadable]',
      c: '[unreadable]',
      d: '[unreadable]',
      e: 2,
    });
  });

  it('may be as deep as it likes', async () => {
    let deep: unknown = 'bottom';
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(await give(deep)).toContain('[too deep]');
  });

  it('is the same as JSON for what is JSON', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const value = new Random(seed).json(4);
      expect(await give({ value })).toBe(JSON.stringify({ value }));
    }
  });

  it.each([
    ['a function', () => 1, 'a function'],
    ['a stream', Readable.from(['a']), 'a stream'],
    ['a web stream', new ReadableStream(), 'a stream'],
    [
      'an async generator',
      (async function* () {
        yield 1;
      })(),
      'a stream',
    ],
    [
      'a generator',
      (function* () {
        yield 1;
      })(),
      'a generator',
    ],
    ['an iterator', new Map().values(), 'a generator'],
    ['a Response', new Response('{}'), 'await response.json()'],
    ['bytes', new Uint8Array(4), 'bytes'],
    ['a blob', new Blob(['a']), 'bytes'],
    ['a symbol', Symbol('a'), 'a symbol'],
    ['an error', new Error('no table'), 'no table'],
  ])('cannot be %s', async (_what, value, told) => {
    const run = await asked(startRunner([returning(value)]), 'give');
    expect(run).toMatchObject({ outcome: 'failed', result: { isError: true } });
    expect(JSON.parse(run.result.output).error).toContain(told);
  });

  it('is cut where it is too long, and the model is told of how much', async () => {
    expect(await give('x'.repeat(100), 100)).toBe('x'.repeat(100));
    expect(await give('x'.repeat(101), 100)).toBe(
      `${'x'.repeat(100)}… [cut: these are the first 100 of 101 characters of the result]`,
    );
    const json = await give(Array(200).fill('abc'), 100);
    expect(json.slice(0, 100)).toBe(JSON.stringify(Array(200).fill('abc')).slice(0, 100));
    expect(json).toMatch(/the first 100 of 1201 characters/);
  });

  it('is not cut through a character', async () => {
    const output = await give('😀'.repeat(10), 5);
    expect(output).toMatch(/^😀😀… \[cut: these are the first 4 of 20/u);
    expect(output).not.toMatch(/\p{Surrogate}/u);
  });

  it('holds no half characters, which some providers cannot read', async () => {
    expect(await give('a\uD83Db')).toBe('a\uFFFDb');
  });

  it('costs no more than what is told of it, however large it is', async () => {
    let read = 0;
    const rows = new Proxy([], {
      get: (target, key) => {
        if (key === 'length') return 1e9;
        if (typeof key === 'string' && /^\d+$/.test(key)) {
          read += 1;
          return { id: Number(key) };
        }
        return Reflect.get(target, key);
      },
    });
    expect(await give({ rows }, 1000)).toMatch(/of more than \d+ characters of the result\]$/);
    expect(read).toBeLessThan(20_000);
    expect(await give({ text: 'x'.repeat(50_000_000) }, 1000)).toMatch(/of more than/);
  });
});

describe('the text of a result', () => {
  it('stops soon after its limit', () => {
    const json = new JsonText(1000);
    json.write(Array(100_000).fill({ a: 'some text', b: [1, 2, 3] }));
    expect(json.isCut).toBe(true);
    expect(json.text.length).toBeLessThan(1100);
    expect(json.text).toHaveLength(json.length);
  });
});

describe('what is secret in arguments', () => {
  const redacted = (args: Readonly<Record<string, unknown>>, names: readonly string[] = []): unknown =>
    redactArguments(args, secretNames(names));

  it.each(['seat', 'Seats', 'cardHolder', 'card_holder', 'CARD-HOLDER', 'card holders'])(
    'is found under the name %j, however it is written',
    (key) => {
      expect(redacted({ [key]: 'x' }, ['CardHolder', 'Seat'])).toEqual({ [key]: '[redacted]' });
    },
  );

  it('is not what only has another number at its end, where the operator named it', () => {
    expect(redacted({ line1: 'x', line2: 'y' }, ['line1'])).toEqual({ line1: '[redacted]', line2: 'y' });
  });

  it.each([
    'password',
    'newPassword',
    'PIN',
    'pin_code',
    'cvv',
    'cardNumber',
    'card_number',
    'CREDIT_CARD_NUMBER',
    'ssn',
    'iban',
    'access_token',
    'accessToken',
    'clientSecret',
    'API-Key',
    'apikey',
    'otp',
    'smsOtp',
    'security_code',
    'card',
    'cards',
    'cardNo',
    'cc',
    'ccNumber',
    'creditcard',
    'creditcardnumber',
    'cardnumbers',
    'expiry',
    'card_expiry',
    'exp_month',
    'dob',
    'dateOfBirth',
    'pincode',
    'newPin2',
    'newPassCode',
    'userpassword',
    'userpasswd',
    'passwords',
    'password1',
    'apikey2',
    'api_keys',
    'access_tokens',
    'refreshtoken',
    'clientsecret',
    'cvv2',
    'smsotp',
    'verification-code',
  ])('is always what is called %s', (key) => {
    expect(redacted({ [key]: '1' })).toEqual({ [key]: '[redacted]' });
  });

  it.each([
    'spinning',
    'opinion',
    'tokenize',
    'number',
    'card_type',
    'scorecard',
    'discardNote',
    'secretary',
    'expired',
    'accessible',
    'happiness',
    'pinned',
    'option',
    'laptop',
    'account',
  ])('is not what is called %s', (key) => {
    expect(redacted({ [key]: '1' })).toEqual({ [key]: '1' });
  });

  it('is found at any depth, also in JSON in a string, and whatever it is', () => {
    const args = {
      guests: [{ name: 'A', pin: 1 }, { pin: { a: [1] } }],
      payload: '{"paid":{"cvv":"123","name":"A"}}',
      twice: JSON.stringify([JSON.stringify({ otp: '99' })]),
      text: '{not json',
    };
    expect(redacted(args)).toEqual({
      guests: [{ name: 'A', pin: '[redacted]' }, { pin: '[redacted]' }],
      payload: { paid: { cvv: '[redacted]', name: 'A' } },
      twice: [{ otp: '[redacted]' }],
      text: '{not json',
    });
  });

  it('is everything for *', () => {
    expect(redacted({ a: 1, b: { c: 2 } }, ['*'])).toEqual({ a: '[redacted]', b: '[redacted]' });
  });

  it('stays within 4 KiB of JSON, and says when it was cut', () => {
    const text = redacted({ note: 'é'.repeat(5000), table: 4 });
    expect(text).toEqual({ note: `${'é'.repeat(512)}… [cut: 5000 characters]`, table: 4 });
    for (const large of [
      Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key-${i}`, i])),
      Object.fromEntries(
        Array.from({ length: 50 }, (_, i) => [`${i}${'k'.repeat(300)}`, '\u0001'.repeat(300)]),
      ),
      { list: Array.from({ length: 5000 }, () => ({ a: [], b: {} })) },
      { list: Array.from({ length: 5000 }, () => '😀'.repeat(30)) },
    ]) {
      const copy = redacted(large);
      const size = Buffer.byteLength(JSON.stringify(copy));
      expect(size).toBeLessThanOrEqual(4096);
      expect(size).toBeGreaterThan(3000);
      expect(copy).toHaveProperty('…', 'cut');
    }
  });

  it('is found for the function, for all functions, and for a name that is none of them', async () => {
    const pay = defineTool({
      name: 'pay',
      description: '',
      redact: ['account'],
      parameters: { type: 'object' },
      run: () => 'paid',
    });
    const look = defineTool({ name: 'look', description: '', run: () => 'seen' });
    const runner = startRunner([pay, look], { redact: ['street'] });
    const args = { account: '1', street: '2', pin: '3', day: '4' };
    const secret = '[redacted]';
    expect((await asked(runner, 'pay', args)).args).toEqual({
      account: secret,
      street: secret,
      pin: secret,
      day: '4',
    });
    expect((await asked(runner, 'look', args)).args).toEqual({
      account: '1',
      street: secret,
      pin: secret,
      day: '4',
    });
    expect((await asked(runner, 'pey', args)).args).toEqual({
      account: secret,
      street: secret,
      pin: secret,
      day: '4',
    });
  });

  it('is what the model wrote, not what the schema makes of it, and nothing of what cannot be read', async () => {
    const pay = defineTool({
      name: 'pay',
      description: '',
      parameters: { type: 'object', properties: { amount: { type: 'number' } } },
      run: (args) => args,
    });
    const runner = startRunner([pay]);
    const run = await asked(runner, 'pay', { amount: '4' });
    expect([run.args, run.result.output]).toEqual([{ amount: '4' }, '{"amount":4}']);
    const broken = await runner.tools.run('x', 'pay', '{"pin":"1234');
    expect(broken.args).toBe('[unreadable: 12 characters]');
    expect(JSON.stringify(broken)).not.toContain('1234');
  });

  it('is kept from the report, not from the function', async () => {
    const pay = defineTool({ name: 'pay', description: '', run: ({ pin }) => pin });
    expect((await asked(startRunner([pay]), 'pay', { pin: '1234' })).result.output).toBe('1234');
  });
});

/** A small generator of numbers that is the same for the same seed. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 0x9e3779b1;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  text(): string {
    const letters = [
      'a',
      '"',
      '\\',
      '{',
      '}',
      '[',
      ',',
      ':',
      ' ',
      '\n',
      '😀',
      '\uD83D',
      '\u0000',
      '7',
      '-',
      '```',
      '\uFEFF',
    ];
    return Array.from({ length: this.below(8) }, () => this.pick(letters)).join('');
  }

  json(depth: number): unknown {
    const kind = this.below(depth > 0 ? 8 : 6);
    if (kind < 2) return this.text();
    if (kind === 2) return this.below(10) - 3;
    if (kind < 6) return this.pick([null, true, false, 1.5, -1e300, '4', '[1]', '{"a":1}', 'null']);
    const length = this.below(4);
    if (kind === 6) return Array.from({ length }, () => this.json(depth - 1));
    return this.object(depth, length);
  }

  object(depth: number, length: number): Record<string, unknown> {
    const keys = ['count', 'when', 'list', 'nested', 'constructor', 'toString', 'pin', ''];
    return Object.fromEntries(Array.from({ length }, () => [this.pick(keys), this.json(depth - 1)]));
  }

  /** What a model may write, right or wrong, whole or damaged. */
  argumentText(): string {
    let text = JSON.stringify(this.below(4) > 0 ? this.object(4, this.below(5)) : this.json(4));
    for (let times = this.below(3); times > 0; times--) text = JSON.stringify(text);
    if (this.below(4) === 0) text = text.replace('"count"', '"__proto__"');
    if (this.below(4) === 0) text = `\`\`\`json\n${text}\n\`\`\``;
    if (this.below(4) === 0) text += this.text();
    if (this.below(6) === 0) text = text.slice(0, this.below(text.length + 1));
    if (this.below(6) === 0) {
      const at = this.below(text.length + 1);
      text = text.slice(0, at) + this.text() + text.slice(at + this.below(3));
    }
    return text;
  }
}

describe('whatever a model writes', () => {
  it('has one result, never rejects, and runs no function with arguments that its check refuses', async () => {
    const outcomes = new Map<string, number>();
    const wrong: unknown[] = [];
    const own: Tool = defineTool({
      name: 'own',
      description: '',
      parameters: {
        type: 'object',
        properties: {
          count: { type: 'integer', minimum: 0 },
          when: { type: ['string', 'null'] },
          list: { type: 'array', items: { type: 'number' } },
          nested: { $ref: '#' },
          constructor: { type: 'string' },
        },
      },
      run: (args) => {
        if (!own.check(args).ok || Object.hasOwn(args, '__proto__')) wrong.push(args);
        return args;
      },
    });
    const runner = startRunner([own], { redact: ['when'] });
    for (let seed = 1; seed <= 3000; seed++) {
      const text = new Random(seed).argumentText();
      const run = await runner.tools.run(`c-${seed}`, 'own', text);
      outcomes.set(run.outcome, (outcomes.get(run.outcome) ?? 0) + 1);
      expect(Buffer.byteLength(JSON.stringify(run.args)), text).toBeLessThanOrEqual(4096);
      if (run.result.isError) expect(JSON.parse(run.result.output), text).toHaveProperty('error');
    }
    expect(wrong).toEqual([]);
    expect([...outcomes.keys()].sort()).toEqual(['done', 'refused']);
    expect(Math.min(...outcomes.values())).toBeGreaterThan(300);
    expect(Object.prototype).not.toHaveProperty('count');
  });
});
