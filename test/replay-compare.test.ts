import { describe, expect, it } from 'vitest';
import { isRecord } from '../src/is-record.ts';
import { audioRefsOf } from '../src/recording/audio-refs.ts';
import { type Line, TOLERANCE } from '../src/recording/format.ts';
import type { StoredCall } from '../src/recording/stored-call.ts';
import type { Difference } from '../src/replay/compare/difference.ts';
import { compareCalls, tellDifference } from '../src/replay/compare.ts';
import { CallMaker, COMMAND_ID, smallCall, TOKEN } from './support/small-call.ts';

function compare(expected: StoredCall, found: StoredCall): readonly Difference[] {
  return compareCalls(expected, found, TOLERANCE);
}

/** A call with one of its lines changed, or without it; in order of time. */
function without(call: StoredCall, at: number, instead: readonly Line[] = []): StoredCall {
  const lines = [...call.lines.slice(0, at), ...instead, ...call.lines.slice(at + 1)];
  return { ...call, lines: lines.toSorted((a, b) => a.t - b.t) };
}

/** Lines that go out, with their places; of those with audio every twentieth. */
function outLines(call: StoredCall): readonly (readonly [number, Line])[] {
  let audio = 0;
  return [...call.lines.entries()].filter(([, line]) => {
    if (line.dir === 'in') return false;
    return audioRefsOf(line).length === 0 || audio++ % 20 === 0;
  });
}

function isAudio(line: Line): boolean {
  return audioRefsOf(line).length > 0;
}

/** The place of the only line that this is true of. */
function placeOf(call: StoredCall, text: string): number {
  const all = [...call.lines.entries()].filter(([, line]) => JSON.stringify(line).includes(text));
  expect(all).toHaveLength(1);
  return all[0]?.[0] ?? -1;
}

function lineAt(call: StoredCall, at: number): Line {
  const line = call.lines[at];
  if (line === undefined) throw new Error(`no line ${at}`);
  return line;
}

/** A line with its text changed. */
function edited(line: Line, from: string, to: string): Line {
  const text = JSON.stringify(line);
  expect(text).toContain(from);
  return JSON.parse(text.replace(from, to)) as Line;
}

function editedCall(call: StoredCall, at: number, from: string, to: string): StoredCall {
  return without(call, at, [edited(lineAt(call, at), from, to)]);
}

/** Every number, text and truth value in a value with its path, and a copy of the whole in which it is another one. */
function* changes(
  value: unknown,
  path: string,
  whole: (inner: unknown) => unknown,
): Generator<[string, unknown]> {
  if (Array.isArray(value)) {
    for (const [i, inner] of value.entries()) {
      yield* changes(inner, `${path}[${i}]`, (other) => whole(value.with(i, other)));
    }
  } else if (isRecord(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (inner === undefined) continue;
      yield* changes(inner, `${path}.${name}`, (other) => whole({ ...value, [name]: other }));
      yield [`${path}.${name}`, whole({ ...value, [name]: undefined })];
    }
    yield [`${path}.extra`, whole({ ...value, extra: null })];
  } else if (typeof value === 'string') yield [path, whole(`${value}x`)];
  else if (typeof value === 'number') yield [path, whole(value + 6)];
  else if (typeof value === 'boolean') yield [path, whole(!value)];
}

/** A line in every way in which one of its fields can be another. */
function changedLines(line: Line): readonly { readonly path: string; readonly changed: Line }[] {
  const under = 'msg' in line ? 'msg' : 'ctl';
  const body = 'msg' in line ? line.msg : line.ctl;
  return [...changes(body, under, (inner) => inner)].map(([path, other]) => ({
    path,
    changed: { ...line, [under]: other } as unknown as Line,
  }));
}

describe('a call and its replay', () => {
  it('are the same if nothing was changed', () => {
    expect(compare(smallCall(), smallCall())).toEqual([]);
  });

  it('are the same however the audio was cut into messages', () => {
    expect(compare(smallCall(), smallCall({ cutMs: 20 }))).toEqual([]);
    expect(compare(smallCall({ cutMs: 20 }), smallCall())).toEqual([]);
  });

  it('are the same whatever the order of the fields, and with fields that are not there', () => {
    const found = smallCall();
    const lines = found.lines.map((line) => {
      if (!('msg' in line) || !isRecord(line.msg)) return line;
      const msg = { ...Object.fromEntries(Object.entries(line.msg).toReversed()), nothing: undefined };
      return { ...line, msg } as unknown as Line;
    });
    expect(compare(smallCall(), { ...found, lines })).toEqual([]);
  });

  it('differ by any line that is missing, at its place', () => {
    const call = smallCall();
    for (const [at, line] of outLines(call)) {
      const differences = compare(call, without(call, at));
      const [first] = differences;
      expect(first, `line ${at}`).toMatchObject({ t: line.t, edge: line.on, expectedLine: at });
      expect(first?.kind).toBe(isAudio(line) ? 'audio' : 'missing');
      expect(differences).toHaveLength(1);
    }
  });

  it('differ by any line that is additional, at its place', () => {
    const call = smallCall();
    for (const [at, line] of outLines(call)) {
      if (isAudio(line)) continue;
      const differences = compare(without(call, at), call);
      expect(differences, `line ${at}`).toMatchObject([
        { kind: 'additional', t: line.t, edge: line.on, foundLine: at },
      ]);
    }
  });

  it('differ by any field of any message, and its path is told', () => {
    const call = smallCall();
    let count = 0;
    for (const [at, line] of outLines(call)) {
      for (const { path, changed } of isAudio(line) ? [] : changedLines(line)) {
        const differences = compare(call, without(call, at, [changed]));
        const [first] = differences;
        expect(first, `line ${at}, ${path}`).toMatchObject({ t: line.t, edge: line.on });
        count += 1;
        // A line that is called something else is another one.
        if (first?.kind === 'missing' || first?.kind === 'additional') continue;
        expect(differences).toMatchObject([{ kind: 'value', path, expectedLine: at, foundLine: at }]);
      }
    }
    expect(count).toBeGreaterThan(150);
  });

  it('differ by the time of any line, beyond the tolerance', () => {
    const call = smallCall();
    for (const [at, line] of outLines(call)) {
      // Behind the next line of its connection it would be in another place.
      const isLast = call.lines.every((other, i) => i <= at || other.on !== line.on || other.t !== line.t);
      if (isAudio(line) && !isLast) continue;
      expect(compare(call, without(call, at, [{ ...line, t: line.t + 6 }])), `line ${at}`).toMatchObject([
        { kind: 'time', path: 't', t: line.t, expected: line.t, found: line.t + 6, expectedLine: at },
      ]);
    }
  });

  it('are the same if a line is late within the tolerance, alone at its moment', () => {
    const call = smallCall();
    for (const [at, line] of outLines(call)) {
      const isAlone = call.lines.filter(({ t, dir }) => dir === 'out' && t === line.t).length === 1;
      if (isAlone)
        expect(compare(call, without(call, at, [{ ...line, t: line.t + 4 }])), `line ${at}`).toEqual([]);
    }
  });

  it('may differ in fields that are times, within the tolerance', () => {
    const call = smallCall();
    const truncate = placeOf(call, 'audio_end_ms');
    const cutIn = placeOf(call, 'bargeIn');
    const end = placeOf(call, '"ended"');
    expect(compare(call, editedCall(call, truncate, '"audio_end_ms":1600', '"audio_end_ms":1604'))).toEqual(
      [],
    );
    expect(compare(call, editedCall(call, cutIn, '"playedMs":1600', '"playedMs":1597'))).toEqual([]);
    expect(compare(call, editedCall(call, end, '"atMs":2600', '"atMs":2603'))).toEqual([]);
    expect(compare(call, editedCall(call, truncate, '"content_index":0', '"content_index":1'))).toMatchObject(
      [{ kind: 'value', path: 'msg.content_index', expected: 0, found: 1 }],
    );
    expect(
      compare(call, editedCall(call, truncate, '"audio_end_ms":1600', '"audio_end_ms":1606')),
    ).toMatchObject([{ kind: 'value', path: 'msg.audio_end_ms' }]);
  });

  it('tell what a session without a network was told of how much was heard, with the same tolerance', () => {
    const told = (playedMs: number): StoredCall =>
      new CallMaker()
        .line(10, {
          on: 'provider',
          dir: 'out',
          conn: 1,
          msg: { call: 'interrupt', args: [[{ itemId: 'item_1', playedMs, receivedMs: 900 }]] },
        })
        .stored();
    expect(compare(told(300), told(304))).toEqual([]);
    expect(compare(told(300), told(400))).toMatchObject([{ path: 'msg.args[0][0].playedMs' }]);
  });
});

describe('the order of what happens at one moment', () => {
  it('counts between edges', () => {
    const call = smallCall();
    const clear = placeOf(call, '"clear"');
    const cancel = placeOf(call, 'response.cancel');
    const lines = [...call.lines];
    [lines[clear], lines[cancel]] = [lineAt(call, cancel), lineAt(call, clear)];
    const differences = compare(call, { ...call, lines });
    expect(differences).toMatchObject([
      { kind: 'order', t: 2600, edge: 'provider', what: 'to openai: response.cancel' },
    ]);
    expect(differences[0]?.found).toBe('before "to the carrier: clear"');
  });

  it('counts within a connection, also between moments', () => {
    const sent = (...types: readonly string[]): StoredCall => {
      const maker = new CallMaker();
      for (const [i, type] of types.entries()) {
        maker.line(100 + i, { on: 'provider', dir: 'out', conn: 1, msg: { type } });
      }
      return maker.stored();
    };
    expect(compare(sent('a', 'b', 'c', 'd'), sent('a', 'c', 'b', 'd'))).toMatchObject([
      { kind: 'order', what: 'to a provider: b', expected: 'after "to a provider: a"' },
    ]);
  });

  it('does not count between moments', () => {
    const lines = (first: number, second: number): StoredCall =>
      new CallMaker()
        .line(first, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'clear' } })
        .line(second, { on: 'provider', dir: 'out', conn: 1, msg: { type: 'response.cancel' } })
        .stored();
    expect(compare(lines(100, 101), lines(102, 101))).toEqual([]);
    expect(compare(lines(100, 100), lines(102, 101))).toMatchObject([{ kind: 'order' }]);
  });

  it('counts for audio, too: speech does not begin before it is said to', () => {
    const call = smallCall();
    const told = placeOf(call, 'firstAudio');
    const lines = [...call.lines];
    const begins = lines.findIndex((line) => line.on === 'carrier' && line.dir === 'out' && isAudio(line));
    [lines[told], lines[begins]] = [lineAt(call, begins), lineAt(call, told)];
    expect(compare(call, { ...call, lines })).toMatchObject([{ kind: 'order', t: 1000 }]);
  });
});

describe('ids that the bridge makes', () => {
  const OTHER_TOKEN = 'YW5vdGhlci10b2tlbi0uLi4tLi4uLQ9z';
  const OTHER_ID = '0b2ad0a2-9b60-4f64-8f8c-0d5b7f3c1e11';

  it('may be others', () => {
    expect(compare(smallCall(), smallCall({ token: OTHER_TOKEN, commandId: OTHER_ID }))).toEqual([]);
  });

  it('may be counted in another way, by the same use', () => {
    const renamed = smallCall();
    const lines = renamed.lines.map(
      (line) =>
        JSON.parse(
          JSON.stringify(line)
            .replace(/g0\.m(\d)/g, 'g1.m1$1')
            .replace('pc_cancel_3', 'pc_cancel_7'),
        ) as Line,
    );
    expect(compare(smallCall(), { ...renamed, lines })).toEqual([]);
  });

  it('stand everywhere where they stood', () => {
    const call = (last: string, first = COMMAND_ID): StoredCall => {
      const maker = new CallMaker();
      for (const [i, id] of [first, first, last].entries()) {
        const body = JSON.stringify({ command_id: id, at: i });
        maker.line(i, {
          on: 'rest',
          dir: 'out',
          msg: { id: i, method: 'POST', url: 'https://a.example/x', body },
        });
      }
      return maker.stored();
    };
    expect(compare(call(COMMAND_ID), call(OTHER_ID, OTHER_ID))).toEqual([]);
    const third = { kind: 'id', path: 'msg.body.command_id', t: 2 };
    expect(compare(call(COMMAND_ID), call(OTHER_ID))).toMatchObject([third]);
    expect(compare(call(COMMAND_ID), call(COMMAND_ID, OTHER_ID))).toMatchObject([third]);
    // Two ids have become one.
    expect(compare(call(OTHER_ID), call(COMMAND_ID))).toMatchObject([third]);
  });

  it('are matched by their first use in the call, whatever connection that is on', () => {
    const call = (first: string, second: string): StoredCall =>
      new CallMaker()
        .line(0, { on: 'provider', dir: 'out', conn: 1, msg: { type: 'hello' } })
        .line(5, {
          on: 'rest',
          dir: 'out',
          msg: { id: 1, method: 'POST', url: `https://a.example/${first}` },
        })
        .line(9, { on: 'provider', dir: 'out', conn: 1, msg: { type: 'use', id: second } })
        .stored();
    expect(compare(call(COMMAND_ID, COMMAND_ID), call(OTHER_ID, OTHER_ID))).toEqual([]);
    expect(compare(call(COMMAND_ID, COMMAND_ID), call(OTHER_ID, COMMAND_ID))).toMatchObject([
      { kind: 'id', path: 'msg.id', t: 9 },
    ]);
  });

  it('are not those that came in', () => {
    const call = (id: string): StoredCall =>
      new CallMaker()
        .line(0, { on: 'provider', dir: 'in', conn: 1, msg: { type: 'made', item: { id: COMMAND_ID } } })
        .line(1, { on: 'provider', dir: 'out', conn: 1, msg: { type: 'delete', item_id: id } })
        .stored();
    expect(compare(call(COMMAND_ID), call(COMMAND_ID))).toEqual([]);
    expect(compare(call(COMMAND_ID), call(OTHER_ID))).toMatchObject([{ kind: 'value', path: 'msg.item_id' }]);
  });

  it('are found in addresses within documents', () => {
    const call = smallCall();
    const answer = placeOf(call, '<Response>');
    const found = editedCall(call, answer, `/media/twilio/${TOKEN}`, `/media/telnyx/${OTHER_TOKEN}`);
    expect(compare(call, found)).toMatchObject([{ kind: 'value', path: 'msg.body' }]);
  });

  it('are not the names of models and voices', () => {
    const call = (model: string): StoredCall =>
      new CallMaker()
        .line(1, { on: 'provider', dir: 'out', conn: 1, msg: { type: 'session.update', session: { model } } })
        .stored();
    for (const [one, other] of [
      ['gpt-realtime-2025-08-28', 'gpt-realtime-2025-10-06'],
      ['gemini-2.5-flash-native-audio-preview-09-2025', 'gemini-2.5-flash-native-audio-preview-12-2025'],
      ['amazon.nova-sonic-v1:0', 'amazon.nova-2-sonic-v1:0'],
    ] as const) {
      expect(compare(call(one), call(other))).toMatchObject([{ kind: 'value', path: 'msg.session.model' }]);
    }
  });
});

describe('texts that hold something', () => {
  const sent = (body: string): StoredCall =>
    new CallMaker()
      .line(1, { on: 'rest', dir: 'out', msg: { id: 1, method: 'POST', url: 'https://a.example/x', body } })
      .stored();

  it('are opened to name the field', () => {
    const state = (ref: string): string =>
      JSON.stringify({
        client_state: Buffer.from(JSON.stringify({ ref, agent: 'desk' })).toString('base64'),
      });
    expect(compare(sent('{"a":{"b":1}}'), sent('{"a":{"b":2}}'))).toMatchObject([{ path: 'msg.body.a.b' }]);
    expect(compare(sent('To=%2B1&Url=a'), sent('To=%2B1&Url=b'))).toMatchObject([
      { path: 'msg.body.Url', found: 'b' },
    ]);
    expect(compare(sent(state('a')), sent(state('b')))).toMatchObject([
      { path: 'msg.body.client_state.ref' },
    ]);
    expect(compare(sent(state(COMMAND_ID)), sent(state(COMMAND_ID.replace('6', '7'))))).toEqual([]);
  });

  it('differ also by how they are written', () => {
    expect(compare(sent('{"a":1}'), sent('{ "a": 1 }'))).toMatchObject([{ kind: 'value', path: 'msg.body' }]);
  });

  it('may look like anything', () => {
    for (const odd of [
      '{',
      '[',
      '{"__proto__":1}',
      '=',
      'a=1',
      '__proto__=1&b=2',
      'eyJ',
      'eyJhIjo',
      '',
      '\ud800',
    ]) {
      expect(compare(sent(odd), sent(odd))).toEqual([]);
      expect(compare(sent(odd), sent(`${odd}2`)).length).toBe(1);
    }
  });
});

describe('a recording that ends before the call', () => {
  const at = 2600;
  const torn = (end?: number): StoredCall => {
    const call = smallCall({ file: { origin: { how: 'recorded' } } });
    const lines = call.lines.filter(({ t }) => t < at);
    const how = end === undefined ? {} : { end: { t: end, complete: false, why: 'disk-full' } };
    return { ...call, call: { ...call.call, ...how }, lines };
  };

  it('says nothing of what comes behind its end', () => {
    expect(compare(torn(), smallCall())).toEqual([]);
    expect(compare(torn(at - 1), smallCall())).toEqual([]);
  });

  it('says nothing of audio behind its end either', () => {
    const early = { ...torn(), lines: torn().lines.filter(({ t }) => t < 900) };
    expect(compare(early, smallCall())).toEqual([]);
  });

  it('says what is missing before', () => {
    const [first] = compare(torn(), without(smallCall(), placeOf(smallCall(), '"run"')));
    expect(first).toMatchObject({ kind: 'missing', what: 'function get_weather: run' });
  });

  it('says what comes behind its end when the call was over by then', () => {
    const whole = smallCall({ file: { origin: { how: 'recorded' } } });
    const isOver = whole.lines.some((line) => line.on === 'call' && line.msg.type === 'ended');
    const { end: _end, ...call } = whole.call;
    const died = { ...whole, call };
    const t = (whole.lines.at(-1)?.t ?? 0) + 100;
    const hangUp: Line = {
      t,
      on: 'rest',
      dir: 'out',
      msg: { id: 9, method: 'POST', url: 'https://a.test/' },
    };
    const found = { ...died, lines: [...whole.lines, hangUp] };
    expect(isOver).toBe(true);
    expect(compare(died, found)).toMatchObject([{ kind: 'additional', edge: 'rest' }]);
  });

  it('was written like that if it was written by hand', () => {
    const written = { ...torn(), call: { ...torn().call, origin: { how: 'written' as const } } };
    expect(compare(written, smallCall()).length).toBeGreaterThan(3);
  });
});

describe('many differences', () => {
  it('are told from the first on, each at the line where it is', () => {
    const call = smallCall();
    const marks = [...call.lines.entries()].filter(
      ([, line]) => line.dir === 'out' && JSON.stringify(line).includes('"mark"'),
    );
    const second = marks[1]?.[0] ?? -1;
    const late = call.lines.map((line, at) => (at >= second ? { ...line, t: line.t + 40 } : line));
    const differences = compare(call, { ...call, lines: late });
    expect(differences[0]).toMatchObject({ kind: 'time', t: lineAt(call, second).t });
    expect(differences.every(({ kind }) => kind === 'time')).toBe(true);
    expect(differences.map(({ t }) => t)).toEqual(differences.map(({ t }) => t).toSorted((a, b) => a - b));
  });

  it('come of one connection that is not there', () => {
    const call = smallCall();
    const lines = call.lines.filter((line) => line.on !== 'provider');
    const differences = compare(call, { ...call, lines });
    expect(differences[0]).toMatchObject({ kind: 'missing', t: 1, what: 'to openai: dial' });
    expect(differences.every(({ kind, edge }) => kind === 'missing' && edge === 'provider')).toBe(true);
    expect(compare({ ...call, lines }, call).every(({ kind }) => kind === 'additional')).toBe(true);
  });

  it('do not hide which one of a row of equal lines is missing', () => {
    const clears = (...times: readonly number[]): StoredCall => {
      const maker = new CallMaker();
      for (const t of times) maker.line(t, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'clear' } });
      return maker.stored();
    };
    expect(compare(clears(1000, 5000, 9000), clears(5000, 9000))).toMatchObject([
      { kind: 'missing', t: 1000 },
    ]);
    expect(compare(clears(1000, 5000, 9000), clears(1000, 9000))).toMatchObject([
      { kind: 'missing', t: 5000 },
    ]);
    expect(compare(clears(1000, 9000), clears(1000, 5000, 9000))).toMatchObject([
      { kind: 'additional', t: 5000 },
    ]);
  });

  it('are two if what is missing comes again much later', () => {
    const call = (t: number): StoredCall =>
      new CallMaker()
        .line(t, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'clear' } })
        .line(5000, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'mark' } })
        .stored();
    expect(compare(call(1000), call(9000))).toMatchObject([
      { kind: 'missing', t: 1000 },
      { kind: 'additional', t: 9000 },
    ]);
    expect(compare(call(4000), call(5500))).toMatchObject([{ kind: 'time', t: 4000, found: 5500 }]);
  });

  it('are found behind a long stretch that is missing', () => {
    const calls = (skip: number): StoredCall => {
      const maker = new CallMaker();
      for (let i = 0; i < 400; i++) {
        if (i >= 100 && i < 100 + skip) continue;
        maker.line(i * 100, {
          on: 'provider',
          dir: 'out',
          conn: 1,
          msg: { type: 'x', text: `words ${i * i}` },
        });
      }
      return maker.stored();
    };
    const differences = compare(calls(0), calls(20));
    expect(differences).toHaveLength(20);
    expect(differences[0]).toMatchObject({ kind: 'missing', t: 10_000 });
  });

  it('can be told for people, whatever they are', () => {
    const call = smallCall();
    for (const [at, line] of outLines(call).filter((_, i) => i % 4 === 0)) {
      for (const found of [without(call, at), without(call, at, [{ ...line, t: line.t + 70 }])]) {
        for (const [a, b] of [
          [call, found],
          [found, call],
        ] as const) {
          for (const difference of compare(a, b)) {
            const text = tellDifference(difference, a, b);
            expect(text).toContain('around it, expected');
            expect(text).not.toMatch(/undefined|NaN|Infinity|\[object/);
            expect(Math.max(...text.split('\n').map((one) => one.length))).toBeLessThan(220);
          }
        }
      }
    }
  });
});
