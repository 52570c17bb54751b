import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { ToolRunner } from '../src/tool-runner.ts';
import { currentTime, lineStatus } from '../src/tools/built-in.ts';
import { defineTool, type Tool } from '../src/tools.ts';
import { callStub } from './support/call-stub.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function runner(tools: readonly Tool[]) {
  const clock = new VirtualClock();
  const call = new AbortController();
  const context = callStub({ roundTripMs: () => 41.26, epoch: () => clock.epoch() });
  return {
    clock,
    call,
    tools: new ToolRunner({ tools, clock, call: context, signal: call.signal, atOnce: 4 }),
  };
}

const echo = defineTool({ name: 'echo', description: 'returns its arguments', run: (args) => args });

describe('function calls', () => {
  it.each([
    ['{"a":1}', '{"a":1}'],
    ['"{\\"a\\":1}"', '{"a":1}'],
    ['', '{}'],
    ['  ', '{}'],
    ['null', '{}'],
  ])('reads the arguments %j', async (args, output) => {
    const { result } = await runner([echo]).tools.run('c', 'echo', args);
    expect(result).toEqual({ output, isError: false });
  });

  it.each(['[1]', '{"a":', '7', 'true', '"text"'])(
    'tells the model when the arguments are %j',
    async (args) => {
      const { result } = await runner([echo]).tools.run('c', 'echo', args);
      expect(result.isError).toBe(true);
      expect(result.output).toMatch(/JSON/);
    },
  );

  it('names the functions there are when the model invents one', async () => {
    const { result } = await runner([echo]).tools.run('c', 'ecko', '{}');
    expect(result).toMatchObject({ isError: true });
    expect(result.output).toContain('echo');
  });

  it('turns what a handler throws into an error result', async () => {
    const broken = defineTool({
      name: 'broken',
      description: 'throws',
      run: () => {
        throw new BridgeError('BAD_INPUT', 'no table free');
      },
    });
    const { result } = await runner([broken]).tools.run('c', 'broken', '{}');
    expect(result.isError).toBe(true);
    expect(result.output).toContain('no table free');
  });

  it('answers for a handler that takes too long, and lets it know', async () => {
    let aborted = false;
    const slow = defineTool({
      name: 'slow',
      description: 'never ends',
      timeoutMs: 500,
      run: (_args, call) => {
        call.signal.addEventListener('abort', () => {
          aborted = true;
        });
        return new Promise(() => undefined);
      },
    });
    const { clock, tools } = runner([slow]);
    const run = tools.run('c', 'slow', '{}');
    clock.advance(501);
    const { result, ms } = await run;
    expect(result.isError).toBe(true);
    expect(result.output).toContain('slow took longer than 500 ms');
    expect(ms).toBe(500);
    expect(aborted).toBe(true);
    expect(tools.running).toBe(0);
  });

  it('gives up a function that the provider does not want any more', async () => {
    const never = defineTool({ name: 'never', description: '', run: () => new Promise(() => undefined) });
    const { tools } = runner([never]);
    const run = tools.run('c', 'never', '{}');
    tools.cancel(['other', 'c']);
    expect((await run).result.isError).toBe(true);
  });

  it('cuts a result that no model should read, and says so', async () => {
    const long = defineTool({ name: 'long', description: '', run: () => 'x'.repeat(20_000) });
    const { result } = await runner([long]).tools.run('c', 'long', '{}');
    expect(result.output.length).toBeLessThan(16_100);
    expect(result.output).toContain('20000 characters');
  });

  it.each(['', 'has space', 'ümlaut', 'x'.repeat(65)])('refuses the name %j', (name) => {
    expect(() => defineTool({ name, description: '', run: () => 1 })).toThrow(/BAD_INPUT: tool name/);
  });

  it.each([
    [{ name: 'book', run: String }, 'BAD_INPUT: tool book: found no description, wanted text that tells'],
    [{ name: 'book', description: 'd' }, 'BAD_INPUT: tool book: found no run, wanted the function that does'],
    [{ description: 'd', run: String }, 'BAD_INPUT: tool name undefined: 1 to 64 letters'],
  ])('is asked for all that it needs, of who has no compiler too: %j', (options: object, message) => {
    expect(() => Reflect.apply(defineTool, undefined, [options])).toThrow(message);
  });

  it('knows the time, in any zone', async () => {
    const { result } = await runner([currentTime]).tools.run(
      'c',
      'current_time',
      '{"time_zone":"Asia/Tokyo"}',
    );
    expect(JSON.parse(result.output)).toMatchObject({
      utc: '2026-01-02T03:04:05.000Z',
      time_zone: 'Asia/Tokyo',
      // Node versions differ in a comma.
      local: expect.stringMatching(/^Friday,? 2 January 2026 at 12:04$/),
    });
    const bad = await runner([currentTime]).tools.run('c', 'current_time', '{"time_zone":"Mars/Base"}');
    expect(bad.result.isError).toBe(true);
  });

  it('knows the round trip of the line', async () => {
    const { result } = await runner([lineStatus]).tools.run('c', 'line_status', '');
    expect(JSON.parse(result.output)).toEqual({ roundTripMs: 41.3 });
  });
});
