import { type AudioFormat, formatName } from '../../audio/format.ts';
import { BridgeError } from '../../errors.ts';
import type { ConnectRequest } from '../../provider.ts';
import { type Fields, fieldsOf, isFields, merged, textOf } from '../common/fields.ts';
import { shownFormat } from '../common/limits.ts';
import type { Dialect, SessionChoice } from './dialect.ts';
import { readFlatFormat, readNestedFormat } from './formats.ts';

/** What the session does, read from its own fields, since overrides and the server may change what was asked for. */
export interface SessionShape {
  readonly input: AudioFormat;
  readonly output: AudioFormat;
  readonly instructions: string;
  /** The server cuts its response off by itself when the caller starts to speak. */
  readonly interrupts: boolean;
  /** The server answers by itself when the caller has finished. */
  readonly answers: boolean;
  /** What writes down the caller's words; undefined: nothing does, or nobody knows what. */
  readonly transcriptionModel: string | undefined;
  /** Unix seconds. */
  readonly expiresAt: number | undefined;
}

// Keys of one kind of turn detection are refused by the other, so a change of kind starts from its own defaults.
function baseFor(key: string, base: Fields, over: Fields, dialect: Dialect): Fields {
  const type = over['type'];
  if (key !== 'turn_detection' || type === undefined || type === base['type']) return base;
  const kinds = [
    dialect.turnDetection({ mode: 'server' }, undefined),
    dialect.turnDetection({ mode: 'semantic' }, undefined),
  ];
  return kinds.find((kind) => kind['type'] === type) ?? {};
}

/** The `session` of `session.update`: complete, with the raw overrides of the options and of the request on top. */
export function buildSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const { dialect } = choice;
  const under = (key: string, there: Fields, over: Fields): Fields => baseFor(key, there, over, dialect);
  return merged(merged(dialect.session(request, choice), choice.session, under), request.overrides, under);
}

function formatOf(
  side: 'input' | 'output',
  session: Fields,
  { formats }: Dialect,
  before: AudioFormat | undefined,
): AudioFormat {
  const nested = fieldsOf(fieldsOf(session['audio'])[side])['format'] ?? undefined;
  const flat = session[`${side}_audio_format`] ?? undefined;
  if (nested === undefined && flat === undefined && before) return before;
  const rate = side === 'input' ? session['input_audio_sampling_rate'] : undefined;
  const found = isFields(nested) ? readNestedFormat(nested) : readFlatFormat(flat, rate);
  if (found) return found;
  const given = fieldsOf(nested);
  const shown = shownFormat(nested === undefined ? flat : given['type'], given['rate'] ?? rate);
  throw new BridgeError(
    'PROVIDER_CONFIG',
    `the session has ${side} audio ${shown}, wanted ${formats.map(formatName).join(', ')}`,
  );
}

function vadOf(session: Fields): Fields | null | undefined {
  const input = fieldsOf(fieldsOf(session['audio'])['input']);
  const found = input['turn_detection'] === undefined ? session['turn_detection'] : input['turn_detection'];
  if (found === undefined || found === null) return found;
  const vad = fieldsOf(found);
  // Some servers spell an absent detection as one without a type.
  return vad['type'] === null ? null : vad;
}

function transcriberOf(session: Fields, before: SessionShape | undefined): string | undefined {
  const input = fieldsOf(fieldsOf(session['audio'])['input']);
  const nested = input['transcription'];
  const found = nested === undefined ? session['input_audio_transcription'] : nested;
  return found === undefined ? before?.transcriptionModel : textOf(fieldsOf(found)['model']);
}

/** When the session ends, in Unix seconds. */
export function readExpiry(session: Fields): number | undefined {
  const expiresAt = session['expires_at'];
  return typeof expiresAt === 'number' && expiresAt > 0 ? expiresAt : undefined;
}

/**
 * Reads what a session does out of its fields; `before` fills in what the server does not repeat. Throws
 * PROVIDER_CONFIG when the audio has a format that nothing here can read.
 */
export function readSession(session: Fields, dialect: Dialect, before?: SessionShape): SessionShape {
  const vad = vadOf(session);
  return {
    input: formatOf('input', session, dialect, before?.input),
    output: formatOf('output', session, dialect, before?.output),
    instructions: textOf(session['instructions']) ?? before?.instructions ?? '',
    interrupts:
      vad === undefined ? (before?.interrupts ?? false) : vad !== null && vad['interrupt_response'] !== false,
    answers:
      vad === undefined ? (before?.answers ?? false) : vad !== null && vad['create_response'] !== false,
    transcriptionModel: transcriberOf(session, before),
    expiresAt: readExpiry(session) ?? before?.expiresAt,
  };
}
