import { isRecord } from '../is-record.ts';
import type { AudioRef, Line } from './format.ts';

/** Whether a value is an `AudioRef` and nothing else: exactly its three fields, of their types. */
export function isAudioRef(value: unknown): value is AudioRef {
  if (!isRecord(value) || typeof value['wav'] !== 'string') return false;
  if (typeof value['at'] !== 'number' || typeof value['n'] !== 'number') return false;
  return Object.keys(value).length === 3;
}

/** Tells of every `AudioRef` at any depth of a value, in order. */
export function eachAudioRef(value: unknown, tell: (ref: AudioRef) => void): void {
  if (typeof value !== 'object' || value === null) return;
  if (isAudioRef(value)) {
    tell(value);
    return;
  }
  for (const inner of Object.values(value)) eachAudioRef(inner, tell);
}

/** The audio that a line refers to, in order. */
export function audioRefsOf(line: Line): readonly AudioRef[] {
  const found: AudioRef[] = [];
  if ('msg' in line) eachAudioRef(line.msg, (ref) => found.push(ref));
  return found;
}
