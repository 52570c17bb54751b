import { CARRIERS } from '../carrier.ts';
import { isRecord } from '../is-record.ts';
import { type CallFile, FORMAT_VERSION } from './format.ts';
import { parseJson } from './line-shape.ts';
import {
  aCount,
  aList,
  aNumber,
  anObject,
  assertNone,
  aText,
  aTime,
  aTruth,
  type Check,
  is,
  kindOf,
  listOf,
  type Mistake,
  mapOf,
  maybe,
  objectOf,
  oneOf,
} from './shape.ts';

/** The shape of call.json, as `format.ts` has it. */

/** Agents get new fields now and then: those are left to whoever makes an agent of it. */
const LEFT = true;

const aTool = objectOf(
  {
    builtIn: aTruth,
    definition: objectOf({ name: aText }, LEFT),
    timeoutMs: aTime,
    cancelOnInterrupt: aTruth,
    fillerAfterMs: maybe(aTime),
    maxResultChars: aCount,
    redact: listOf(aText),
  },
  LEFT,
);

const anAgentProvider = objectOf(
  { name: aText, model: maybe(aText), voice: maybe(aText), overrides: anObject },
  LEFT,
);

const anAgent = objectOf(
  {
    name: aText,
    instructions: aText,
    greeting: maybe(aText),
    voice: maybe(aText),
    language: maybe(aText),
    bargeIn: anObject,
    transcribeCaller: aTruth,
    audio: oneOf(['wideband', 'passthrough']),
    tools: listOf(aTool),
    redact: listOf(aText),
    toolsAtOnce: aCount,
    filler: maybe(anObject),
    providers: listOf(anAgentProvider),
    failover: anObject,
    maxCallMs: aTime,
    maxCallGoodbye: aText,
    silence: anObject,
    digits: anObject,
    digitsHandled: aTruth,
    recording: aTruth,
    variables: mapOf(aText),
    lastResort: anObject,
    machine: anObject,
  },
  LEFT,
);

const aProvider = objectOf({
  name: aText,
  level: oneOf(['wire', 'session']),
  model: maybe(aText),
  wanted: maybe(anAgentProvider),
  capabilities: maybe(anObject),
});

const aTolerance = objectOf({ timeMs: maybe(aTime), sample: maybe(aTime) });

const aSeed = is('a text that is not empty', (value) => typeof value === 'string' && value !== '');

const CALL_FILE: Record<keyof CallFile, Check> = {
  format: oneOf([FORMAT_VERSION]),
  proves: aText,
  origin: objectOf({
    how: oneOf(['recorded', 'simulated', 'written']),
    by: maybe(aText),
    command: maybe(aText),
  }),
  carrier: oneOf(CARRIERS),
  control: oneOf(['document', 'command']),
  direction: oneOf(['inbound', 'outbound']),
  placed: maybe(objectOf({ ref: aText, from: aText, to: aText })),
  epochMs: aNumber,
  seed: aSeed,
  agent: anAgent,
  providers: listOf(aProvider),
  settings: mapOf(aText),
  leadMs: aTime,
  tolerance: maybe(aTolerance),
  end: maybe(objectOf({ t: aTime, complete: aTruth, why: maybe(aText) })),
  redacted: maybe(
    objectOf({
      numbers: aTruth,
      fields: aList,
      speech: oneOf(['none', 'caller', 'agent', 'both']),
      words: aTruth,
      keys: maybe(aTruth),
    }),
  ),
};

/** The order of the fields in the file. */
export const CALL_FIELDS: readonly string[] = Object.keys(CALL_FILE);

const checkCall = objectOf(CALL_FILE);

/** Everything that is wrong with the JSON of call.json; of another format version, only that. */
export function callFileMistakes(value: unknown): readonly Mistake[] {
  if (!isRecord(value)) return [{ field: '', found: kindOf(value), wanted: 'an object' }];
  const mistakes: Mistake[] = [];
  CALL_FILE.format(value['format'], 'format', mistakes);
  if (mistakes.length === 0) checkCall(value, '', mistakes);
  return mistakes;
}

/** The text of call.json. Throws BAD_RECORDING that names every field that is wrong; `where`: the file. */
export function parseCallFile(text: string, where = 'call.json'): CallFile {
  const value = parseJson(text, where);
  assertNone(callFileMistakes(value), where);
  return value as CallFile;
}
