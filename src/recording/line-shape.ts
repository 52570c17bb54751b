import { ENCODINGS, RATES } from '../audio/format.ts';
import type { CallEvent } from '../call-events.ts';
import { WEBHOOK_ROUTES } from '../carrier.ts';
import { ERRORS } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { Order } from '../orders.ts';
import { DEEPEST, isTooDeep } from './depth.ts';
import type { Control, Edge, Line, Signed } from './format.ts';
import {
  aCount,
  aList,
  anIndex,
  anObject,
  anything,
  assertNone,
  aText,
  aTime,
  badRecording,
  type Check,
  type Fields,
  is,
  kindOf,
  listOf,
  type Mistake,
  mapOf,
  maybe,
  objectBy,
  objectOf,
  oneOf,
  something,
} from './shape.ts';

/** Shapes of the lines of events.jsonl, as `format.ts` has them. */

const SIGNED = [
  'valid',
  'bad-signature',
  'missing-signature',
  'stale',
  'replayed',
] as const satisfies Signed[];
const aCode = oneOf(Object.keys(ERRORS));
const aFormat = objectOf({ encoding: oneOf(ENCODINGS), rate: oneOf(RATES) });
const aThrown = objectOf({
  name: aText,
  message: aText,
  code: maybe(aText),
  status: maybe(aCount),
  fault: maybe(aText),
});

const CONTROLS = {
  upgrade: { target: aText, signed: oneOf(SIGNED) },
  upgraded: {},
  'not-upgraded': { status: aCount },
  dial: { provider: aText, url: aText },
  open: {},
  accepted: {},
  refused: { status: aCount, body: aText },
  ping: { data: aText },
  pong: { data: aText },
  text: { text: aText },
  binary: { base64: aText },
  close: { code: aCount, reason: aText },
  terminate: {},
  error: { message: aText, code: maybe(aText) },
  ended: { error: maybe(aThrown), networkCode: maybe(aText) },
  connect: { provider: aText, request: anObject },
  connected: { input: aFormat, output: aFormat },
  'not-connected': { error: objectOf({ code: aCode, message: aText }) },
} as const satisfies Record<Control['type'], Fields>;

const CALL_EVENTS = {
  started: true,
  providerReady: true,
  providerFailed: true,
  failover: true,
  usage: true,
  mediaStarted: true,
  firstAudio: true,
  transcript: true,
  bargeIn: true,
  turn: true,
  tool: true,
  digit: true,
  transfer: true,
  machine: true,
  recording: true,
  ended: true,
} as const satisfies Record<CallEvent['type'], true>;

const aForm = mapOf((value, field, mistakes) => {
  if (Array.isArray(value)) listOf(aText)(value, field, mistakes);
  else is('a text or a list of texts', (entry) => typeof entry === 'string')(value, field, mistakes);
});

const WEBHOOK_IN = objectOf({
  id: aCount,
  route: oneOf(WEBHOOK_ROUTES),
  method: aText,
  target: aText,
  signed: oneOf(SIGNED),
  contentType: aText,
  form: maybe(aForm),
  json: anything,
  text: maybe(aText),
});
const WEBHOOK_OUT = objectOf({ id: aCount, status: aCount, contentType: aText, body: aText });

/** One of several kinds of messages, which are told apart by a field that only that kind has. */
function byField(kinds: Readonly<Record<string, Fields>>): Check {
  const checks = Object.entries(kinds).map(([name, fields]) => [name, objectOf(fields)] as const);
  const wanted = `an object with one of ${Object.keys(kinds).join(', ')}`;
  return (value, field, mistakes) => {
    if (!isRecord(value)) {
      anObject(value, field, mistakes);
      return;
    }
    const check = checks.find(([name]) => value[name] !== undefined)?.[1];
    if (check === undefined) mistakes.push({ field, found: 'none of its fields', wanted });
    else check(value, field, mistakes);
  };
}

const TOOL_OUT = byField({
  run: { id: aCount, run: aText, toolCallId: aText, args: something },
  aborted: { id: aCount, aborted: aCode },
});
const TOOL_IN = byField({
  does: { id: aCount, does: aText, with: aList },
  threw: { id: aCount, threw: objectOf({ message: aText, code: maybe(aCode) }) },
  done: { id: aCount, returned: anything, done: is('true', (value) => value === true) },
});
const REST_OUT = objectOf({ id: aCount, method: aText, url: aText, body: maybe(aText) });
const REST_IN = byField({
  status: { id: aCount, status: aCount, body: aText },
  error: { id: aCount, error: aText },
});
const ORDERS = {
  end: { reason: aText },
  leave: { reason: aText, goodbye: aText },
  transfer: { transfer: anObject },
  'send-digits': { digits: aText },
  record: { on: is('true or false', (value) => typeof value === 'boolean') },
} as const satisfies Record<Order['does'], Fields>;
const CALL_OUT = objectOf({ type: oneOf(Object.keys(CALL_EVENTS)), atMs: aTime }, true);
const CLOCK_IN = objectOf({ due: aTime });

const aDirection = oneOf(['in', 'out']);
const aControl = objectBy('type', CONTROLS);

function lineOf(fields: Fields): Check {
  return objectOf({ t: aTime, on: anything, dir: aDirection, ...fields });
}

/** Of connections: `msg` or `ctl`, and not both. */
function said(): Check {
  const message = lineOf({ conn: anIndex, msg: something });
  const control = lineOf({ conn: anIndex, ctl: aControl });
  return (value, field, mistakes) => {
    const isControl = isRecord(value) && value['ctl'] !== undefined;
    if (isControl) control(value, field, mistakes);
    else message(value, field, mistakes);
  };
}

function bothWays(into: Check, out: Check): Check {
  const checkIn = lineOf({ msg: into });
  const checkOut = lineOf({ msg: out });
  return (value, field, mistakes) => {
    const isOut = isRecord(value) && value['dir'] === 'out';
    if (isOut) checkOut(value, field, mistakes);
    else checkIn(value, field, mistakes);
  };
}

const EDGE_LINES = {
  webhook: bothWays(WEBHOOK_IN, WEBHOOK_OUT),
  carrier: said(),
  provider: said(),
  tool: bothWays(TOOL_IN, TOOL_OUT),
  rest: bothWays(REST_IN, REST_OUT),
  operator: objectOf({ t: aTime, on: anything, dir: oneOf(['in']), msg: objectBy('does', ORDERS) }),
  call: objectOf({ t: aTime, on: anything, dir: oneOf(['out']), msg: CALL_OUT }),
  clock: objectOf({ t: aTime, on: anything, dir: oneOf(['in']), msg: CLOCK_IN }),
} as const satisfies Record<Edge, Check>;

const anEdge = oneOf(Object.keys(EDGE_LINES));

function edgeOf(value: unknown): Edge | undefined {
  return typeof value === 'string' && Object.hasOwn(EDGE_LINES, value) ? (value as Edge) : undefined;
}

/** Everything that is wrong with the JSON of one line. */
export function lineMistakes(value: unknown): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  if (!isRecord(value)) return [{ field: '', found: kindOf(value), wanted: 'an object' }];
  const edge = edgeOf(value['on']);
  if (edge === undefined) anEdge(value['on'], 'on', mistakes);
  else EDGE_LINES[edge](value, '', mistakes);
  return mistakes;
}

/** One line of events.jsonl. Throws BAD_RECORDING that names every field that is wrong; `where`: file and line. */
export function parseLine(text: string, where = 'a line of events.jsonl'): Line {
  const value = parseJson(text, where);
  assertNone(lineMistakes(value), where);
  return value as Line;
}

/** Throws BAD_RECORDING for what is no JSON, or is nested too deep, without quoting it. */
export function parseJson(text: string, where: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badRecording(where, `found ${text.length} characters that are not JSON, wanted JSON`);
  }
  if (isTooDeep(value, text)) {
    throw badRecording(where, `found JSON that is nested deeper, wanted ${DEEPEST} levels at most`);
  }
  return value;
}
