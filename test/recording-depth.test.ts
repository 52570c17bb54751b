import { expect, it } from 'vitest';
import { parseLine } from '../src/recording/line-shape.ts';
import { ToolRunner } from '../src/tool-runner.ts';
import { defineTool } from '../src/tools.ts';
import { callStub } from './support/call-stub.ts';
import { noted, TapedCall, upgradeRequest } from './support/taped-call.ts';

/** Readers refuse what is nested too deep to be walked through: then nothing of the kind may be written. */

function nested(levels: number): string {
  return `${'['.repeat(levels)}${']'.repeat(levels)}`;
}

it('a message that is nested too deep is recorded as the text that it was', () => {
  const call = new TapedCall();
  const carrier = call.tape.stream(upgradeRequest())?.listener(noted([]));
  for (const levels of [400, 480, 481, 499, 500, 100_000]) carrier?.message(nested(levels), false);
  const told = call.told.slice(2);
  expect(told.map((line) => ('ctl' in line ? 'text' : 'json'))).toEqual([
    'json',
    'json',
    'text',
    'text',
    'text',
    'text',
  ]);
  expect(told.at(-1)?.['ctl']).toEqual({ type: 'text', text: nested(100_000) });
  for (const line of call.lines) expect(parseLine(JSON.stringify(line))).toEqual(line);
  expect(call.troubles).toEqual([]);
});

it('what a function is given or gives that is nested too deep is missed, and the rest can be read', async () => {
  const call = new TapedCall();
  const deep: unknown = JSON.parse(nested(600));
  const work = defineTool({ name: 'work', description: 'Works.', run: () => deep });
  const runner = new ToolRunner({
    tools: call.tape.tools([work]),
    clock: call.clock,
    call: callStub({}),
    signal: new AbortController().signal,
    atOnce: 4,
  });
  await runner.run('call_1', 'work', '{}');
  await runner.run('call_2', 'work', `{"a":${nested(600)}}`);
  for (const line of call.lines) expect(parseLine(JSON.stringify(line))).toEqual(line);
  expect(call.told[0]).toMatchObject({ msg: { run: 'work', toolCallId: 'call_1' } });
  expect(JSON.stringify(call.told)).not.toContain(nested(490));
});
