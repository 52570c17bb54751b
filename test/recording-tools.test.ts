import { describe, expect, it } from 'vitest';
import { type Agent, voiceAgent } from '../src/agents.ts';
import { BridgeError } from '../src/errors.ts';
import { agentFrom, type RecordedAgent, recordAgent } from '../src/recording/agent-record.ts';
import { ToolRunner } from '../src/tool-runner.ts';
import {
  collectDigits,
  currentTime,
  endCall,
  leaveMessage,
  lineStatus,
  sendDigits,
  transferCall,
} from '../src/tools/built-in.ts';
import { builtInTool } from '../src/tools/remade.ts';
import { type CallHandle, defineTool, type Tool } from '../src/tools.ts';
import { callStub } from './support/call-stub.ts';
import { KNOWN_SECRET, nextTurn, TapedCall } from './support/taped-call.ts';

/** A runner whose functions run behind a tape. */
function runner(call: TapedCall, tools: readonly Tool[], handle: Partial<CallHandle> = {}) {
  const over = new AbortController();
  const run = new ToolRunner({
    tools: call.tape.tools(tools),
    clock: call.clock,
    call: callStub(handle),
    signal: over.signal,
    atOnce: 4,
  });
  return { run, over };
}

function tool(run: Parameters<typeof defineTool>[0]['run'], more: Partial<Tool> = {}): Tool {
  return { ...defineTool({ name: 'work', description: 'Works.', run }), ...more };
}

const msgs = (call: TapedCall): unknown[] => call.told.map(({ msg }) => msg);

describe('a function of the program', () => {
  it('is written down with its arguments and its result, at the times of both', async () => {
    const call = new TapedCall();
    let finish: (value: unknown) => void = () => undefined;
    const slow = tool(
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    const { run } = runner(call, [slow]);
    const running = run.run('call_1', 'work', '{"what":["weather",1]}');
    await nextTurn();
    call.clock.advance(250);
    finish({ sky: 'blue' });
    const { result, outcome } = await running;
    expect(outcome).toBe('done');
    expect(result.output).toBe('{"sky":"blue"}');
    expect(call.lines).toEqual([
      {
        t: 0,
        on: 'tool',
        dir: 'out',
        msg: { id: 1, run: 'work', toolCallId: 'call_1', args: { what: ['weather', 1] } },
      },
      { t: 250, on: 'tool', dir: 'in', msg: { id: 1, returned: { sky: 'blue' }, done: true } },
    ]);
  });

  it.each([
    ['text', () => 'as it is', { returned: 'as it is', done: true }],
    ['nothing', () => undefined, { done: true }],
    ['null', () => null, { returned: null, done: true }],
    [
      'what only the runner can write',
      () => ({ big: 7n, list: new Set([1]) }),
      { returned: { big: '7', list: [1] }, done: true },
    ],
    ['an error', () => new Error('no luck'), { threw: { message: 'no luck' } }],
    [
      'a stream',
      async function* () {},
      { threw: { message: expect.stringContaining('returned a stream'), code: 'TOOL_FAILED' } },
    ],
    [
      'an error that is thrown',
      () => {
        throw new BridgeError('BAD_INPUT', 'not so');
      },
      { threw: { message: 'not so', code: 'BAD_INPUT' } },
    ],
    [
      'a promise that is broken',
      () => Promise.reject(new TypeError('later')),
      { threw: { message: 'later' } },
    ],
    [
      'a strange promise',
      () => Object.fromEntries([['then', (done: (value: unknown) => void) => done(17)]]),
      { returned: 17, done: true },
    ],
    [
      'what throws when it is looked at',
      () =>
        Object.defineProperty({}, 'then', {
          get: () => {
            throw new Error('hands off');
          },
        }),
      { threw: { message: 'hands off' } },
    ],
  ])('that gives %s has the result that it has without a tape', async (_what, handler, told) => {
    const call = new TapedCall();
    const taped = await runner(call, [tool(handler)]).run.run('c', 'work', '{}');
    const plain = new ToolRunner({
      tools: [tool(handler)],
      clock: call.clock,
      call: callStub(),
      signal: new AbortController().signal,
      atOnce: 4,
    });
    const { result, outcome } = await plain.run('c', 'work', '{}');
    expect({ result: taped.result, outcome: taped.outcome }).toEqual({ result, outcome });
    expect(msgs(call)).toEqual([expect.objectContaining({ run: 'work' }), { id: 1, ...told }]);
    expect(call.troubles).toEqual([]);
  });

  it('that does something with its call is written down before it is done', async () => {
    const call = new TapedCall();
    const done: string[] = [];
    const linesThen: number[] = [];
    const note = (what: string, first?: unknown): void => {
      done.push(`${what} ${JSON.stringify(first)}`);
      linesThen.push(call.lines.length);
    };
    const noted = async <T>(what: string, first: unknown, answer: T): Promise<T> => {
      note(what, first);
      return answer;
    };
    const ok = { status: 'ok' } as const;
    const handle: Partial<CallHandle> = {
      hangUpAfterGoodbye: () => note('bye'),
      leaveMessage: (text) => note('leave', text),
      heard: () => noted('heard', undefined, undefined),
      transfer: (to) => noted('transfer', to, ok),
      sendDigits: (digits) => noted('digits', digits, ok),
      collectDigits: (wish) => noted('collect', wish, { status: 'complete', digits: '12' }),
      record: (on) => noted('record', on, ok),
    };
    const transfer = {
      to: '+15550100003',
      callerId: undefined,
      ringS: 20,
      announce: undefined,
      language: undefined,
    };
    const wish = { max: 2, endKey: '#', firstMs: 1000, nextMs: 500 };
    const busy = tool(async (_args, phone) => {
      await phone.heard();
      await phone.transfer(transfer);
      await phone.sendDigits('1w2');
      const { status } = await phone.collectDigits(wish, phone.signal);
      await phone.record(true);
      phone.leaveMessage('Call me.');
      phone.hangUpAfterGoodbye();
      return { status, from: phone.from, key: phone.idempotencyKey, time: phone.epoch() };
    });
    const { result } = await runner(call, [busy], handle).run.run('c9', 'work', '{}');
    expect(JSON.parse(result.output)).toEqual({
      status: 'complete',
      from: '+15550100001',
      key: 'CA1:c9',
      time: 1_700_000_000_000,
    });
    const does = msgs(call).slice(1, -1);
    expect(does).toEqual([
      { id: 1, does: 'heard', with: [] },
      { id: 1, does: 'transfer', with: [{ to: '+15550100003', ringS: 20 }] },
      { id: 1, does: 'sendDigits', with: ['1w2'] },
      { id: 1, does: 'collectDigits', with: [wish] },
      { id: 1, does: 'record', with: [true] },
      { id: 1, does: 'leaveMessage', with: ['Call me.'] },
      { id: 1, does: 'hangUpAfterGoodbye', with: [] },
    ]);
    expect(linesThen).toEqual([2, 3, 4, 5, 6, 7, 8]);
    expect(done[1]).toContain('+15550100003');
  });

  it('that is told to stop is written down so, and also what it gives too late', async () => {
    const call = new TapedCall();
    let finish: (value: unknown) => void = () => undefined;
    const slow = tool(
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
      { timeoutMs: 300 },
    );
    const { run, over } = runner(call, [slow]);
    const late = run.run('late', 'work', '{}');
    await nextTurn();
    call.clock.advance(300);
    await late;
    finish('too late');
    await nextTurn();
    const cut = run.run('cut', 'work', '{}');
    over.abort();
    await cut;
    expect(msgs(call)).toEqual([
      { id: 1, run: 'work', toolCallId: 'late', args: {} },
      { id: 1, aborted: 'TIMEOUT' },
      { id: 1, returned: 'too late', done: true },
      { id: 2, run: 'work', toolCallId: 'cut', args: {} },
      { id: 2, aborted: 'CANCELLED' },
    ]);
  });

  it('leaves nothing on its signal when it has settled', async () => {
    const call = new TapedCall();
    const signals: AbortSignal[] = [];
    const quick = tool((_args, { signal }) => {
      signals.push(signal);
      return 1;
    });
    const { run, over } = runner(call, [quick]);
    await run.run('a', 'work', '{}');
    over.abort();
    expect(signals).toHaveLength(1);
    expect(msgs(call)).toHaveLength(2);
  });

  it('has the id that the provider gave, or else the key of the invocation', async () => {
    const call = new TapedCall();
    const { run } = runner(call, [tool(() => 1)]);
    const long = 'x'.repeat(300);
    await run.run('plain', 'work', '{}');
    await run.run('plain', 'work', '{"again":1}');
    await run.run(long, 'work', '{}');
    const ids = msgs(call).flatMap((msg) => {
      const { toolCallId } = msg as { toolCallId?: string };
      return toolCallId === undefined ? [] : [toolCallId];
    });
    expect(ids).toEqual(['plain', 'plain:2', expect.stringMatching(/^sha256-/)]);
  });

  it('says no key of the service, whoever put it there', async () => {
    const call = new TapedCall();
    const leaky = tool(() => ({ hint: `use ${KNOWN_SECRET}`, password: 'of the caller' }));
    const { result } = await runner(call, [leaky]).run.run(
      'c',
      'work',
      `{"a":"${encodeURIComponent(KNOWN_SECRET)}"}`,
    );
    expect(call.written).not.toContain(KNOWN_SECRET);
    expect(call.written).toContain('use [secret]');
    // That is for redaction to say.
    expect(call.written).toContain('of the caller');
    expect(result.output).toContain(KNOWN_SECRET);
  });

  it('runs on when nothing can be written down', async () => {
    const call = new TapedCall();
    Object.assign(call.sink, {
      line: () => {
        throw new Error('no room');
      },
    });
    const { outcome } = await runner(call, [tool(async () => 1)]).run.run('c', 'work', '{}');
    expect(outcome).toBe('done');
  });
});

const DESTINATION = {
  name: 'desk',
  description: 'the front desk',
  to: '+15550100004',
  callerId: undefined,
  ringS: 25,
  announce: 'A call.',
  language: undefined,
};
const WISH = { max: 4, endKey: undefined, firstMs: 5000, nextMs: 2000 };
const BUILT_IN: readonly Tool[] = [
  endCall,
  currentTime,
  lineStatus,
  sendDigits,
  transferCall([DESTINATION]),
  collectDigits(WISH),
  leaveMessage('Goodbye.'),
  {
    ...leaveMessage(undefined),
    definition: { ...leaveMessage(undefined).definition, description: 'As we call it.' },
  },
];

const TEXT = {
  instructions: undefined,
  greeting: undefined,
  voice: 'cedar',
  language: undefined,
  audio: 'wideband',
  maxCallMs: 60_000,
  silenceMs: 0,
} as const;

describe('a function of the bridge itself', () => {
  it('is not taped: a replay runs it', () => {
    const call = new TapedCall();
    expect(call.tape.tools(BUILT_IN)).toEqual(BUILT_IN);
    expect(call.tape.tools(BUILT_IN).every((one, index) => one === BUILT_IN[index])).toBe(true);
  });

  it.each(BUILT_IN.map((one) => [one.definition.name, one] as const))(
    '%s is made again of what is kept of it',
    async (_name, one) => {
      const kept = JSON.parse(JSON.stringify(one.builtIn));
      const again = { ...builtInTool(kept), definition: one.definition };
      const plain = ({ run: _run, check: _check, ...data }: Tool): unknown =>
        JSON.parse(JSON.stringify(data));
      expect(plain(again)).toEqual(plain(one));
    },
  );

  it('puts callers through to where it did', async () => {
    const again = builtInTool(JSON.parse(JSON.stringify(transferCall([DESTINATION]).builtIn)));
    const asked: unknown[] = [];
    const run = new ToolRunner({
      tools: [again],
      clock: new TapedCall().clock,
      call: callStub({
        transfer: async (to) => {
          asked.push(to);
          return { status: 'ok' };
        },
      }),
      signal: new AbortController().signal,
      atOnce: 1,
    });
    await run.run('c', 'transfer_call', '{"destination":"desk"}');
    const { name: _name, description: _description, ...transfer } = DESTINATION;
    expect(asked).toEqual([transfer]);
  });

  it.each([
    [{ name: 'order_pizza' }, 'there is no built-in function'],
    [{ name: 'transfer_call' }, 'no destinations'],
    [{ name: 'transfer_call', options: { destinations: [] } }, 'no destinations'],
    [{ name: 'collect_digits', options: { defaults: { max: 'many' } } }, 'no defaults'],
  ])('that is not one cannot be made: %j', (kept, message) => {
    expect(() => builtInTool(kept)).toThrow(message);
  });
});

describe('an agent as data', () => {
  const weather = defineTool({
    name: 'weather',
    description: 'The weather.',
    parameters: { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] },
    redact: ['town'],
    timeoutMs: 1234,
    run: () => 'rain',
  });
  const agent: Agent = {
    ...voiceAgent(TEXT, [weather, ...BUILT_IN.slice(2)]),
    filler: {
      afterMs: 100,
      texts: ['Wait.'],
      clip: { pcm: new Uint8Array([1, 0, 2, 0]), rate: 8000 },
      everyMs: 1000,
      atMost: 2,
    },
    providers: [{ name: 'openai', model: undefined, voice: 'ash', overrides: { temperature: 0.5 } }],
    variables: { table: 'twelve' },
    digits: { endKey: '#', timeoutMs: 100, max: 3, handle: () => 'pressed' },
  };

  it('comes back as it was, without its handlers', () => {
    const record: RecordedAgent = JSON.parse(JSON.stringify(recordAgent(agent, { mode: 'hang-up' })));
    expect(record.machine).toEqual({ mode: 'hang-up' });
    expect(record.digitsHandled).toBe(true);
    expect(record.tools.map(({ builtIn }) => builtIn)).toEqual([
      true,
      true,
      false,
      true,
      true,
      true,
      true,
      true,
      true,
    ]);
    const handle = (): string => 'played';
    const back = agentFrom(record, { tool: () => weather, handleDigits: handle });
    const plain = (one: Agent): unknown => JSON.parse(JSON.stringify(one));
    expect(plain(back)).toEqual(plain({ ...agent, digits: { ...agent.digits, handle } }));
    expect(back.filler?.clip?.pcm).toEqual(new Uint8Array([1, 0, 2, 0]));
    expect(back.digits.handle).toBe(handle);
    expect(back.tools[0]?.run).toBe(endCall.run);
    expect(Object.keys(back)).not.toContain('machine');
  });

  it('without clip, filler and handler has none afterwards', () => {
    const { digits } = agent;
    const { handle: _handle, ...rule } = digits;
    const bare: Agent = { ...agent, filler: undefined, digits: rule, tools: [] };
    const back = agentFrom(recordAgent(bare, { mode: 'report' }), {
      tool: () => weather,
      handleDigits: () => 'no',
    });
    expect(back.filler).toBeUndefined();
    expect(back.digits.handle).toBeUndefined();
    expect(back.tools).toEqual([]);
  });

  it('written by an older version goes by the name of a built-in function', () => {
    const record = recordAgent({ ...agent, tools: [endCall] }, { mode: 'report' });
    const old = { ...record, tools: record.tools.map(({ made: _made, ...rest }) => rest) };
    expect(agentFrom(old, { tool: () => weather }).tools[0]?.run).toBe(endCall.run);
  });
});
