import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { traceOf } from '../src/tools/failure-trace.ts';

function failed(cause: unknown): BridgeError {
  return new BridgeError('TOOL_FAILED', 'Ann Miller has no table', { cause });
}

function thrown(stack: string, message = 'Ann Miller has no table'): Error {
  const error = new RangeError(message);
  error.stack = stack;
  return error;
}

describe('what a log says of a function that failed', () => {
  it('is the kind of what was thrown and the place in the handler', () => {
    const { kind, at } = traceOf(failed(new TypeError('Ann Miller has no table')));
    expect(kind).toBe('TypeError');
    expect(at).toMatch(/^failure-trace\.test\.ts:\d+$/);
  });

  it.each([
    [
      'a module that was imported anew',
      'at run (file:///app/handlers/booking.js?v=17:41:11)',
      'booking.js:41',
    ],
    ['a file without a function', 'at /app/handlers/booking.js:7:1', 'booking.js:7'],
    ['an async function', 'at async Object.run (file:///app/booking.ts:9:3)', 'booking.ts:9'],
    ['a drive', 'at run (C:\\app\\booking.js:41:11)', 'booking.js:41'],
    ['Node itself', 'at node:internal/process/task_queues:95:5', undefined],
    ['a package', 'at pg (/app/node_modules/pg/lib/client.js:526:17)', undefined],
  ])('finds it in a frame of %s', (_of, frame, at) => {
    const stack = `RangeError: Ann Miller has no table\n    ${frame}`;
    expect(
      traceOf(failed(thrown(stack)))
        .at?.split('\\')
        .at(-1),
    ).toBe(at);
  });

  it('takes the handler’s frame behind those of packages', () => {
    const stack =
      'RangeError: x\n    at pg (/app/node_modules/pg/client.js:5:17)\n    at run (/app/booking.js:12:5)';
    expect(traceOf(failed(thrown(stack, 'x'))).at).toBe('booking.js:12');
  });

  it('tells the code of an error that has one', () => {
    expect(traceOf(failed(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))).kind).toBe(
      'ECONNREFUSED',
    );
  });

  it('is not led astray by a message that looks like a frame, and never repeats one', () => {
    const message = 'no\n    at Ann Miller (/home/ann-miller.txt:1:1)';
    const trace = traceOf(
      failed(thrown(`RangeError: ${message}\n    at run (/app/booking.js:3:5)`, message)),
    );
    expect(trace.at).toBe('booking.js:3');
    const odd = Object.assign(new Error('x'), { name: 'Ann Miller', code: 'Ann Miller' });
    expect(traceOf(failed(odd)).kind).toBeUndefined();
    expect(traceOf(failed('Ann Miller')).kind).toBe('TOOL_FAILED');
  });
});
